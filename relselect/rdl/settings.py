"""Options of the network and its training: defaults and checks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from relselect.errors import ConfigError
from relselect.rdl.graph.placement import STORES
from relselect.rdl.network.convolutions import CONVOLUTIONS
from relselect.rdl.network.encoders import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NetworkSettings"]

_CHOICES = {
    "strategy": ("last", "uniform"),
    "sampling": ("cpu", "gpu"),
    "edges": ("keys", "shortcuts"),
    "routes": ("off", "composite"),
    "store": STORES,
    "convolution": tuple(CONVOLUTIONS),
    "encoder": tuple(ENCODERS),
    "aggregation": ("mean", "sum", "max"),
    "precision": ("auto", "fp32", "bf16"),
    "compile": ("auto", "on", "off"),
    "refit": ("none", "continue", "anew", "auto"),
    "texts": ("prose", "all", "none"),
    "rows": ("columns", "language", "both"),
}
#: Smallest values of options that are whole numbers, where it is not 1.
_LOWEST = {"encoder_blocks": 0, "copies": 0, "patience": 0, "language_layers": -1}


@dataclass(frozen=True)
class NetworkSettings:
    """Options of the network and its training.

    Attributes:
        channels: Width of all vectors.
        layers: Number of hops of the trees, and of message passing layers.
        fan_out: Most neighbours per node and relation at the first hop; a quarter of it at the second, half of the hop before at
            each further hop, at least one.
        strategy: "last" for the latest visible neighbours, "uniform" for random ones among all visible neighbours.
        sampling: Where the trees of a network on a GPU are sampled: "cpu" for the CPU while the GPU computes, "gpu" for the GPU
            itself; both give the same trees. A network on a CPU has them from the CPU.
        window: Length of the time window before the as-of from which children are sampled, in days (in units where times are
            integers); 0 for all of the past.
        edges: "keys" for edges along foreign keys alone, "shortcuts" also across bridge tables, from one parent to another.
        routes: "off" for plain messages alone, "composite" for one message across a bridge table in place of two (see
            `relselect.rdl.network.routes`); only where a table has two foreign keys.
        store: Where the graph and its columns are kept: "memory", "disk" for memory-mapped files in the folder `graphs` of the
            cache, or "auto" for files where they would fill more than a quarter of the free memory; all give the same network.
        encoder: Name of the row encoder.
        encoder_blocks: Number of residual blocks of the row encoder.
        without: Tables whose rows stay out of the trees; never the entity table.
        mark: Whether a learnt vector marks the root among other rows of its table (the labelling trick).
        jumping: Whether the head reads the root's vectors after every layer (jumping knowledge), not only after the last.
        convolution: Name of the message passing layer.
        aggregation: "mean", "sum" or "max" over the neighbours of one relation; only "sage" reads it.
        members: Number of networks of different initial weights whose outputs are averaged.
        dropout: Share of activations dropped in training.
        learning_rate: Learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        averaging: Decay of the running mean of the weights, which is validated and kept; 0 for no averaging.
        batch_size: Task rows per step, of all processes together.
        parts: Parts that a batch is cut into. Each has random draws of its own and is computed by itself, so that one process and
            several, which share the parts, give the same network; several processes need as many parts at least.
        epochs: Most validations. Between two lies one pass over the training rows, bounded by the next two options.
        steps_per_epoch: Most steps between two validations.
        fewest_steps: Fewest steps between two validations, in several passes where there are few training rows.
        patience: Most validations in a row without progress before training ends.
        rising: Whether a better score than at the validation before counts as progress, though an earlier one was the best:
            scores may fall after the first validation and rise again.
        checkpoints: Number of the best states that are kept.
        copies: Number of delayed copies of each training row, where evaluation rows have delays.
        decay: Factor of the learning rate after a validation without progress; 1 for a constant rate.
        refit: Which network predicts: "none" for the validated one, "continue" for the validated one trained further on training
            and validation rows, "anew" for one trained on both from the start, "auto" for "anew" where there is time for it and
            "continue" elsewhere.
        texts: Which text columns are read: "prose" for all but names (see `relselect.rdl.graph.text`), "all" or "none".
        rows: How rows are read: "columns" by their columns, "language" as sentences by a language model, beside moments and
            columns that become known after their row, or "both".
        language_tables: The tables whose rows are read as language, all others by their columns; every table if empty. The
            language model takes its time for every different row, and few tables hold texts.
        language: The language model, see `relselect.language.find_language_model`; read where `rows` asks for one.
        language_layers: How many of the last layers of the language model are trained together with the network: 0 for none,
            whose vectors are computed once; -1 for the whole model.
        language_rate: Learning rate of these layers.
        init: "scratch" for random initial weights, else the file or folder of pretrained weights (`relselect pretrain`), which
            decide the width, the number of layers and the convolution.
        frozen: Whether pretrained weights stay as they are; all other weights are trained.
        init_rate: Learning rate of pretrained weights that are not frozen.
        level: Whether a regression reads the label level (see `relselect.rdl.network.label_level`).
        precision: Precision of training steps: "fp32", "bf16", or "auto" for the faster one on a GPU and fp32 on a CPU.
        compile: Whether parts of the network are compiled: "on", "off", or "auto" for on where it saves time on a GPU.
    """

    channels: int = 64
    layers: int = 3
    fan_out: int = 8
    strategy: str = "last"
    sampling: str = "cpu"
    window: float = 0.0
    edges: str = "keys"
    routes: str = "off"
    store: str = "auto"
    encoder: str = "stacked"
    encoder_blocks: int = 0
    without: tuple[str, ...] = ()
    mark: bool = True
    jumping: bool = False
    convolution: str = "multi"
    aggregation: str = "sum"
    members: int = 1
    dropout: float = 0.2
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    averaging: float = 0.98
    batch_size: int = 512
    parts: int = 1
    epochs: int = 40
    steps_per_epoch: int = 30
    fewest_steps: int = 20
    patience: int = 3
    rising: bool = False
    checkpoints: int = 3
    copies: int = 3
    decay: float = 0.5
    refit: str = "continue"
    texts: str = "prose"
    rows: str = "columns"
    language_tables: tuple[str, ...] = ()
    language: str = ""
    language_layers: int = 0
    language_rate: float = 5e-5
    init: str = "scratch"
    frozen: bool = False
    init_rate: float = 5e-4
    level: bool = True
    precision: str = "auto"
    compile: str = "auto"

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> NetworkSettings:
        """Read a configuration; options that it leaves out have their defaults.

        Raises:
            ConfigError: An option is unknown or has a value outside its range.
        """
        known = {each.name: type(each.default) for each in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in config.items():
            if name not in known:
                raise ConfigError(name, value, "is no option of the graph network", f"Use {', '.join(known)}")
            values[name] = _checked(name, value, known[name])
        return cls(**values)

    def to_config(self) -> dict[str, Any]:
        """Return all options as JSON-able data."""
        return asdict(self) | {"without": list(self.without), "language_tables": list(self.language_tables)}

    @property
    def fan_outs(self) -> tuple[int, ...]:
        """Most neighbours per relation, by hop."""
        return tuple(max(1, self.fan_out >> (hop + 1 if hop else 0)) for hop in range(self.layers))


def _checked(name: str, value: Any, kind: type) -> Any:
    advice = f"Use {getattr(NetworkSettings, name)}, the default"
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ConfigError(name, value, "is not among the choices", f"Use one of {', '.join(_CHOICES[name])}")
        return value
    if kind is str:
        if not isinstance(value, str):
            raise ConfigError(name, value, "must be text", advice)
        return value
    if kind is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
            raise ConfigError(name, value, "must be a list of table names", 'Write e.g. ["reviews"], or [] for none')
        return tuple(value)
    if kind is bool:
        if not isinstance(value, bool):
            raise ConfigError(name, value, "must be true or false", "Write true or false, without quotes")
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or (kind is int and value != int(value)):
        raise ConfigError(
            name,
            value,
            f"must be {'a whole number' if kind is int else 'a number'}",
            advice,
        )
    lowest = _LOWEST.get(name, 0 if kind is float else 1)
    highest = " and below 1" if name in ("dropout", "averaging") else ""
    if value < lowest or (highest and value >= 1):
        raise ConfigError(name, value, f"must be at least {lowest}{highest}", advice)
    return kind(value)
