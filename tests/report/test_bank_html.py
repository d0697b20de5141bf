"""The page of a performance bank: well formed, escaped, the same bytes for the same bank, and clear about what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relselect.bank import PerformanceBank
from relselect.report import bank_page
from tests.report.test_pages import HOSTILE, Page
from tests.selector.banks import planted_bank


@pytest.fixture(scope="module")
def bank() -> PerformanceBank:
    return planted_bank(0.15, databases=8, tasks=2)


def test_it_shows_policies_curve_homophily_and_coverage(bank: PerformanceBank) -> None:
    text = bank_page(bank)
    page = Page(text)
    assert page.open == []
    names = {attributes.get("id") for tag, attributes in page.tags if tag == "section"}
    assert names == {"verdict", "policies", "learning", "homophily", "coverage"}
    assert sum(tag == "svg" for tag, _ in page.tags) == 6  # three figures, each for wide and narrow windows
    assert "script" not in {tag for tag, _ in page.tags}
    words = " ".join(page.words)
    assert "16 real tasks of 8 databases" in words
    assert all(name in words for name in bank.databases)
    assert "posterior blend" in words


def test_equal_banks_give_equal_bytes(bank: PerformanceBank) -> None:
    again = planted_bank(0.15, databases=8, tasks=2)
    assert bank_page(bank) == bank_page(again)


def test_names_are_escaped(bank: PerformanceBank) -> None:
    odd = [replace(task, database=HOSTILE if task.database == "db00" else task.database) for task in bank.tasks]
    trials = [*bank.trials[1:], replace(bank.trials[0], error=HOSTILE)]
    page = Page(bank_page(PerformanceBank(odd, trials)))
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.tags}


@pytest.mark.parametrize("databases", [1, 2, 3, 4])
def test_a_small_bank_says_why_policies_are_missing(databases: int) -> None:
    page = Page(bank_page(planted_bank(0.1, databases=databases, tasks=1)))
    assert "Policies cannot be compared on this bank" in " ".join(page.words)
    assert "coverage" in {attributes.get("id") for tag, attributes in page.tags if tag == "section"}


def test_an_empty_bank_has_a_page() -> None:
    assert "0 real tasks of 0 databases" in bank_page(PerformanceBank([], []))
