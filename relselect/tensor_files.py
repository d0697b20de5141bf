"""Writes and reads the weights of a network as safetensors; what is read is checked against the shapes that are expected.

Deliberately not here: what the weights belong to, which a JSON header beside the file says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from relselect.files import replacing
from relselect.untrusted import regular_size

__all__ = ["Shapes", "load_state", "read_metadata", "save_state", "shapes_of"]

#: Name -> shape and type of each tensor.
Shapes = Mapping[str, tuple[torch.Size, torch.dtype]]


def shapes_of(state: Mapping[str, torch.Tensor]) -> Shapes:
    """Return the shapes and types of a state, which may lie on the device "meta" and then takes no memory.

    >>> shapes_of({"bias": torch.zeros(3)})
    {'bias': (torch.Size([3]), torch.float32)}
    """
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}


def load_state(path: Path, shapes: Shapes) -> dict[str, torch.Tensor]:
    """Return the weights in a file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: They are of other shapes than the network's, or not finite.
    """
    regular_size(path)
    with safe_open(path, framework="pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if found != {name: tuple(shape) for name, (shape, _) in shapes.items()}:
        raise ValueError(f"{path.name} holds weights of other shapes than the network's")
    state: dict[str, torch.Tensor] = load_file(path)
    for name, tensor in state.items():
        if tensor.dtype != shapes[name][1] or not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{path.name} holds weights that are not finite or of another type")
    return state


def save_state(state: Mapping[str, torch.Tensor], path: Path, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write weights atomically, from whatever device they are on, and texts in the header of the file."""
    with replacing(path, sole_writer=True) as draft:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        save_file(plain, draft, metadata=None if metadata is None else dict(metadata))


def read_metadata(path: Path) -> dict[str, str]:
    """Return the texts in the header of a file of weights; empty where there are none.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no regular file.
    """
    regular_size(path)
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})
