"""The table of docs/security.md counts the cases that there are, and they are enough."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.hostile.tally import KINDS, Kind

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", KINDS, ids=[kind.title for kind in KINDS])
def test_the_table_counts_what_is_tried(kind: Kind) -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    (row,) = re.findall(rf"^\| {re.escape(kind.title)} \| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    assert tuple(map(int, row)) == (kind.least, kind.tried, kind.tried)
    assert kind.tried >= kind.least


@pytest.mark.parametrize("place", [place for kind in KINDS for place in kind.cases])
def test_what_is_counted_is_a_test(place: str) -> None:
    file, function = place.split("::")
    assert f"\ndef {function}(" in (ROOT / file).read_text()
