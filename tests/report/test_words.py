"""Numbers as people read them."""

from __future__ import annotations

import pytest

from relselect.report import words
from relselect.report.svg import Scale, ticks


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.84619, "0.846"), (4.4321, "4.432"), (43.21, "43.21"), (432.1, "432.1"), (-12345.6, "−12,346"), (0.0, "0.000"),
     (0.00004, "4.0e−05"), (None, "–"), (float("nan"), "–")],
)  # fmt: skip
def test_number(value: float | None, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01, "under 0.1 s"),
        (0.4, "0.4 s"),
        (42.6, "43 s"),
        (59.7, "1 min"),
        (283.1, "4 min 43 s"),
        (7500, "2 h 5 min"),
        (None, "–"),
    ],
)
def test_seconds(value: float | None, text: str) -> None:
    assert words.seconds(value) == text


def test_errors_turn_their_sign_back() -> None:
    assert words.score(-3.5, "neg_mean_absolute_error") == "3.500"
    assert words.score(0.5, "roc_auc") == "0.500"
    assert words.explain_metric("neg_root_mean_squared_error").startswith("RMSE")


def test_lists_read_as_sentences() -> None:
    assert [words.listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_shorten_keeps_both_ends() -> None:
    assert words.shorten("short", 10) == "short"
    assert len(words.shorten("x" * 50 + "end", 20)) == 20
    assert words.shorten("x" * 50 + "end", 20).endswith("end")


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.4873, 0.8611), (-4.2, -2.9), (0.0, 1e-6), (1e6, 3e9), (2.0, 2.0)]
)
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) <= 9
    assert all(low - 1e-6 * (high - low) <= tick <= high + 1e-6 * (high - low) for tick in found)
    assert found == sorted(set(found))


def test_an_empty_scale_maps_to_its_middle() -> None:
    assert Scale(2.0, 2.0, 0.0, 10.0)(2.0) == 5.0
