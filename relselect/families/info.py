"""What the rest of the package knows of a family: its names, its colour and where its code is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relselect.families.protocol import Family

__all__ = ["FamilyInfo"]


@dataclass(frozen=True)
class FamilyInfo:
    """The description of one family of models.

    Attributes:
        name: Its name in configurations, files and options, such as "dfs".
        title: Its name in sentences, such as "feature synthesis".
        phrase: The title as the object of a sentence, such as "a graph neural network".
        short: Its short title in tables, such as "DFS".
        colours: Its colour in pictures on a light and on a dark page, as CSS hexadecimal colours.
        make: Returns the family; imports its code when it is called, not before.
        description: One or two sentences that explain it to a newcomer; in the glossary of the report.
        baseline: Whether it is a baseline: always fitted, never tuned, deployed only where nothing beats it.
        combines: Whether its candidates are made from candidates of other families: never fitted, never tuned.
        optional: Whether it is trained only where a caller names it.
        seeds: How many fits of the chosen configuration, with different seeds, a run averages where it has the time.
        generation: Raised when the family's defaults or its training change so much that earlier trials no longer describe it;
            performance banks compare trials of one generation only.
    """

    name: str
    title: str
    phrase: str
    short: str
    colours: tuple[str, str]
    make: Callable[[], Family]
    description: str = ""
    baseline: bool = False
    combines: bool = False
    optional: bool = False
    seeds: int = 1
    generation: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the description for readers as JSON-able values, without the code and its generation."""
        plain = asdict(self)
        light, dark = plain.pop("colours")
        del plain["make"], plain["generation"], plain["optional"], plain["seeds"]
        return plain | {"colour_light": light, "colour_dark": dark}
