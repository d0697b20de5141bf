"""The verdict at the top of the report: the advice, how sure it is, and the sentences and figures that support it.

Nothing is computed that the record does not hold. Families are compared on the same rows, by the paired interval of the
difference of their scores, or, in records without it, by whether their intervals overlap. A difference is called clear only
where both models had finished training.
"""

from __future__ import annotations

from dataclasses import dataclass

from relselect.leaks import DOMINANT, NO_TIME
from relselect.report.families import baselines, family_info, is_baseline, trained
from relselect.report.margins import leading_margin, margin_text, margin_unit
from relselect.report.outcome_record import DuelRecord
from relselect.report.record import FindingRecord, LeaderboardRecord, ProfileRecord, RunRecord
from relselect.report.words import (
    count,
    is_error,
    listed,
    natural,
    number,
    percent,
    plural,
    score,
    seconds,
    sentence,
    share,
)

__all__ = ["KeyFigure", "Verdict", "best_baseline", "chosen_row", "headline", "lead_words", "paired_duel", "verdict"]

#: Findings of the leak checks that the verdict shows in full.
_SHOWN_FINDINGS = 3
#: Badge and tone of a verdict whose scores may come from a leak.
_UNTRUSTED = ("Check for leaks", "poor")


@dataclass(frozen=True)
class KeyFigure:
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
        family: The advised family; None where several are advised, or none.
        sentences: What supports it, plain sentences in order.
        figures: The key figures.
        alerts: What a reader must not miss: families without a model, findings of the leak checks, checks that did not
            run.
    """

    headline: str
    badge: str
    tone: str
    family: str | None
    sentences: tuple[str, ...]
    figures: tuple[KeyFigure, ...]
    alerts: tuple[str, ...] = ()


def verdict(record: RunRecord) -> Verdict:
    """Returns the verdict of a record."""
    if record["kind"] == "recommendation":
        return _advice(record)
    chosen = chosen_row(record)
    if chosen is None:
        figures = _figures(record, None)
        return Verdict(headline(record), "No result", "poor", None, (), figures, _alerts(record))
    badge, tone, comparison = _sureness(record, chosen)
    if _doubt(record):
        badge, tone = _UNTRUSTED
    sentences = [_score_sentence(record, chosen), *comparison, _test_sentence(record), _checks_sentence(record)]
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
    """The advice in one line; with open findings of the leak checks, or checks without time, that no score can be trusted yet."""
    advice, doubt = _advised(record), _doubt(record)
    return f"{advice}. The scores cannot be trusted yet: {doubt}" if doubt else advice


def _advised(record: RunRecord) -> str:
    if record["kind"] == "recommendation":
        names = record["recommendation"]["families"]
        if len(names) == 1:
            return f"Start with {family_info(record, names[0])['phrase']}"
        shorts = listed([family_info(record, name)["short"] for name in names])
        return f"Too close to call: train {shorts}" if names else "No recommendation"
    chosen = chosen_row(record)
    if chosen is None:
        return "No model was finished"
    phrase = family_info(record, chosen["family"])["phrase"]
    return f"Nothing beats {phrase}" if is_baseline(record, chosen["family"]) else f"Use {phrase}"


def _doubt(record: RunRecord) -> str:
    """Why the scores cannot be trusted yet; empty where nothing speaks against them."""
    profile = record["profile"]
    if profile is None:
        return "the leak checks did not run"
    found = _open_findings(profile)
    missed = [row for row in profile["unrun_checks"] if row["why"] == NO_TIME]
    reasons = [f"{len(found)} possible {plural(len(found), 'leak')}"] if found else []
    reasons += [f"{len(missed)} leak {plural(len(missed), 'check')} had no time"] if missed else []
    return " and ".join(reasons)


def _open_findings(profile: ProfileRecord) -> list[FindingRecord]:
    """The findings that are more than remarks and that nobody has accepted."""
    return [row for row in profile["findings"] if row["severity"] != "info" and row["accepted"] is None]


def chosen_row(record: RunRecord) -> LeaderboardRecord | None:
    """The row of the chosen candidate, None in a record without one."""
    return next((row for row in record["leaderboard"] if row["chosen"]), None)


def best_baseline(record: RunRecord) -> LeaderboardRecord | None:
    """The baseline with the highest validation score."""
    return _best(baselines(record))


def _advice(record: RunRecord) -> Verdict:
    """The verdict of a measurement without training."""
    advice, leading = record["recommendation"], leading_margin(record)
    names = advice["families"]
    low = None if leading is None else leading[1]["low"]
    if len(names) != 1:
        badge, tone = "Undecided", "fair"
    elif low is None or advice["basis"] == "rule":
        badge, tone = "A rule of thumb", "fair"
    else:
        badge, tone = ("Confident", "good") if low > 0 else ("Leaning", "fair")
    if _doubt(record):
        badge, tone = _UNTRUSTED
    sentences = ["Nothing was trained: this is what measuring the task suggests."]
    if leading is not None:
        sentences.append(sentence(margin_text(record)))
    sentences += [text for text in [_checks_sentence(record)] if text]
    family = names[0] if len(names) == 1 else None
    return Verdict(headline(record), badge, tone, family, tuple(sentences), _figures(record, None), _alerts(record))


def _score_sentence(record: RunRecord, chosen: LeaderboardRecord) -> str:
    """The validation score, which rows it comes from, and the best baseline beside it."""
    metric, title = record["task"]["metric"], record["task"]["metric_title"]
    rows, remark = _validation_words(record)
    text = f"On {rows} it reaches {title} {score(chosen['score'], metric)}"
    text += _interval(chosen["low"], chosen["high"], metric)
    baseline = best_baseline(record)
    if baseline is not None and baseline is not chosen:
        phrase = family_info(record, baseline["family"])["phrase"]
        named = f" ({baseline['note'].rstrip('.')})" if baseline["note"] else ""
        text += f"; {phrase}{named} reaches {score(baseline['score'], metric)}"
        text += _saved_error(chosen, baseline, metric)
    return f"{text}.{remark}"


def _validation_words(record: RunRecord) -> tuple[str, str]:
    """The rows that carry the validation score, and a sentence where they also ended training."""
    used = record["validation"]
    if used["shared"]:
        remark = "The rows that ended training also carry this score, so it is somewhat too good."
        return f"the {count(used['select_rows'])} validation rows", f" {remark} {sentence(used['why'])}"
    return f"the {count(used['select_rows'])} validation rows that neither trained nor stopped a model", ""


def _saved_error(chosen: LeaderboardRecord, baseline: LeaderboardRecord, metric: str) -> str:
    """For errors: the share of the baseline's error that is saved."""
    error, constant = natural(chosen["score"], metric), natural(baseline["score"], metric)
    if not is_error(metric) or error is None or not constant or not 0 <= error < constant:
        return ""
    return f", so {percent(1 - error / constant)} of the error is gone"


