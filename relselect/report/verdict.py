"""What the record means, in plain words: the verdict at the top of the page and the sentences around it.

Nothing is computed that the record does not hold. Differences are judged only by whether intervals overlap, and the
words say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from relselect.report.record import LeaderboardRecord, RunRecord
from relselect.report.words import (
    MISSING,
    constant_scope,
    count,
    family_name,
    family_short,
    is_error,
    metric_name,
    natural,
    percent,
    score,
    seconds,
    sentence,
    share,
)

__all__ = ["Figure", "Verdict", "best_baseline", "chosen_row", "headline", "margin_text", "verdict"]

_USE = {
    "rdl": "Use a graph neural network",
    "dfs": "Use feature synthesis",
    "constants": "Nothing beats the constant baseline",
}
_START = {
    "rdl": "Start with a graph neural network",
    "dfs": "Start with feature synthesis",
    "both": "Too close to call: run both families",
}


@dataclass(frozen=True)
class Figure:
    """One key figure: a label, its value and a short note."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """The answer in words.

    Attributes:
        headline: The advice in one line.
        badge: How sure it is, in two or three words.
        tone: "good", "fair" or "poor": how the badge is coloured.
        family: The advised family, or None.
        sentences: What supports it, plain sentences in order.
        figures: The key figures.
        alerts: What a reader must not miss: families that did not finish.
    """

    headline: str
    badge: str
    tone: str
    family: str | None
    sentences: tuple[str, ...]
    figures: tuple[Figure, ...]
    alerts: tuple[str, ...] = ()


def verdict(record: RunRecord) -> Verdict:
    """The verdict of a complete record."""
    if record["kind"] == "recommendation":
        return _advice(record)
    chosen = chosen_row(record)
    if chosen is None:
        return Verdict("No model was finished", "No result", "poor", None, (), _figures(record, None), _alerts(record))
    badge, tone, sureness = _sureness(record, chosen)
    sentences = [_score_sentence(record, chosen), *sureness, _test_sentence(record, chosen)]
    return Verdict(
        headline(record),
        badge,
        tone,
        chosen["family"],
        tuple(text for text in sentences if text),
        _figures(record, chosen),
        _alerts(record),
    )


def headline(record: RunRecord) -> str:
    """The advice in one line."""
    if record["kind"] == "recommendation":
        family = record["recommendation"]["family"]
        return _START.get(family or "", f"Start with {family}" if family else "No recommendation")
    chosen = chosen_row(record)
    if chosen is None:
        return "No model was finished"
    return _USE.get(chosen["family"] or "", f"Use {chosen['family'] or chosen['candidate'] or MISSING}")


def chosen_row(record: RunRecord) -> LeaderboardRecord | None:
    """The leaderboard row that was chosen: the marked one, else the one the choice names, else the first scored."""
    rows = record["leaderboard"]
    name = record["choice"]["candidate"]
    marked = [row for row in rows if row["chosen"]] or [row for row in rows if name and row["candidate"] == name]
    return next(iter(marked or [row for row in rows if row["score"] is not None]), None)


def best_baseline(record: RunRecord) -> LeaderboardRecord | None:
    """The best constant of the leaderboard."""
    return _best([row for row in record["leaderboard"] if row["family"] == "constants"])


def margin_text(margin: float | None, interval: list[float]) -> str:
    """A relative margin in words, such as "3.4 % in favour of RDL (interval −1.0 % to 8.0 %)"."""
    if margin is None:
        return "no margin was estimated"
    side = family_short("rdl" if margin > 0 else "dfs")
    text = f"{percent(abs(margin))} in favour of {side}" if margin else "none either way"
    if len(interval) == 2:
        text += f" (interval {percent(interval[0])} to {percent(interval[1])}; above zero favours RDL)"
    return text


def _advice(record: RunRecord) -> Verdict:
    """The verdict of a measurement without training."""
    advice = record["recommendation"]
    low, high = advice["interval"] if len(advice["interval"]) == 2 else (None, None)
    if advice["family"] == "both":
        badge, tone = "Undecided", "fair"
    elif low is None or high is None or "rule" in (advice["taught_by"] or ""):
        badge, tone = "A rule of thumb", "fair"
    else:
        badge, tone = ("Confident", "good") if low > 0 or high < 0 else ("Leaning", "fair")
    sentences = ["Nothing was trained: this is what measuring the task suggests."]
    if advice["margin"] is not None:
        sentences.append(f"Expected margin: {margin_text(advice['margin'], advice['interval'])}.")
    return Verdict(headline(record), badge, tone, advice["family"], tuple(sentences), _figures(record, None))


def _score_sentence(record: RunRecord, chosen: LeaderboardRecord) -> str:
    """The validation score beside the constant baseline."""
    metric = record["task"]["metric"]
    text = f"On the validation rows it reaches {metric_name(metric)} {score(chosen['score'], metric)}"
    text += _interval(chosen, metric)
    baseline = best_baseline(record)
    if baseline is None or baseline is chosen:
        return f"{text}."
    text += f"; the best constant baseline{_named(baseline)} reaches {score(baseline['score'], metric)}"
    return f"{text}{_less_error(chosen, baseline, metric)}."


def _named(row: LeaderboardRecord) -> str:
    name = constant_scope(row["config"]) or row["candidate"]
    return f" ({name})" if name else ""


def _less_error(chosen: LeaderboardRecord, baseline: LeaderboardRecord, metric: str | None) -> str:
    """For errors: the share that is saved."""
    error, constant = natural(chosen["score"], metric), natural(baseline["score"], metric)
    if not is_error(metric) or error is None or not constant or not 0 <= error < constant:
        return ""
    return f", so {percent(1 - error / constant)} of the error is gone"


def _interval(row: LeaderboardRecord, metric: str | None) -> str:
    if row["low"] is None or row["high"] is None:
        return ""
    ends = [row["high"], row["low"]] if is_error(metric) else [row["low"], row["high"]]
    return f" (interval {score(ends[0], metric)} to {score(ends[1], metric)})"


def _sureness(record: RunRecord, chosen: LeaderboardRecord) -> tuple[str, str, list[str]]:
    """The badge, its tone and the sentences that compare the families."""
    if chosen["family"] == "constants":
        return "No signal found", "poor", ["No trained model did better on the validation rows."]
    warnings = _baseline_warning(record, chosen)
    rival = _best([row for row in record["leaderboard"] if row["family"] not in ("constants", chosen["family"])])
    if rival is None or rival["score"] is None or chosen["score"] is None:
        text = "No other family finished a model, so the families were not compared."
        if not record["unfinished"] and rival is None:
            text = f"Only {family_name(chosen['family'])} was trained, so the families were not compared."
        return ("Weak", "poor", [*warnings, text]) if warnings else ("Not compared", "fair", [text])
    metric = record["task"]["metric"]
    text = f"The best {family_name(rival['family'])} reaches {score(rival['score'], metric)}{_interval(rival, metric)}"
    badge, tone, reading = _comparison(chosen, rival)
    said = f"{text}; {reading}."
    return ("Weak", "poor", [*warnings, said]) if warnings else (badge, tone, [said])


def _comparison(chosen: LeaderboardRecord, rival: LeaderboardRecord) -> tuple[str, str, str]:
    """Badge, tone and reading of two scored rows."""
    low, high, other = chosen["low"], rival["high"], rival["score"]
    if low is None or high is None or other is None:
        return "No interval", "fair", "without intervals nobody can say how sure the difference is"
    if other > (chosen["score"] or 0.0):
        return "Close call", "fair", "its validation score is higher, and the choice rests on what is said below"
    if high < low:
        return "Clear difference", "good", "the two intervals do not overlap"
    if other < low:
        return "Likely", "fair", "the two intervals overlap a little, so the difference is likely but not proven"
    return "Close call", "fair", "that is inside the noise, so either family would do"


def _baseline_warning(record: RunRecord, chosen: LeaderboardRecord) -> list[str]:
    baseline = best_baseline(record)
    if baseline is None or baseline["score"] is None or chosen["low"] is None or chosen["low"] > baseline["score"]:
        return []
    return ["Its interval reaches the constant baseline: that it is better is not proven."]


def _alerts(record: RunRecord) -> tuple[str, ...]:
    """One sentence for each family that did not finish."""
    rows = record["unfinished"]
    return tuple(
        sentence(f"{family_name(row['family'])} did not finish: {row['why'] or 'no reason given'}") for row in rows
    )


def _test_sentence(record: RunRecord, chosen: LeaderboardRecord) -> str:
    if chosen["test_score"] is None:
        return ""
    metric = record["task"]["metric"]
    text = f"On the test rows, which took no part in any choice, it reaches {score(chosen['test_score'], metric)}"
    baseline = best_baseline(record)
    constant = None if baseline is None or baseline is chosen else baseline["test_score"]
    if constant is None:
        return f"{text}."
    if chosen["test_score"] <= constant:
        return f"{text}; the constant is no worse there, with {score(constant, metric)}."
    return f"{text} (constant: {score(constant, metric)})."


def _figures(record: RunRecord, chosen: LeaderboardRecord | None) -> tuple[Figure, ...]:
    """The key figures under the verdict."""
    metric = record["task"]["metric"]
    name = metric_name(metric)
    better = "lower is better" if is_error(metric) else "higher is better"
    figures = []
    if chosen is not None:
        figures.append(Figure("Validation", score(chosen["score"], metric), f"{name}, {better}"))
        if chosen["test_score"] is not None:
            figures.append(Figure("Test", score(chosen["test_score"], metric), "took no part in any choice"))
        baseline = best_baseline(record)
        if baseline is not None:
            figures.append(Figure("Constant", score(baseline["score"], metric), "best baseline, validation"))
    elif record["kind"] == "recommendation":
        margin = record["recommendation"]["margin"]
        side = "no estimate" if margin is None else f"in favour of {family_short('rdl' if margin > 0 else 'dfs')}"
        figures.append(Figure("Expected margin", percent(None if margin is None else abs(margin)), side))
        figures.append(Figure("Rows", count(record["database"]["rows"]), "in the database"))
    figures.append(_time_figure(record))
    return tuple(figures)


def _time_figure(record: RunRecord) -> Figure:
    budget = record["budget"]
    spent = budget["spent"] if budget["spent"] is not None else record["profile"]["seconds"]
    if not budget["seconds"]:
        return Figure("Time", seconds(spent), "no limit was set")
    return Figure("Time", seconds(spent), f"{share(spent, budget['seconds'])} of {seconds(budget['seconds'])} granted")


def _best(rows: list[LeaderboardRecord]) -> LeaderboardRecord | None:
    """The highest scored row, the first among equals."""
    scored = [row for row in rows if row["score"] is not None]
    return max(scored, key=lambda row: row["score"] or 0.0) if scored else None
