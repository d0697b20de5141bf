"""The options of one fit, checked, with the defaults and the search space."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from relselect.errors import ConfigError
from relselect.rdl.network.convolution import CONVOLUTIONS
from relselect.rdl.network.encoders import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import optuna

__all__ = ["Settings", "suggest"]

_CHOICES = {
    "strategy": ("last", "uniform"),
    "edges": ("keys", "shortcuts"),
    "convolution": tuple(CONVOLUTIONS),
    "encoder": tuple(ENCODERS),
    "aggregation": ("mean", "sum", "max"),
    "precision": ("auto", "fp32", "bf16"),
    "compile": ("auto", "on", "off"),
    "refit": ("none", "continue", "anew"),
    "texts": ("prose", "all", "none"),
}


@dataclass(frozen=True)
class Settings:
    """Options of the network and its training.

    Attributes:
        channels: Width of all vectors.
        layers: Hops of the trees and message passing layers.
        fan_out: Most neighbours per relation at the first hop; the second takes a quarter, each further one half of the last.
        strategy: "last" neighbours in time, or "uniform" draws among the visible ones.
        window: Days (of integer times: units) into the past in which sampled children must lie; 0 for all of the past.
        edges: "keys" walks along foreign keys alone, "shortcuts" also over bridges, from one parent to another.
        encoder: Name of the row encoder.
        encoder_blocks: Residual blocks of it.
        convolution: Name of the message passing layer.
        aggregation: How the neighbours of one relation are joined; attention does not read it.
        members: Networks of different starting weights that are trained side by side and averaged.
        dropout: Share of activations dropped in training.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        averaging: Share of the old in the running mean of the weights, which is what is validated and kept; 0 for none.
        batch_size: Task rows per step.
        epochs: Most validations; between two lies a pass over the training rows, or as many steps as said below.
        steps_per_epoch: Most steps between two validations.
        fewest_steps: Fewest steps between two validations: few training rows are passed over several times.
        patience: Validations without a better score after which training ends.
        checkpoints: How many of the best states are kept.
        copies: Delayed copies of the training rows, where evaluation rows have delays.
        decay: What the learning rate is multiplied by after a validation without a better score; 1 leaves it.
        refit: What predicts in the end: "none" for what was validated, "continue" for that trained a little further on
            training and validation rows, "anew" for a network trained on both from the start.
        texts: Which text columns are read: "prose" for those that are no names (see `relselect.rdl.graph.text`), "all" or "none".
        level: Whether a regression reads the mean of the labels that were known last.
        precision: Of training steps: "fp32", "bf16", or "auto" for what a trial on the GPU finds faster, fp32 on a CPU.
        compile: Whether parts of the network are compiled: "on", "off", or "auto" for what pays on a GPU, off on a CPU.
    """

    channels: int = 64
    layers: int = 3
    fan_out: int = 8
    strategy: str = "last"
    window: float = 0.0
    edges: str = "keys"
    encoder: str = "stacked"
    encoder_blocks: int = 0
    convolution: str = "sage"
    aggregation: str = "sum"
    members: int = 1
    dropout: float = 0.2
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    averaging: float = 0.98
    batch_size: int = 512
    epochs: int = 12
    steps_per_epoch: int = 30
    fewest_steps: int = 20
    patience: int = 3
    checkpoints: int = 3
    copies: int = 3
    decay: float = 0.5
    refit: str = "continue"
    texts: str = "prose"
    level: bool = True
    precision: str = "auto"
    compile: str = "auto"

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Read a configuration, options left out at their defaults.

        Raises:
            ConfigError: An option is unknown or has a value outside its range.
        """
        known = {each.name: type(each.default) for each in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in config.items():
            if name not in known:
                raise ConfigError(name, value, "is no option of the rdl family", f"Use {', '.join(known)}")
            values[name] = _checked(name, value, known[name])
        return cls(**values)

    def to_config(self) -> dict[str, Any]:
        """Return all options as JSON-able data."""
        return asdict(self)

    @property
    def fan_outs(self) -> tuple[int, ...]:
        """Most neighbours per relation, by hop."""
        return tuple(max(1, self.fan_out >> (hop + 1 if hop else 0)) for hop in range(self.layers))


def _checked(name: str, value: Any, kind: type) -> Any:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ConfigError(name, value, "is not among the choices", f"Use one of {', '.join(_CHOICES[name])}")
        return value
    if kind is bool:
        if not isinstance(value, bool):
            raise ConfigError(name, value, "must be true or false", "Pass one of them")
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or (kind is int and value != int(value)):
        raise ConfigError(name, value, f"must be {'a whole number' if kind is int else 'a number'}", "Pass a number")
    lowest = 0 if kind is float or name in ("encoder_blocks", "copies", "patience") else 1
    highest = " and below 1" if name in ("dropout", "averaging") else ""
    if value < lowest or (highest and value >= 1):
        raise ConfigError(name, value, f"must be at least {lowest}{highest}", "Change it")
    return kind(value)


def suggest(trial: optuna.Trial, encoders: tuple[str, ...] = tuple(ENCODERS)) -> dict[str, Any]:
    """Draw a configuration from the search space.

    Args:
        trial: The trial that draws.
        encoders: The encoders to draw from.
    """
    return {
        "channels": trial.suggest_categorical("channels", [32, 64, 128]),
        "layers": trial.suggest_int("layers", 1, 3),
        "fan_out": trial.suggest_categorical("fan_out", [8, 16, 32, 64]),
        "strategy": trial.suggest_categorical("strategy", ["last", "uniform"]),
        "encoder": trial.suggest_categorical("encoder", list(encoders)),
        "encoder_blocks": trial.suggest_int("encoder_blocks", 0, 2),
        "convolution": trial.suggest_categorical("convolution", list(CONVOLUTIONS)),
        "aggregation": trial.suggest_categorical("aggregation", ["mean", "sum", "max"]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.4),
        "learning_rate": trial.suggest_float("learning_rate", 5e-4, 1e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [256, 512, 1024]),
    }