def _interval(low: float | None, high: float | None, metric: str) -> str:
    if low is None or high is None:
        return ""
    ends = [high, low] if is_error(metric) else [low, high]
    return f" (interval {score(ends[0], metric)} to {score(ends[1], metric)})"


def _sureness(record: RunRecord, chosen: LeaderboardRecord) -> tuple[str, str, list[str]]:
    """The badge, its tone and the sentences that compare the families."""
    if is_baseline(record, chosen["family"]):
        return "No signal found", "poor", ["No trained model did better on the validation rows."]
    warnings = _baseline_warning(record, chosen)
    rival = _best([row for row in trained(record) if row["family"] != chosen["family"]])
    if rival is None or rival["score"] is None or chosen["score"] is None:
        badge, tone, text = "Not compared", "fair", _uncompared(record, chosen, rival)
    else:
        metric, name = record["task"]["metric"], family_info(record, rival["family"])["short"]
        paired = paired_duel(record, chosen, rival, "select")
        badge, tone, reading = _comparison(chosen, rival) if paired is None else _paired(chosen, rival, paired)
        text = f"The best {name} candidate, {rival['candidate']}, reaches {score(rival['score'], metric)}"
        text += f"{_interval(rival['low'], rival['high'], metric)}; {reading}."
        badge, tone, tested = _tested(record, chosen, rival, badge, tone)
        text += tested
    return ("Weak", "poor", [*warnings, text]) if warnings else (badge, tone, [text])


def paired_duel(
    record: RunRecord, chosen: LeaderboardRecord, rival: LeaderboardRecord, split: str
) -> DuelRecord | None:
    """The paired difference of two candidates on the rows of a split; None where it was not measured."""
    found = record["outcome"]
    for each in [] if found is None else found["duels"]:
        same = (each["first"], each["second"]) == (chosen["candidate"], rival["candidate"])
        if same and each["split"] == split and None not in each["lead"].values():
            return each
    return None


