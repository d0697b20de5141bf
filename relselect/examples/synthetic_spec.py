"""Specifications of synthetic databases, and the shipped grid of them.

A specification says what is generated: schema, links, signal, noise. It generates nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from relselect.configs import config_path
from relselect.counts import check_count
from relselect.errors import ConfigError

__all__ = ["Pattern", "SyntheticSpec", "synthetic_specs"]

#: How the column value of a linked row enters the score; see `SyntheticSpec`.
Pattern = Literal["linear", "threshold", "band", "xor", "gate"]
_CHOICES = {
    "kind": ("binary", "regression"),
    "source": ("path", "peers"),
    "pattern": get_args(Pattern),
    "aggregate": ("mean", "sum"),
    "recency": ("all", "month", "last"),
}
_COUNTS = ("people", "cutoffs", "events", "depth", "hops")
_SHARES = ("kinship", "drift", "missing", "base_rate")
_DEEPEST = 4


@dataclass(frozen=True)
class SyntheticSpec:
    """What a synthetic database holds, and what its labels depend on.

    People cause dated events. An event is of an item, an item is of a maker, a maker is of a region (`depth` tables; with
    `bridge`, an item has tags through the table of links instead). With `contacts`, people also meet each other in pairs.
    Every table has the columns a, b, c, d and `columns` further ones, all standard normal; signals read the first four.

    The score of a person at a cutoff aggregates a value v over the rows that are visible then: over the person's events
    (`source="path"`; v reads the row that is `hops` foreign keys away) or over the people met (`source="peers"`):

    * "linear": v = a;
    * "threshold": v = 1 if a > 0.5, else 0;
    * "band": v = 1 if |a| < 0.674, else 0, which is uncorrelated with a;
    * "xor": v = sign(a) sign(b), with b of the row before it on the path (of the same row at one hop; of the contact for
      peers): neither column carries information alone;
    * "gate": v = a, and the aggregate is multiplied by the sign of the person's own a.

    With S the score, standardised over the people at each cutoff, T the person's hidden type (-1 or 1 with equal probability)
    and E standard normal, the label comes from z = sqrt(1 - noise) (sqrt(1 - kinship) S + sqrt(kinship) T) + sqrt(noise) E:
    a regression label is z, a binary label is 1 where z is above the quantile that makes the share of ones `base_rate`.

    Attributes:
        kind: "binary" or "regression".
        people: Number of entities.
        cutoffs: Number of cutoffs, at least 3, 30 days apart; labels are known after 30 days.
        once: Whether every person is asked about at one cutoff only, so that no row has past labels of its own.
        events: Mean number of events of a person.
        contacts: Mean number of contacts of a person; 0 leaves the tables out.
        depth: Number of tables from events upwards, 1 to 4.
        bridge: Whether tables are joined through many-to-many bridges: items to tags through links, contacts as meetings with
            attendances.
        source: Whether the score comes from the path of events or from the people met.
        pattern: How a value enters the score.
        hops: Foreign keys between the person and the value: 1 to `depth` on the path; for peers 2, or 4 with `bridge`.
        aggregate: "mean" or "sum" over the visible rows.
        recency: Which visible rows count: "all", those of the last 30 days ("month"), or the "last" one.
        homophily: Correlation of the types of two people who meet, -1 to 1.
        kinship: Share of the score's variance that is the person's type, 0 to 1. Only past labels, one's own and those of the
            people met, say something of it.
        drift: Quarter turns by which the score moves from the columns a and b to c and d between first and last cutoff, 0 to 1.
        noise: Share of the label's variance that nothing explains, 0.01 to 1.
        missing: Share of foreign keys on the path that are NULL, 0 to 1. A row without its key adds nothing to the score.
        base_rate: Share of ones of a binary label.
        distractors: Number of further tables, in chains below the people, that the label does not depend on.
        columns: Number of further columns of every table.

    Raises:
        ConfigError: A field is outside its range, or two contradict each other.

    >>> SyntheticSpec(pattern="xor", hops=2).depth
    3
    """

    kind: Literal["binary", "regression"] = "binary"
    people: int = 1000
    cutoffs: int = 10
    once: bool = False
    events: int = 12
    contacts: int = 0
    depth: int = 3
    bridge: bool = False
    source: Literal["path", "peers"] = "path"
    pattern: Pattern = "linear"
    hops: int = 1
    aggregate: Literal["mean", "sum"] = "mean"
    recency: Literal["all", "month", "last"] = "all"
    homophily: float = 0.0
    kinship: float = 0.0
    drift: float = 0.0
    noise: float = 0.3
    missing: float = 0.0
    base_rate: float = 0.5
    distractors: int = 0
    columns: int = 2

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(name, getattr(self, name), "is not known", f"Use one of: {', '.join(known)}")
        for name in _COUNTS:
            check_count(name, getattr(self, name))
        for name in ("contacts", "distractors", "columns"):
            if getattr(self, name) != 0:
                check_count(name, getattr(self, name))
        for name in _SHARES:
            _check_range(name, getattr(self, name), 0.0, 1.0)
        _check_range("homophily", self.homophily, -1.0, 1.0)
        _check_range("noise", self.noise, 0.01, 1.0)
        for name in ("once", "bridge"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(name, getattr(self, name), "must be true or false", f"Write e.g. {name}=True")
        self._check_together()

    def _check_together(self) -> None:
        if self.depth > _DEEPEST:
            raise ConfigError("depth", self.depth, f"must be 1 to {_DEEPEST}", f"Write e.g. depth={_DEEPEST}")
        if self.cutoffs < 3:
            raise ConfigError("cutoffs", self.cutoffs, "each split needs a cutoff of its own", "Write e.g. cutoffs=9")
        if self.source == "peers":
            hops = 4 if self.bridge else 2
            if self.hops != hops:
                rule = f"people who meet are {hops} foreign keys apart {'with' if self.bridge else 'without'} a bridge"
                raise ConfigError("hops", self.hops, rule, f"Write hops={hops}")
        elif self.hops > self.depth:
            raise ConfigError("hops", self.hops, f"the path has {self.depth} tables", f"Write depth={self.hops}")
        if not self.contacts and (self.source == "peers" or self.homophily):
            rule = "people who meet are asked for, and none do"
            raise ConfigError("contacts", self.contacts, rule, "Write e.g. contacts=8")
        if not 0.0 < self.base_rate < 1.0:
            rule = "a binary label needs both values"
            raise ConfigError("base_rate", self.base_rate, rule, "Write e.g. base_rate=0.1")


def synthetic_specs() -> dict[str, SyntheticSpec]:
    """Return the shipped grid of specifications, `configs/bank/synthetic.yaml`, by name.

    Raises:
        ConfigError: The file is damaged.

    >>> len(synthetic_specs()) >= 60
    True
    """
    from relselect.database.yaml_loader import load_yaml

    content = load_yaml(config_path("bank", "synthetic.yaml"))
    return {name: _spec(name, {**content["defaults"], **given}) for name, given in content["specs"].items()}


def _spec(name: str, given: Mapping[str, Any]) -> SyntheticSpec:
    known = [each.name for each in fields(SyntheticSpec)]
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(name, unknown, "are no fields of a specification", f"Use some of: {', '.join(known)}")
    return SyntheticSpec(**given)


def _check_range(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ConfigError(name, value, f"must be a number from {low:g} to {high:g}", f"Write e.g. {name}={high / 2:g}")
