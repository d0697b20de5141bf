"""A trained tabular network: predicts, offers other checkpoints and their loss, and is saved as safetensors and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call

from relselect.dfs.learners.network.encoding import MOST_CATEGORIES, QUANTILES, TabularEncoding
from relselect.dfs.learners.network.module import NetworkShape, TabularNetwork
from relselect.dfs.learners.network.objective import Objective
from relselect.files import write_json
from relselect.serialization import canonical_json
from relselect.tensor_files import load_state, save_state, shapes_of
from relselect.torch_threads import one_thread
from relselect.untrusted import read_strict_json, regular_size

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.dfs.learners.protocol import TabularData

__all__ = ["NetworkModel", "TabularProbe"]

Floats = NDArray[np.float64]

_FORMAT = 1
_HEAD, _WEIGHTS = "tabular_network.json", "tabular_network.safetensors"
#: Rows predicted at a time.
_BLOCK = 4096
#: Features and checkpoints at most.
_MOST_FEATURES, _MOST_CHECKPOINTS = 1 << 20, 1000


class NetworkModel:
    """A trained network with the encoding of its features.

    Args:
        encoding: How features are read.
        objective: How outputs become predictions.
        network: The network, in its best state.
    """

    def __init__(self, encoding: TabularEncoding, objective: Objective, network: TabularNetwork) -> None:
        self.encoding, self.objective, self.network = encoding, objective, network.eval()

    def predict(self, values: Floats) -> Floats:
        """Return predictions of shape (n,), or (n, classes), for features of shape (n, k)."""
        blocks = [values[start : start + _BLOCK] for start in range(0, max(1, len(values)), _BLOCK)]
        with torch.inference_mode(), one_thread():
            return np.concatenate([self.objective.predictions(self._outputs(block)) for block in blocks])

    def _outputs(self, values: Floats) -> Tensor:
        outputs: Tensor = self.network(*map(torch.from_numpy, self.encoding.encode(values)))
        return outputs

    def importances(self) -> Floats | None:
        """Return None: a network has no shares of its features."""
        return None

    def at(self, state: Mapping[str, Tensor]) -> NetworkModel:
        """Return the model with the weights of another checkpoint."""
        network = TabularNetwork(self.network.shape)
        network.load_state_dict(dict(state))
        return NetworkModel(self.encoding, self.objective, network)

    def probe(self, data: TabularData, states: Sequence[Mapping[str, Tensor]]) -> TabularProbe:
        """Return the loss on these rows, at the weights of the checkpoints."""
        return TabularProbe(self, data, states)

    def save(self, folder: Path) -> None:
        """Write `tabular_network.json` and `tabular_network.safetensors`."""
        encoding = self.encoding
        head = {
            "format": _FORMAT,
            "shape": self.network.shape.to_json(),
            "objective": self.objective.to_json(),
            "numeric": encoding.numeric,
            "flagged": encoding.flagged,
            "categorical": encoding.categorical,
        }
        write_json(folder / _HEAD, head)
        quantiles = torch.from_numpy(np.ascontiguousarray(encoding.quantiles))
        save_state({**_prefixed(self.network.state_dict()), "quantiles": quantiles}, folder / _WEIGHTS)

    def save_states(self, states: Sequence[Mapping[str, Tensor]], folder: Path) -> None:
        """Write the weights of the checkpoints, one file each."""
        for place, state in enumerate(states):
            save_state(state, _checkpoint(folder, place))

    def load_states(self, folder: Path, count: int) -> list[dict[str, Tensor]]:
        """Return the weights that `save_states` wrote.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file is damaged.
        """
        if not 0 <= count <= _MOST_CHECKPOINTS:
            raise ValueError(f"{count} checkpoints are more than {_MOST_CHECKPOINTS}")
        shapes = shapes_of(self.network.state_dict())
        return [load_state(_checkpoint(folder, place), shapes) for place in range(count)]

    @classmethod
    def load(cls, folder: Path) -> NetworkModel:
        """Return the model that `save` wrote; sizes are checked against the file before anything is allocated.

        Raises:
            OSError: A file cannot be read.
            ValueError: A file is damaged.
        """
        head = read_strict_json(folder / _HEAD)
        if not isinstance(head, dict) or head.get("format") != _FORMAT:
            raise ValueError(f"{_HEAD} is of another format than {_FORMAT}")
        shape, objective = NetworkShape.from_json(head["shape"]), Objective.from_json(head["objective"])
        if objective.outputs != shape.outputs:
            raise ValueError("the network has another number of outputs than its objective")
        if shape.least_bytes() > regular_size(folder / _WEIGHTS):
            raise ValueError(f"{_WEIGHTS} holds less than a network of its sizes")
        network = TabularNetwork(shape)
        numeric, flagged, categorical = _columns(head, shape)
        quantile_shape = torch.Size((QUANTILES, len(numeric)))
        shapes = {**shapes_of(_prefixed(network.state_dict())), "quantiles": (quantile_shape, torch.float64)}
        state = load_state(folder / _WEIGHTS, shapes)
        quantiles = state.pop("quantiles").numpy()
        if (np.diff(quantiles, axis=0) < 0).any():
            raise ValueError("the quantiles of a column do not rise")
        network.load_state_dict({name.removeprefix("network."): tensor for name, tensor in state.items()})
        return cls(TabularEncoding(numeric, flagged, quantiles, categorical, shape.cardinalities), objective, network)


class TabularProbe:
    """The loss of a network on fixed rows, in evaluation mode; Huber's loss stands for the absolute error.

    Args:
        model: The network.
        data: Labelled rows.
        states: The weights of the checkpoints.
    """

    def __init__(self, model: NetworkModel, data: TabularData, states: Sequence[Mapping[str, Tensor]]) -> None:
        shape = model.network.shape
        self.architecture = canonical_json({"learner": "tabm", "shape": shape.to_json()})
        self._inputs = tuple(map(torch.from_numpy, model.encoding.encode(data.features.values)))
        self._target = model.objective.targets(data.label)
        self._model, self._states = model, states

    def parameters(self, checkpoint: int) -> dict[str, Tensor]:
        """Return the weights of a checkpoint, detached."""
        state = self._states[checkpoint]
        return {name: state[name].detach().clone() for name, _ in self._model.network.named_parameters()}

    def loss(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Return the scalar loss at these weights, in evaluation mode and single precision."""
        outputs = functional_call(self._model.network.eval(), dict(parameters), self._inputs)
        return self._model.objective.loss(outputs, self._target, smooth=True)


