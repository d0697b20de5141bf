"""A cache of artefacts under a memory bound: graphs, feature matrices, indexes, codes of columns.

An artefact is built once per key, by one thread; other threads that ask for the same key wait for it. When the measured
sizes pass the bound, the least recently used artefacts are dropped and built again when they are next asked for. The
cache does not write to disk, and it does not notice when an artefact grows after it was built.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final, TypeVar

from relselect.database import Database
from relselect.database.sources.spool import free_memory

__all__ = ["ArtefactCache", "default_bound", "size_of"]

T = TypeVar("T")
Key = tuple[Hashable, ...]

#: Share of the free memory that the artefacts of one cache may fill, and bytes that they always may.
_SHARE: Final = 0.5
_LEAST: Final = 2**30
#: Elements of a longer list are measured at this many places and scaled up.
_MEASURED: Final = 256
#: Nested objects deeper than this are not measured.
_DEPTH: Final = 12


class ArtefactCache:
    """Artefacts by key, least recently used dropped first; safe to use from several threads.

    The newest artefact stays even if it exceeds the bound alone: its caller holds it anyway.

    Args:
        bound: Bytes that the artefacts may fill together; `default_bound()` if None.

    >>> cache = ArtefactCache()
    >>> cache.get(("codes", "orders", "status"), lambda: [0, 1, 1])
    [0, 1, 1]
    >>> cache.get(("codes", "orders", "status"), lambda: 1 / 0)
    [0, 1, 1]
    """

    def __init__(self, bound: int | None = None) -> None:
        self.bound = default_bound() if bound is None else bound
        self._entries: OrderedDict[Key, tuple[Any, int]] = OrderedDict()
        self._building: dict[Key, threading.RLock] = {}
        self._guard = threading.Lock()
        self._nbytes = 0

    def get(self, key: Key, build: Callable[[], T]) -> T:
        """Return the artefact of a key, built if it is not there.

        Args:
            key: What the artefact is and what it depends on, each an element of its own. Text put together from several
                names is not allowed to stand for them: "a/b" + "c" and "a" + "b/c" would be one key.
            build: Returns the artefact; may ask the cache for others. If it raises, nothing is stored.

        Raises:
            TypeError: The key is not a tuple, or holds something that cannot be hashed.
        """
        if not isinstance(key, tuple):
            raise TypeError(f"key={key!r}: must be a tuple; write one element for each name it is made of")
        with self._guard:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key][0]  # type: ignore[no-any-return]
            lock = self._building.setdefault(key, threading.RLock())
        with lock:
            with self._guard:
                if key in self._entries:
                    self._entries.move_to_end(key)
                    return self._entries[key][0]  # type: ignore[no-any-return]
            artefact = build()
            self._store(key, artefact)
        return artefact

    def _store(self, key: Key, artefact: Any) -> None:
        size = size_of(artefact)
        with self._guard:
            self._nbytes += size - (self._entries.pop(key)[1] if key in self._entries else 0)
            self._entries[key] = artefact, size
            while self._nbytes > self.bound and len(self._entries) > 1:
                _, (_, dropped) = self._entries.popitem(last=False)
                self._nbytes -= dropped

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Measured bytes of all artefacts; what two artefacts share is counted twice."""
        return self._nbytes


#: What artefacts refer to and do not own.
_NOT_OWNED: Final = (
    type,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    ModuleType,
    partial,
    Database,
    ArtefactCache,
)


def default_bound() -> int:
    """Return the default bound in bytes: half of the memory that is free now, and 1 GiB at least."""
    return max(int(_SHARE * free_memory()), _LEAST)


def size_of(artefact: Any) -> int:
    """Return the bytes of an artefact: arrays, Arrow, tensors, data frames, and containers or objects that hold them.

    An object that is reached twice is counted once. Tensors on a GPU are counted as well. Functions, classes and modules
    count nothing, and neither does a `Database`, which artefacts refer to but do not own. Of a long list only some elements
    are measured.

    >>> import numpy as np
    >>> size_of({"times": np.zeros(1_000, dtype=np.int64)}) >= 8_000
    True
    """
    return _size(artefact, set(), _DEPTH)


def _size(value: Any, seen: set[int], depth: int) -> int:
    if value is None or depth == 0 or id(value) in seen or isinstance(value, _NOT_OWNED):
        return 0
    seen.add(id(value))
    if isinstance(value, (int, float, complex, str, bytes)):
        return sys.getsizeof(value)
    measured = _array_bytes(value)
    if measured is not None:
        return measured
    if isinstance(value, Mapping):
        return sys.getsizeof(value) + _sum(list(value), seen, depth) + _sum(list(value.values()), seen, depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        return sys.getsizeof(value) + _sum(list(value), seen, depth)
    return sys.getsizeof(value) + _sum(_attributes(value), seen, depth)


def _array_bytes(value: Any) -> int | None:
    """Return what arrays, Arrow objects, tensors (`nbytes`) and data frames (`memory_usage`) say of themselves."""
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int):
        return nbytes
    usage = getattr(value, "memory_usage", None)
    if callable(usage):
        return int(sum(usage(index=True)))
    return None


def _sum(values: list[Any], seen: set[int], depth: int) -> int:
    # Rounded down: an element too many is measured rather than one too few.
    step = max(1, len(values) // _MEASURED)
    return step * sum(_size(value, seen, depth - 1) for value in values[::step])


def _attributes(value: Any) -> list[Any]:
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return list(getattr(value, "__dict__", {}).values())
