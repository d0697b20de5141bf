"""Words and colours of the families that a record names.

No family is known here: everything comes from the record, so the report of a family that is not installed on the reading
machine renders as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from relselect.report.record import FamilyRecord, LeaderboardRecord, RunRecord

__all__ = ["baselines", "colour_style", "family_class", "family_info", "is_baseline", "trained"]

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_GREY_LIGHT, _GREY_DARK = "#747b86", "#98a0ab"
_OTHER_LIGHT, _OTHER_DARK = "#8a4b9c", "#d3a0e2"


def family_info(record: RunRecord, name: str) -> FamilyRecord:
    """Returns the words of a family; one that the record does not describe is called by its name."""
    for family in record["families"]:
        if family["name"] == name:
            return family
    return FamilyRecord(
        name=name,
        title=name,
        phrase=name,
        short=name,
        description="",
        colour_light=_OTHER_LIGHT,
        colour_dark=_OTHER_DARK,
        baseline=False,
    )


def is_baseline(record: RunRecord, name: str) -> bool:
    """Whether a family is a baseline: it never learns, and every other one has to beat it."""
    return family_info(record, name)["baseline"]


def trained(record: RunRecord) -> list[LeaderboardRecord]:
    """Returns the candidates of families that learn, in the order of the leaderboard."""
    return [row for row in record["leaderboard"] if not is_baseline(record, row["family"])]


def baselines(record: RunRecord) -> list[LeaderboardRecord]:
    """Returns the candidates of baseline families, in the order of the leaderboard."""
    return [row for row in record["leaderboard"] if is_baseline(record, row["family"])]


def family_class(record: RunRecord, name: str | None) -> str:
    """Returns the CSS class of a family: "f0", "f1", ... by its place in the record, "other" where it has none."""
    names = [family["name"] for family in record["families"]]
    return f"f{names.index(name)}" if name in names else "other"


def colour_style(families: Sequence[FamilyRecord]) -> str:
    """Returns the style sheet that gives each family's class its colour as `--family`, for light, dark and print."""
    light = [_colour(family["colour_light"], _GREY_LIGHT) for family in families]
    dark = [_colour(family["colour_dark"], _GREY_DARK) for family in families]
    return "\n".join(
        (
            f".other {{ --family: {_OTHER_LIGHT}; }} {_rules(light)}",
            "@media screen and (prefers-color-scheme: dark) {",
            f"  .other {{ --family: {_OTHER_DARK}; }} {_rules(dark)}",
            "}",
        )
    )


def _rules(colours: list[str]) -> str:
    return " ".join(f".f{place} {{ --family: {colour}; }}" for place, colour in enumerate(colours))


def _colour(text: str, otherwise: str) -> str:
    """A colour of the record, or another one where the text is no colour: it goes into the page's style."""
    return text if _COLOUR.fullmatch(text) else otherwise