def _prefixed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"network.{name}": tensor for name, tensor in state.items()}


def _checkpoint(folder: Path, place: int) -> Path:
    return folder / f"checkpoint-{place}.safetensors"


def _columns(head: Mapping[str, Any], shape: NetworkShape) -> tuple[tuple[int, ...], tuple[bool, ...], tuple[int, ...]]:
    """Return the numeric columns, whether each is flagged, and the categorical columns.

    Raises:
        ValueError: They do not fit one another or the network.
    """
    numeric, flagged, categorical = (head[name] for name in ("numeric", "flagged", "categorical"))
    places = [*numeric, *categorical]
    if any(type(place) is not int for place in places) or sorted(places) != list(range(len(places))):
        raise ValueError("the columns are not numbered from 0")
    if any(not isinstance(flag, bool) for flag in flagged) or len(places) > _MOST_FEATURES:
        raise ValueError("a flag is neither true nor false, or there are too many columns")
    sizes = (len(numeric), sum(flagged), len(flagged), len(categorical))
    if sizes != (shape.numbers, shape.flags, shape.numbers, len(shape.cardinalities)):
        raise ValueError("the network reads another number of columns")
    if any(not 1 <= size <= MOST_CATEGORIES for size in shape.cardinalities):
        raise ValueError("a categorical column has no or too many category numbers")
    return tuple(numeric), tuple(flagged), tuple(categorical)
