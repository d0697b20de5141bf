"""The state of an unfinished training on disk: one safetensors file with JSON in its header, replaced whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from relselect.files import replacing
from relselect.hashing import fingerprint_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from relselect.problem import Problem
    from relselect.rdl.network.model import Blueprint

__all__ = ["Snapshot", "identity_of", "read_snapshot", "write_snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """A state that was read.

    Attributes:
        facts: Plain data.
        tensors: By name, on the CPU.
    """

    facts: dict[str, Any]
    tensors: dict[str, Tensor]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with `prefix` and a dot, without it."""
        start = f"{prefix}."
        return {name.removeprefix(start): each for name, each in self.tensors.items() if name.startswith(start)}


def identity_of(blueprint: Blueprint, problem: Problem, seed: int) -> str:
    """Return a text that two trainings share only if they are the same: data, task, options, seed."""
    parts = {
        "settings": blueprint.settings.to_config(),
        "edge_types": blueprint.edge_types,
        "tables": {name: spec.to_json() for name, spec in blueprint.specs.items()},
        "task": problem.task.fingerprint,
        "database": problem.database.fingerprint,
        "regime": problem.task.regime,
        "seed": seed,
    }
    return fingerprint_json(parts)


def write_snapshot(path: Path, identity: str, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a state; a kill at any moment leaves the former one.

    Args:
        path: The file; its folder is made.
        identity: Of the training, see `identity_of`.
        facts: JSON-able data.
        tensors: By name.
    """
    # tensors that share memory cannot be written: each becomes its own
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    with replacing(path, sole_writer=True) as draft:
        save_file(plain, draft, metadata={"identity": identity, "facts": json.dumps(dict(facts))})


def read_snapshot(path: Path, identity: str) -> Snapshot | None:
    """Return the state of the training with this identity; None where there is none, or another's, or a damaged one."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as stored:
            header = stored.metadata() or {}
            if header.get("identity") != identity:
                return None
            return Snapshot(json.loads(header["facts"]), {name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
