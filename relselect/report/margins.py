"""Sentences about expected margins: how much better a family is expected to be than the best of the others."""

from __future__ import annotations

from relselect.report.families import family_info
from relselect.report.record import MarginRecord, RunRecord
from relselect.report.words import listed, percent

__all__ = ["leading_margin", "margin_text", "margin_unit", "suggestion_text"]


def leading_margin(record: RunRecord) -> tuple[str, MarginRecord] | None:
    """Returns the family with the largest expected margin, the first among equals; None where none is expected."""
    margins = record["recommendation"]["margins"]
    return max(margins.items(), key=lambda item: item[1]["value"]) if margins else None


def margin_text(record: RunRecord) -> str:
    """The leading margin in words.

    Such as "feature synthesis is expected to be better by 1.2 % of skill (interval: 0.3 % worse to 2.7 % better)".
    """
    leading = leading_margin(record)
    if leading is None:
        return "no margin was estimated"
    family, margin = leading
    interval = _interval(margin)
    if margin["value"] <= 0:
        return f"no family is expected to be better{interval}"
    phrase = family_info(record, family)["phrase"]
    return f"{phrase} is expected to be better by {percent(margin['value'])}{margin_unit(record)}{interval}"


def margin_unit(record: RunRecord) -> str:
    """What margins are per cent of: of skill where a bank taught them, of the score where the size rule answered."""
    return " of skill" if record["recommendation"]["basis"] == "bank" else ""


def suggestion_text(record: RunRecord) -> str:
    """The suggested families as an object of a sentence: "feature synthesis", or "training DFS and RDL"."""
    names = record["recommendation"]["families"]
    if len(names) == 1:
        return family_info(record, names[0])["phrase"]
    return f"training {listed([family_info(record, name)['short'] for name in names])}"


def _interval(margin: MarginRecord) -> str:
    low, high = margin["low"], margin["high"]
    if low is None or high is None:
        return ""
    if low > 0 or high < 0:
        near, far = sorted((abs(low), abs(high)))
        return f" (interval: {percent(near)} to {percent(far)} {'better' if low > 0 else 'worse'})"
    return f" (interval: {_end(low)} to {_end(high)})"


def _end(value: float) -> str:
    return f"{percent(abs(value))} {'worse' if value < 0 else 'better'}" if value else "equal"
