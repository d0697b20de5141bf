"""Pretrained weights: the file that holds them, the options that they decide, and networks that begin with them.

The file is one safetensors file with its card as JSON in the header, so that weights and card are replaced together. Deliberately
not here: how the weights are found (`relselect.pretraining`).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from relselect.errors import ConfigError
from relselect.hashing import sha256_of_file
from relselect.rdl.graph.of_problem import problem_features
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.network.model import RelationalNetwork
from relselect.rdl.network.shared_layers import (
    RowStatistics,
    SharedLayers,
    copy_shared,
    placed_weights,
    row_statistics,
)
from relselect.serialization import jsonable
from relselect.tensor_files import load_state, read_metadata, save_state, shapes_of
from relselect.untrusted import brief

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.nn import Parameter

    from relselect.problem import Problem
    from relselect.rdl.network.model import Blueprint
    from relselect.rdl.settings import NetworkSettings

__all__ = [
    "SCRATCH",
    "WEIGHTS",
    "Pretrained",
    "decided_options",
    "find_pretrained",
    "new_network",
    "problem_statistics",
    "read_pretrained",
    "split_parameters",
    "write_pretrained",
]

#: The value of `init` for networks that begin with random weights, and the file of the weights in a folder.
SCRATCH, WEIGHTS = "scratch", "weights.safetensors"
_VARIABLE, _FORMAT = "RELSELECT_PRETRAINED", 1
_MOST = 1 << 14
_FIX = f"Name a folder that `relselect pretrain` wrote, or set {_VARIABLE} to one; nothing is downloaded"


@dataclass(frozen=True)
class Pretrained:
    """Pretrained weights.

    Attributes:
        shared: The weights, on the CPU.
        card: What they are and what they come from: data, licences, versions, losses.
        identity: Hash of the file.
    """

    shared: SharedLayers
    card: Mapping[str, Any]
    identity: str

    @property
    def language(self) -> str:
        """Hash of the language model whose vectors they read."""
        return str(self.card["language"]["identity"])


def find_pretrained(name: str = "") -> Path | None:
    """Return the file of pretrained weights that a name or `$RELSELECT_PRETRAINED` names; None where neither names one.

    Args:
        name: The file, or the folder that holds it; "" for the variable.
    """
    asked = name or os.environ.get(_VARIABLE, "")
    if not asked:
        return None
    path = Path(asked).expanduser()
    return path / WEIGHTS if path.is_dir() else path


def read_pretrained(name: str = "") -> Pretrained:
    """Read pretrained weights; what is read is checked.

    Args:
        name: See `find_pretrained`.

    Raises:
        ConfigError: There are none, or the file is damaged.
    """
    path = find_pretrained(name)
    if path is None:
        raise ConfigError("init", name, "finds no pretrained weights on this machine", _FIX)
    if not path.is_file():
        raise ConfigError("init", name or str(path), "is no file of pretrained weights", _FIX)
    stamp = path.stat()
    return _read(path.resolve(), stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> Pretrained:
    try:
        card = jsonable(json.loads(read_metadata(path)["card"]))  # earlier versions wrote NaN as it is
        if card["format"] != _FORMAT:
            raise ValueError(f"format {card['format']!r} is not {_FORMAT}")
        sizes = [card[name] for name in ("width", "channels", "layers")]
        if not all(isinstance(each, int) and 0 < each <= _MOST for each in sizes):
            raise ValueError("the card names impossible sizes")
        str(card["language"]["identity"])
        with torch.device("meta"):
            shapes = shapes_of(SharedLayers(*sizes).state_dict())
        state = load_state(path, shapes)
        shared = SharedLayers(*sizes)
        shared.load_state_dict(state)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        rule = f"holds no readable pretrained weights ({type(error).__name__}: {brief(error)})"
        raise ConfigError("init", str(path), rule, _FIX) from error
    return Pretrained(shared.requires_grad_(False), card, sha256_of_file(path)[:32])


def write_pretrained(shared: SharedLayers, card: Mapping[str, Any], folder: Path) -> Path:
    """Write weights and their card into a folder, both or neither, and return the file.

    Args:
        shared: The weights.
        card: JSON-able; `format` and sizes are added here, and numbers that are not finite are written as null.
        folder: Made where there is none.
    """
    sizes = {"width": shared.width, "channels": shared.channels, "layers": shared.layers}
    text = json.dumps(jsonable({**card, "format": _FORMAT, **sizes}), sort_keys=True, allow_nan=False)
    save_state(shared.state_dict(), folder / WEIGHTS, metadata={"card": text})
    return folder / WEIGHTS


def decided_options(settings: NetworkSettings) -> NetworkSettings:
    """Return the settings with the options that pretrained weights decide; unchanged where `init` names none.

    Those are the width, the number of layers, GraphSAGE with means along single foreign keys, and the default encoder; rows that
    were to be read by their columns alone are read as language, and by the language model that lies beside the weights where
    the pretraining trained one.

    Raises:
        ConfigError: The weights cannot be read.
    """
    if settings.init == SCRATCH:
        return settings
    card = read_pretrained(settings.init).card
    return replace(
        settings,
        channels=card["channels"],
        layers=card["layers"],
        convolution="sage",
        aggregation="mean",
        encoder="stacked",
        encoder_blocks=0,
        edges="keys",
        routes="off",
        rows="language" if settings.rows == "columns" else settings.rows,
        language=_language_beside(settings.init, card) or settings.language,
    )


def _language_beside(init: str, card: Mapping[str, Any]) -> str:
    """Return the folder of the language model that was trained with the weights; empty where there is none."""
    path, name = find_pretrained(init), card["language"].get("folder")
    if path is None or not isinstance(name, str) or Path(name).name != name:
        return ""
    folder = path.resolve().parent / name
    return str(folder) if (folder / "config.json").is_file() else ""


def problem_statistics(problem: Problem, blueprint: Blueprint) -> dict[str, RowStatistics]:
    """Return the statistics of the tables that are read as language, of what is visible at the end of training."""
    said = {
        name: replace(each, sentence=replace(each.sentence, tokens=False))
        for name, each in blueprint.encodings.items()
        if each.sentence is not None
    }
    tensors = problem_features(problem, said, torch.device("cpu"))
    return {
        name: row_statistics(
            tensors[name].texts[-1],
            torch.from_numpy(problem.visible(name, problem.fit_asof)),
            problem.database[name].time is not None,
        )
        for name in said
    }


def new_network(blueprint: Blueprint, problem: Problem, device: torch.device) -> NetworkEnsemble:
    """Return a network on a device, with random weights or those that `init` names.

    Raises:
        ConfigError: The pretrained weights cannot be read, or read vectors of another language model.
    """
    network = NetworkEnsemble(blueprint)
    if blueprint.settings.init != SCRATCH:
        found = read_pretrained(blueprint.settings.init)
        _check_language(found, blueprint)
        copy_shared(found.shared, _members(network), problem_statistics(problem, blueprint))
    return network.to(device)


def _check_language(found: Pretrained, blueprint: Blueprint) -> None:
    used = {each.sentence.identity for each in blueprint.encodings.values() if each.sentence is not None}
    if used != {found.language}:
        rule = f"reads the language model {found.language[:8]}, and rows are read by {', '.join(sorted(used))[:8]}"
        fix = "Set RELSELECT_LANGUAGE_MODEL to the model that the card of the weights names"
        raise ConfigError("init", blueprint.settings.init, rule, fix)


def _members(network: NetworkEnsemble) -> list[RelationalNetwork]:
    return [member for member in network.members if isinstance(member, RelationalNetwork)]


def split_parameters(network: NetworkEnsemble, blueprint: Blueprint) -> tuple[list[Parameter], list[Parameter]]:
    """Return the parameters that begin at random and those that begin pretrained, each in the order of the network.

    The file of the weights is not read: a network that was saved may be trained further without it.
    """
    settings = blueprint.settings
    widths = {each.sentence.width for each in blueprint.encodings.values() if each.sentence is not None}
    if settings.init == SCRATCH or not widths:
        return list(network.parameters()), []
    with torch.device("meta"):
        shared = SharedLayers(widths.pop(), settings.channels, settings.layers)
        at = RowStatistics(torch.zeros(shared.width), 1.0, True)
        statistics = {name: at for name, each in blueprint.encodings.items() if each.sentence is not None}
        names = set(placed_weights(shared, _members(network)[0], statistics))
    fresh: list[Parameter] = []
    begun: list[Parameter] = []
    for member in _members(network):
        for name, parameter in member.named_parameters():
            (begun if name in names else fresh).append(parameter)
    return fresh, begun
