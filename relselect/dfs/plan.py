"""A plan: which features of an entity, in order of priority. Nothing here computes or chooses them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from relselect.dfs.feature import Feature
from relselect.dfs.schema import Schema

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """An ordered list of features of one entity table; names are unique.

    Attributes:
        entity: The table asked about.
        features: In order of priority.
        schema: What the features are read from, where the plan was made for a database.
    """

    entity: str
    features: tuple[Feature, ...]
    schema: Schema | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    def where(self, keep: Callable[[Feature], bool]) -> list[int]:
        """Return the places of the features that `keep` accepts."""
        return [place for place, feature in enumerate(self.features) if keep(feature)]

    def take(self, places: Sequence[int]) -> Plan:
        """Return the plan with only those places, in that order."""
        return replace(self, features=tuple(self.features[place] for place in places))

    def save(self, path: Path) -> None:
        """Write the plan as JSON."""
        data = {
            "entity": self.entity,
            "features": [feature.to_json() for feature in self.features],
            **({"schema": self.schema.to_json()} if self.schema is not None else {}),
        }
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Return the plan that `save` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        schema = Schema.from_json(data["schema"]) if "schema" in data else None
        return cls(data["entity"], tuple(Feature.from_json(item) for item in data["features"]), schema)
