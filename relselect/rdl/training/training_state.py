"""Stores the state of an unfinished training in one safetensors file with JSON in its header, replaced atomically.

What belongs to the state is decided by `relselect.rdl.training.stepping` and `relselect.rdl.training.trainer`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from relselect.files import replacing
from relselect.hashing import fingerprint_json
from relselect.serialization import jsonable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from relselect.problem import Problem
    from relselect.rdl.network.model import Blueprint

__all__ = ["StateFile", "TrainingState", "training_identity", "read_training_state", "write_training_state"]


@dataclass(frozen=True)
class StateFile:
    """Where the state of a training is written.

    Attributes:
        path: The file.
        identity: Identity of the training; the state of another training is ignored.
    """

    path: Path
    identity: str


@dataclass(frozen=True)
class TrainingState:
    """The stored state of an unfinished training.

    Attributes:
        facts: JSON-able data: steps, learning curve, position in the shuffled rows; None stands for numbers that are not finite.
        tensors: By name, on the CPU: weights, their mean, optimiser state, generators, checkpoints.
    """

    facts: dict[str, Any]
    tensors: dict[str, Tensor]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with `prefix` and a dot, by the rest of their names."""
        start = f"{prefix}."
        return {name.removeprefix(start): each for name, each in self.tensors.items() if name.startswith(start)}


def training_identity(blueprint: Blueprint, problem: Problem, seed: int) -> str:
    """Return a hash of everything that a training depends on: data, task, regime, architecture, options, seed."""
    parts = {
        "settings": blueprint.settings.to_config(),
        "edge_types": blueprint.edge_types,
        "tables": {name: encoding.to_json() for name, encoding in blueprint.encodings.items()},
        "task": problem.task.fingerprint,
        "database": problem.database.fingerprint,
        "regime": problem.task.regime,
        "seed": seed,
    }
    return fingerprint_json(parts)


def write_training_state(path: Path, identity: str, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a training state; if the process is killed meanwhile, the state written before stays.

    Args:
        path: The file; its folder is created.
        identity: See `training_identity`.
        facts: JSON-able data; numbers that are not finite are written as null (see `relselect.serialization.number_of`).
        tensors: By name.
    """
    # safetensors refuses tensors that share memory: each is copied
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    with replacing(path, sole_writer=True) as draft:
        text = json.dumps(jsonable(facts), allow_nan=False)
        save_file(plain, draft, metadata={"identity": identity, "facts": text})


def read_training_state(path: Path, identity: str) -> TrainingState | None:
    """Return the state of the training with this identity; None where the file is missing, damaged or of another training."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            header = stored.metadata() or {}
            if header.get("identity") != identity:
                return None
            facts = jsonable(json.loads(header["facts"]))  # earlier versions wrote NaN as it is
            return TrainingState(facts, {name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
