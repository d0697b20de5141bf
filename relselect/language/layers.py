"""Names the weights of the last layers of a language model, which are those that a training may change.

Layers are found by their numbers in the names of the weights ("encoder.layer.5.output.dense.weight"), so that no architecture
is named here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from relselect.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ALL_LAYERS", "last_layers"]

#: The number of layers that stands for the whole model, its embeddings included.
ALL_LAYERS = -1
_LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks?|h)\.(\d+)\.")
#: The vector of a sentence is a mean of token vectors; the pooler, which reads the first token alone, has no part in it.
_UNREAD = "pooler."


def last_layers(model: nn.Module, layers: int, argument: str) -> list[str]:
    """Return the names of the parameters of a model's last layers, in the order of the model.

    Args:
        model: An encoder of the package transformers.
        layers: How many layers; 0 for none, `ALL_LAYERS` for every parameter that a sentence's vector depends on.
        argument: The name of the option, for errors.

    Raises:
        ConfigError: The model has fewer layers.
    """
    names = [name for name, _ in model.named_parameters() if not name.startswith(_UNREAD)]
    if layers == ALL_LAYERS:
        return names
    numbers = {name: int(found[1]) for name in names if (found := _LAYER.search(name)) is not None}
    count = len(set(numbers.values()))
    if not 0 <= layers <= count:
        rule = f"is not among 0 to {count}, the layers of the language model"
        raise ConfigError(argument, layers, rule, f"Use at most {count}, or {ALL_LAYERS} for the whole model")
    return [name for name in names if name in numbers and numbers[name] >= count - layers]
