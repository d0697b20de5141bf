"""Saves and loads a trained network: weights and checkpoints as safetensors, everything else as JSON.

The files are part of a bundle; what else a bundle holds is no concern of this module.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from pydantic import TypeAdapter

from relselect.errors import BundleError, ConfigError
from relselect.families.candidate import Checkpoint
from relselect.files import write_json
from relselect.language import identified_encoder
from relselect.rdl.graph.table_encoding import TableEncoding
from relselect.rdl.graph.text import BUCKETS, MOST_CHARACTERS
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.network.model import Blueprint
from relselect.rdl.network.target import Target
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import FittedNetwork
from relselect.serialization import number_of
from relselect.tensor_files import load_state, save_state, shapes_of
from relselect.untrusted import brief, read_strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["load_network", "save_network"]

_FORMAT = 2
#: Largest values of the options that decide how large a network is and how much it reads; far above any that is tried.
_MOST = {
    "channels": 1 << 14, "layers": 16, "fan_out": 1 << 14, "encoder_blocks": 64, "members": 64, "batch_size": 1 << 22,
    "window": 1e9,
}  # fmt: skip
_MOST_CHECKPOINTS, _MOST_OUTPUTS, _MOST_WIDTH = 1000, 1 << 20, 1 << 14


def save_network(fitted: FittedNetwork, checkpoints: Sequence[Checkpoint], folder: Path) -> None:
    """Write `network.json`, `network.safetensors` and a `checkpoint-<i>.safetensors` per checkpoint."""
    blueprint = fitted.blueprint
    header = {
        "format": _FORMAT,
        "entity": blueprint.entity,
        "edge_types": blueprint.edge_types,
        "tables": {name: encoding.to_json() for name, encoding in blueprint.encodings.items()},
        "task_row": blueprint.task_encoding.to_json(),
        "target": blueprint.target.to_json(),
        "settings": blueprint.settings.to_config(),
        "checkpoints": [{"step": each.step, "score": each.score} for each in checkpoints],
    }
    write_json(folder / "network.json", header)
    save_state(fitted.network.state_dict(), folder / "network.safetensors")
    for place, each in enumerate(checkpoints):
        save_state(each.state, folder / f"checkpoint-{place}.safetensors")


def load_network(folder: Path, device: torch.device) -> tuple[FittedNetwork, tuple[Checkpoint, ...]]:
    """Read what `save_network` wrote.

    Raises:
        BundleError: A file is missing, damaged or of another format version.
    """
    try:
        header = read_strict_json(folder / "network.json")
        if header["format"] != _FORMAT:
            raise BundleError(
                "format", header["format"], f"must be {_FORMAT}", "Load it with the version that saved it"
            )
        blueprint = _blueprint(header)
        _require_language(blueprint)
        with torch.device("meta"):  # shapes alone: nothing is allocated before the files are known to hold as much
            shapes = shapes_of(NetworkEnsemble(blueprint).state_dict())
        state = load_state(folder / "network.safetensors", shapes)
        network = NetworkEnsemble(blueprint)
        network.load_state_dict(state)
        checkpoints = tuple(
            Checkpoint(
                int(each["step"]),
                number_of(each["score"]),
                load_state(folder / f"checkpoint-{place}.safetensors", shapes),
            )
            for place, each in enumerate(header["checkpoints"][:_MOST_CHECKPOINTS])
        )
    except BundleError:
        raise
    except FileNotFoundError as error:
        raise BundleError(
            "folder", folder, f"lacks a file of the network ({brief(error)})", "Copy the whole folder"
        ) from None
    except Exception as error:  # whatever torch and safetensors raise, too
        raise BundleError("folder", folder, f"holds a damaged network ({brief(error)})", "Save it again") from error
    return FittedNetwork(blueprint, network.to(device).eval(), device), checkpoints


def _blueprint(header: Mapping[str, Any]) -> Blueprint:
    """Return the blueprint in a header, every type, range and reference checked.

    Raises:
        ValueError: It is damaged.
    """
    settings = NetworkSettings.from_config(header["settings"])
    large = [name for name, most in _MOST.items() if getattr(settings, name) > most]
    if large:
        raise ValueError(f"{large[0]}={getattr(settings, large[0])} is larger than {_MOST[large[0]]}")
    encodings = {str(name): _encoding(each) for name, each in header["tables"].items()}
    edges = tuple(_typed(TypeAdapter(list[tuple[str, str, str]]), header["edge_types"]))
    entity = header["entity"]
    if (
        any(each.sentence is not None and each.sentence.tokens for each in encodings.values())
        and not settings.language_layers
    ):
        raise ValueError("the tables are read by another language model than the settings say")
    if not {entity, *(end for edge in edges for end in (edge[0], edge[2]))} <= set(encodings):
        raise ValueError("an edge type or the entity names a table without columns")
    return Blueprint(entity, edges, encodings, _encoding(header["task_row"]), _target(header["target"]), settings)


def _require_language(blueprint: Blueprint) -> None:
    """Check that the language model is here of which the network holds the last layers.

    Raises:
        BundleError: It is not, or is another one.
    """
    for each in blueprint.encodings.values():
        if each.sentence is not None and each.sentence.tokens:
            try:
                identified_encoder(each.sentence.model, each.sentence.identity)
            except ConfigError as error:
                rule = f"holds the last layers of a language model alone, and the model {error.rule}"
                raise BundleError("language", error.value, rule, error.fix) from error
            return


def _encoding(data: Any) -> TableEncoding:
    encoding: TableEncoding = _typed(TypeAdapter(TableEncoding), data)
    columns: tuple[Any, ...] = (*encoding.numeric, *encoding.categories, *encoding.moments, *encoding.texts)
    if any(not -1 <= column.clock < len(encoding.clocks) for column in columns):
        raise ValueError("a column names a clock that there is not")
    if any(column.scale <= 0 for column in encoding.numeric):
        raise ValueError("the scale of a column is not positive")
    if encoding.sentence is not None and not 1 <= encoding.sentence.width <= _MOST_WIDTH:
        raise ValueError("the vectors of a language model have an impossible width")
    for text in encoding.texts:
        if len(text.counts) != BUCKETS or not 0 <= min(text.counts) <= max(text.counts) <= text.texts:
            raise ValueError("the counts of a text column are damaged")
        if not 1 <= text.characters <= MOST_CHARACTERS:
            raise ValueError("a text column reads an impossible number of characters")
    return encoding


def _target(data: Any) -> Target:
    target: Target = _typed(TypeAdapter(Target), data)
    outputs = target.outputs == 1 if target.kind in ("binary", "regression") else 2 <= target.outputs <= _MOST_OUTPUTS
    if target.kind not in ("binary", "multiclass", "regression") or not outputs or len(target.prior) != target.outputs:
        raise ValueError("the target is damaged")
    if target.scale <= 0:
        raise ValueError("the scale of the target is not positive")
    return target


def _typed(adapter: TypeAdapter[Any], value: Any) -> Any:
    """Return a value of JSON in its type, without conversions such as text to number."""
    return adapter.validate_json(json.dumps(value), strict=True)
