"""Sizes in bytes: one meaning everywhere."""

import re
from pathlib import Path

import pytest

from relselect.database.byte_sizes import parse_bytes
from relselect.database.sources.spool import Spool
from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.plan.plan import Plan
from relselect.errors import ConfigError

SOURCE = Path(__file__).parents[2] / "relselect"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (5, 5), ("5", 5), ("5 B", 5), ("1.5 kB", 1_500), ("1.5KiB", 1_536), ("2MB", 2 * 10**6), ("2MiB", 2**21),
        ("1g", 10**9), ("1Gi", 2**30), ("2gb", 2 * 10**9), (" 3 TB ", 3 * 10**12), ("1TiB", 2**40),
        (2**60 + 1, 2**60 + 1),
    ],
)  # fmt: skip
def test_units_of_1000_and_of_1024_are_kept_apart(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "wrong", ["much", "", "GB", "-1", -1, 0, "0", "0.4", True, "5 apples", "1PB", float("nan"), float("inf")]
)
def test_what_is_no_positive_size_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"cache_size=.* must be a positive size"):
        parse_bytes(wrong, "cache_size")


def test_zero_is_a_size_only_where_it_means_something():
    assert parse_bytes(0, zero=True) == parse_bytes("0", zero=True) == 0
    with pytest.raises(ConfigError, match="not negative"):
        parse_bytes(-1, zero=True)


def test_tables_and_features_read_the_same_size():
    plan = Plan("users", tuple(Feature(Aggregate.DIRECT, column=f"c{number}") for number in range(100)))
    assert Spool("1MB").limit == 10**6
    assert len(plan.capped(memory="1MB", rows=10_000)) == 10**6 // (8 * 10_000)


def test_there_is_one_reader_of_sizes():
    readers = [path.name for path in SOURCE.rglob("*.py") if re.search(r"def parse_(bytes|size)\b", path.read_text())]
    assert readers == ["byte_sizes.py"]
