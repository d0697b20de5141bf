"""Saves and loads a trained network: weights and checkpoints as safetensors, everything else as JSON.

The files are part of a bundle; what else a bundle holds is no concern of this module.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from relselect.errors import BundleError
from relselect.families.candidate import Checkpoint
from relselect.files import replacing, write_json
from relselect.rdl.graph.table_encoding import TableEncoding
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.network.model import Blueprint
from relselect.rdl.network.target import Target
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import FittedNetwork
from relselect.serialization import number_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

__all__ = ["load_network", "save_network"]

_FORMAT = 2


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
    _save_state(fitted.network.state_dict(), folder / "network.safetensors")
    for place, each in enumerate(checkpoints):
        _save_state(each.state, folder / f"checkpoint-{place}.safetensors")


def load_network(folder: Path, device: torch.device) -> tuple[FittedNetwork, tuple[Checkpoint, ...]]:
    """Read what `save_network` wrote.

    Raises:
        BundleError: A file is missing, damaged or of another format version.
    """
    try:
        header: dict[str, Any] = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        if header["format"] != _FORMAT:
            raise BundleError(
                "format", header["format"], f"must be {_FORMAT}", "Load it with the version that saved it"
            )
        blueprint = Blueprint(
            header["entity"],
            tuple((sender, name, receiver) for sender, name, receiver in header["edge_types"]),
            {name: TableEncoding.from_json(encoding) for name, encoding in header["tables"].items()},
            TableEncoding.from_json(header["task_row"]),
            Target.from_json(header["target"]),
            NetworkSettings.from_config(header["settings"]),
        )
        network = NetworkEnsemble(blueprint)
        network.load_state_dict(load_file(folder / "network.safetensors"))
        checkpoints = tuple(
            Checkpoint(each["step"], number_of(each["score"]), load_file(folder / f"checkpoint-{place}.safetensors"))
            for place, each in enumerate(header["checkpoints"])
        )
    except FileNotFoundError as error:
        raise BundleError("folder", folder, f"lacks a file of the network ({error})", "Copy the whole folder") from None
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError("folder", folder, f"holds a damaged network ({error})", "Save it again") from None
    return FittedNetwork(blueprint, network.to(device).eval(), device), checkpoints


def _save_state(state: dict[str, torch.Tensor], path: Path) -> None:
    with replacing(path, sole_writer=True) as draft:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, draft)
