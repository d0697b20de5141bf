"""Readings are whole sentences, and those of homophily follow value and error."""

from __future__ import annotations

import re

import pytest

from relselect.database.clock import DAY
from relselect.profile import profile_task, readings
from tests.profile import worlds


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_readings_are_sentences(kind: str) -> None:
    found = worlds.frames(0)
    for measure in profile_task(worlds.problem(found, worlds.labels(0, found["people"], kind), kind)).measures:
        assert re.fullmatch(r"[A-Z0-9].*[^\s,.;:]\.", measure.reading), measure.reading


@pytest.mark.parametrize(
    ("value", "error", "classes", "relation"),
    [
        (0.3, 0.02, 2, "agree more than chance"),
        (0.6, 0.02, 2, "agree strongly more than chance"),
        (-0.05, 0.01, 3, "agree slightly less than chance"),
        (0.01, 0.02, 2, "agree no more than chance"),
        (0.1, 0.2, 2, "cannot be distinguished from unrelated ones"),
        (0.6, 0.1, 0, "correlate strongly positively"),
        (-0.2, 0.01, 0, "correlate negatively"),
        (0.0, 0.01, 0, "are unrelated"),
    ],
)
def test_homophily_is_read_with_its_error(value: float, error: float, classes: int, relation: str) -> None:
    reading = readings.homophily(value, error, "customers that share a region", 1200, classes)
    assert reading.startswith(f"Labels of customers that share a region {relation}: ")
    assert reading.endswith("(1,200 pairs).")


def test_spans_name_their_unit() -> None:
    assert readings.span(7 * DAY, 14 * DAY, integer=False) == "7 to 14 days"
    assert readings.span(DAY // 4, DAY // 2, integer=False) == "6.0 to 12.0 hours"
    assert readings.span(2000, 4000, integer=True) == "2,000 to 4,000 time units"