def lead_words(duel: DuelRecord) -> str:
    """A lead as text, without its sign: "0.031 (interval 0.020 to 0.042)"."""
    value, low, high = duel["lead"]["value"], duel["lead"]["low"], duel["lead"]["high"]
    text = number(None if value is None else abs(value))
    if value is None or low is None or high is None:
        return text
    ends = (low, high) if value >= 0 else (-high, -low)
    return f"{text} (interval {number(ends[0])} to {number(ends[1])})"


def _paired(chosen: LeaderboardRecord, rival: LeaderboardRecord, duel: DuelRecord) -> tuple[str, str, str]:
    """Badge, tone and reading of two rows that were compared on the same rows."""
    value, low = duel["lead"]["value"] or 0.0, duel["lead"]["low"] or 0.0
    lead = f"on the same rows {chosen['candidate']} is {'better' if value >= 0 else 'worse'} by {lead_words(duel)}"
    if value < 0:
        return "Close call", "fair", f"{lead}; the choice of the checkpoint below says why"
    if low <= 0:
        return "Close call", "fair", f"{lead}, which is inside the noise, so either family would do"
    if cut := _cut_off(chosen, rival):
        return "Likely", "fair", f"{lead}, but {cut}, so a longer run may change this"
    return "Clear difference", "good", f"{lead}, which is beyond chance"


def _tested(
    record: RunRecord, chosen: LeaderboardRecord, rival: LeaderboardRecord, badge: str, tone: str
) -> tuple[str, str, str]:
    """Badge and tone after the test rows, and what they say of the two models."""
    duel = paired_duel(record, chosen, rival, "test")
    if duel is None:
        return badge, tone, ""
    value, high = duel["lead"]["value"] or 0.0, duel["lead"]["high"] or 0.0
    text = f" On the test rows it is {'better' if value >= 0 else 'worse'} by {lead_words(duel)}."
    return ("Close call", "fair", text) if high < 0 else (badge, tone, text)


def _cut_off(chosen: LeaderboardRecord, rival: LeaderboardRecord) -> str:
    """Which of two candidates the time budget cut off, as a clause; "" if neither."""
    cut = [row["candidate"] for row in (chosen, rival) if row["ended"] == "budget"]
    return f"{listed(cut)} {'was' if len(cut) == 1 else 'were'} cut off by the time budget" if cut else ""


def _uncompared(record: RunRecord, chosen: LeaderboardRecord, rival: LeaderboardRecord | None) -> str:
    """Why the families were not compared."""
    if rival is None and not record["unfinished"]:
        return f"Only {family_info(record, chosen['family'])['phrase']} was trained, so the families were not compared."
    return "No other family finished a model, so the families were not compared."


def _comparison(chosen: LeaderboardRecord, rival: LeaderboardRecord) -> tuple[str, str, str]:
    """Badge, tone and reading of two scored rows."""
    low, high, other = chosen["low"], rival["high"], rival["score"]
    if low is None or high is None or other is None:
        return "No interval", "fair", "without intervals nobody can say how sure the difference is"
    if other > (chosen["score"] or 0.0):
        return "Close call", "fair", "its validation score is higher; the choice of the checkpoint below says why"
    if high < low:
        if cut := _cut_off(chosen, rival):
            return "Likely", "fair", f"the two intervals do not overlap, but {cut}, so a longer run may change this"
        return "Clear difference", "good", "the two intervals do not overlap"
    if other < low:
        return "Likely", "fair", "the two intervals overlap a little, so the difference is likely but not proven"
    return "Close call", "fair", "the difference is inside the noise, so either family would do"


def _baseline_warning(record: RunRecord, chosen: LeaderboardRecord) -> list[str]:
    baseline = best_baseline(record)
    if baseline is None or baseline["score"] is None or chosen["low"] is None or chosen["low"] > baseline["score"]:
        return []
    duel = paired_duel(record, chosen, baseline, "select")
    if duel is not None and (duel["lead"]["low"] or 0.0) > 0:
        return []
    phrase = family_info(record, baseline["family"])["phrase"]
    return [f"Its interval reaches {phrase}: that it is better is not proven."]


def _test_sentence(record: RunRecord) -> str:
    """The test score of the deployed model, and the best baseline's."""
    deployed, baseline = record["deployed"], best_baseline(record)
    if deployed is None or deployed["test_score"] is None:
        return ""
    metric = record["task"]["metric"]
    model = "the model that predicts from now on"
    model += ", refitted on training and validation rows," if deployed["refitted"] else ""
    text = (
        f"On the test rows, which took no part in any choice, {model} reaches {score(deployed['test_score'], metric)}"
    )
    text += _interval(deployed["test_low"], deployed["test_high"], metric)
    constant = None if baseline is None or baseline["chosen"] else baseline["test_score"]
    if baseline is None or constant is None:
        return f"{text}."
    short = family_info(record, baseline["family"])["short"]
    if deployed["test_score"] <= constant:
        return f"{text}; the {short} is no worse there, with {score(constant, metric)}."
    return f"{text}; the {short} reaches {score(constant, metric)}."


