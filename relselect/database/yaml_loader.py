"""Reads YAML that a stranger may have written: plain data, no key twice, bounded in size, depth and aliases.

An alias repeats what it names, and aliases of aliases repeat it exponentially; the bound counts what they repeat. What the
data mean is no concern of this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from relselect.untrusted import brief, read_bounded_bytes

__all__ = ["load_yaml"]

_LARGEST = 1 << 24
#: Levels of nesting, and nodes with every alias written out.
_DEEPEST, _MOST_NODES = 50, 500_000
#: Characters of an integer at most, and the first integer beyond 64 bits.
_MOST_DIGITS, _WORD = 80, 1 << 63


def load_yaml(path: Path) -> Any:
    """Return the value in a YAML file of one document.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no regular file, is too large, or is not readable as YAML; UnicodeDecodeError where it is not UTF-8.
    """
    text = read_bounded_bytes(path, _LARGEST).decode("utf-8")
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (ValueError, TypeError, AttributeError, OverflowError, KeyError, IndexError) as error:
        raise ValueError(f"it holds a value that is none ({brief(error)})") from None


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys, of which plain YAML keeps the last, deep nesting and exploding aliases."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, its depth and its size counted."""
        alias = self.check_event(yaml.events.AliasEvent)
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.composer.ComposerError(None, None, f"more than {_DEEPEST} levels are nested", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if alias:
            if id(node) not in self._sizes:
                raise yaml.composer.ComposerError(None, None, "an alias stands inside what it names", mark)
            return node
        self._sizes[id(node)] = size = 1 + sum(self._sizes[id(child)] for child in _children(node))
        if size > _MOST_NODES:
            raise yaml.composer.ComposerError(None, None, f"aliases repeat more than {_MOST_NODES:,} values", mark)
        return node


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key is no word", key_node.start_mark)
        key = loader.construct_object(key_node)  # type: ignore[no-untyped-call]
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


def _date(loader: _Loader, node: yaml.ScalarNode) -> Any:
    """Return a date or a time; one that the calendar lacks, such as 2024-02-30, is an error with its place."""
    try:
        return loader.construct_yaml_timestamp(node)  # type: ignore[no-untyped-call]
    except (ValueError, OverflowError) as error:
        rule = f"{node.value:.40} is no date of the calendar ({error})"
        raise yaml.constructor.ConstructorError(None, None, rule, node.start_mark) from None


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    """Return an integer of 64 bits; a larger one has more digits than a message may show."""
    value = int(loader.construct_yaml_int(node)) if len(node.value) <= _MOST_DIGITS else _WORD
    if not -_WORD <= value < _WORD:
        raise yaml.constructor.ConstructorError(None, None, f"{node.value:.40} is beyond 64 bits", node.start_mark)
    return value


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date)