def _checks_sentence(record: RunRecord) -> str:
    """That the leak checks found nothing, where all of them ran."""
    profile = record["profile"]
    quiet = profile is not None and not profile["findings"] and not profile["unrun_checks"]
    return "The leak checks found nothing." if quiet else ""


def _alerts(record: RunRecord) -> tuple[str, ...]:
    """Families without a model, findings of the leak checks that nobody has accepted, and checks that did not run."""
    alerts = [
        sentence(f"{family_info(record, row['family'])['title']} did not finish: {row['why'] or 'no reason given'}")
        for row in record["unfinished"]
    ]
    profile = record["profile"]
    if profile is None:
        return tuple(alerts)
    open_ones = _open_findings(profile)
    alerts += [
        f"Possible leak, {row['subject']}: {sentence(row['evidence'])} {sentence(row['fix'])}"
        for row in open_ones[:_SHOWN_FINDINGS]
    ]
    alerts += [
        f"To look at, {row['subject']}: {sentence(row['evidence'])} {sentence(row['fix'])}"
        for row in profile["findings"]
        if row["check"] == DOMINANT and row["accepted"] is None
    ]
    if more := len(open_ones) - _SHOWN_FINDINGS:
        alerts += [f"{more} more {plural(more, 'finding')} of the leak checks below."] if more > 0 else []
    if unrun := profile["unrun_checks"]:
        listing = "; ".join(f"{row['check']} ({row['why'].rstrip('.')})" for row in unrun)
        alerts.append(f"{len(unrun)} leak {plural(len(unrun), 'check')} did not run: {listing}.")
    return tuple(alerts)


def _figures(record: RunRecord, chosen: LeaderboardRecord | None) -> tuple[KeyFigure, ...]:
    """The key figures under the verdict."""
    if chosen is not None:
        return (*_score_figures(record, chosen), _time_figure(record))
    if record["kind"] == "recommendation":
        leading = leading_margin(record)
        value = None if leading is None else max(leading[1]["value"], 0.0)
        unit = f"{margin_unit(record).strip()}, " if margin_unit(record) else ""
        note = "no estimate" if leading is None else f"{unit}for {family_info(record, leading[0])['short']}"
        rows = KeyFigure("Rows", count(record["database"]["rows"]), "in the database")
        return (KeyFigure("Expected margin", percent(value), note), rows, _time_figure(record))
    return (_time_figure(record),)


def _score_figures(record: RunRecord, chosen: LeaderboardRecord) -> list[KeyFigure]:
    """Validation score and test score of the deployed model, each with the best baseline on the same rows."""
    metric, title = record["task"]["metric"], record["task"]["metric_title"]
    used, deployed, baseline = record["validation"], record["deployed"], best_baseline(record)
    better = "lower is better" if is_error(metric) else "higher is better"
    rows = "; these rows also ended training" if used["shared"] else "; rows that stopped nothing"
    constant = None if baseline is None or baseline["chosen"] else baseline
    beside = "" if constant is None else f"; best constant there {score(constant['score'], metric)}"
    figures = [KeyFigure("Validation", score(chosen["score"], metric), f"{title}, {better}{rows}{beside}")]
    if deployed is not None and deployed["test_score"] is not None:
        note = "took no part in any choice" + ("; refitted model" if deployed["refitted"] else "")
        if constant is not None and constant["test_score"] is not None:
            note += f"; best constant there {score(constant['test_score'], metric)}"
        figures.append(KeyFigure("Test", score(deployed["test_score"], metric), note))
    return figures


def _time_figure(record: RunRecord) -> KeyFigure:
    granted, spent = record["budget"]["seconds"], record["budget"]["spent"]
    if not granted:
        return KeyFigure("Time", seconds(spent), "no limit was set")
    return KeyFigure("Time", seconds(spent), f"{share(spent, granted)} of {seconds(granted)} granted")


def _best(rows: list[LeaderboardRecord]) -> LeaderboardRecord | None:
    """The row with the highest score, the first among equals; None without any score."""
    scored = [row for row in rows if row["score"] is not None]
    return max(scored, key=lambda row: row["score"] or 0.0) if scored else None
