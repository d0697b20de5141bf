"""Whether the numbers of a run can be trusted: everything that speaks for and against, in one place and in short sentences."""

from __future__ import annotations

from dataclasses import dataclass

from relselect.report.action import rows_name
from relselect.report.families import is_baseline, trained
from relselect.report.outcome_record import DuelRecord, OutcomeRecord
from relselect.report.record import RunRecord
from relselect.report.verdict import chosen_row, lead_words, verdict
from relselect.report.words import count, listed, percent, plural, sentence

__all__ = ["Trust", "trust"]

#: Counts below which scores are called uncertain.
_ROWS, _ENTITIES, _EVENTS = 300, 50, 30
#: Calibration errors up to this one do not matter whatever chance says.
_EXACT = 0.02
_REGIMES = {
    "rolling": "Each row was predicted with what was known at its own date, as in use.",
    "frozen": "Rows were predicted with the data as they stood when their split began: with fresh data, as in use, scores may be "
    "better.",
    "static": "The task has no time: rows were held out at random, so a change over time is not tested.",
}
_CUT = "a longer time budget may give better scores"


@dataclass(frozen=True)
class Trust:
    """How far a run can be trusted.

    Attributes:
        badge: The answer in a few words.
        tone: "good", "fair" or "poor".
        against: What speaks against it.
        sides: What else one should know, and what speaks for it.
    """

    badge: str
    tone: str
    against: tuple[str, ...]
    sides: tuple[str, ...]


def trust(record: RunRecord) -> Trust:
    """Returns what speaks for and against the numbers of a run."""
    found, alerts = record["outcome"], verdict(record).alerts
    poor = [*_leaks(record), *_unproven(record)]
    fair = [
        *(alert for alert in alerts if alert not in poor),
        *_cut_off(record),
        *_small(record),
        *_untested(record),
        *_uncalibrated(record),
    ]
    sides = [*_proven(record), *_calibrated(record), _REGIMES[record["task"]["regime"]], *_quiet(record)]
    if found is not None and found["refitted"]:
        sides.append(
            "The model that predicts was trained again on training and validation rows; the test rows were not seen."
        )
    badge, tone = ("Check first", "poor") if poor else ("With care", "fair") if fair else ("Can be trusted", "good")
    return Trust(badge, tone, (*poor, *fair), tuple(sides))


def _leaks(record: RunRecord) -> list[str]:
    """Alerts of the leak checks: open findings, and checks that did not run for want of time."""
    doubt = verdict(record)
    if doubt.badge != "Check for leaks":
        return []
    if record["profile"] is None:
        return ["The leak checks did not run, so no score can be trusted yet."]
    return [text for text in doubt.alerts if text.startswith("Possible leak") or " did not run: " in text]


def _duels(record: RunRecord, split: str, *, baseline: bool) -> list[DuelRecord]:
    found = record["outcome"]
    duels = [] if found is None else found["duels"]
    return [each for each in duels if each["split"] == split and each["baseline"] is baseline]


def _against_constant(record: RunRecord) -> tuple[OutcomeRecord, DuelRecord, bool] | None:
    """The duel with the best constant on the evaluated rows, and whether it is won beyond chance."""
    found = record["outcome"]
    duels = [] if found is None else _duels(record, found["split"], baseline=True)
    if found is None or not duels or duels[0]["first"] == duels[0]["second"]:
        return None
    low = duels[0]["lead"]["low"]
    return found, duels[0], low is not None and low > 0


def _unproven(record: RunRecord) -> list[str]:
    chosen = chosen_row(record)
    if chosen is not None and is_baseline(record, chosen["family"]):
        return ["No trained model was better than a constant answer, so the predictions say little of single rows."]
    known = _against_constant(record)
    if known is None or known[2]:
        return []
    return [f"On the {rows_name(known[0])} it is not proven that the model is better than a constant answer."]


def _proven(record: RunRecord) -> list[str]:
    known = _against_constant(record)
    if known is None or not known[2]:
        return []
    found, duel, _ = known
    choice = ", which took no part in any choice," if found["split"] == "test" else ""
    title = record["task"]["metric_title"]
    return [
        f"On the {rows_name(found)}{choice} the model beats the best constant answer by {lead_words(duel)} of {title}."
    ]


def _cut_off(record: RunRecord) -> list[str]:
    cut = [row["candidate"] for row in trained(record) if row["ended"] == "budget"]
    if not cut:
        return []
    return [f"The time budget cut off the training of {listed(cut[:4])}{_more(cut[4:])}: {_CUT}."]


def _more(rest: list[str]) -> str:
    return f" and {len(rest)} more" if rest else ""


def _small(record: RunRecord) -> list[str]:
    """Counts from which no score is certain."""
    found = record["outcome"]
    if found is None:
        return []
    few = []
    if found["rows"] < _ROWS:
        few.append(f"{count(found['rows'])} rows")
    if found["entities"] < _ENTITIES:
        few.append(f"{count(found['entities'])} entities")
    if record["task"]["kind"] == "binary" and found["mean"] is not None:
        events = round(min(found["mean"], 1 - found["mean"]) * found["rows"])
        few += [f"{count(events)} rows of the rarer answer"] if events < _EVENTS else []
    return (
        [f"The evaluated rows are few ({', '.join(few)}), so scores are uncertain: see their intervals."] if few else []
    )


def _untested(record: RunRecord) -> list[str]:
    found = record["outcome"]
    parts = []
    if found is not None and found["split"] != "test":
        parts.append(
            "No test rows were scored: the scores come from the rows that also chose the model, so they are somewhat too good."
        )
    if record["validation"]["shared"]:
        parts.append(
            sentence(f"The same validation rows ended training and chose the model. {record['validation']['why']}")
        )
    return parts


def _calibration(record: RunRecord) -> tuple[float, float] | None:
    found = record["outcome"]
    if found is None or found["calibration_error"] is None or found["calibration_noise"] is None:
        return None
    return found["calibration_error"], found["calibration_noise"]


def _uncalibrated(record: RunRecord) -> list[str]:
    known = _calibration(record)
    if known is None or known[0] <= max(known[1], _EXACT):
        return []
    return [
        f"Predicted probabilities are off by {percent(known[0])} on average, more than chance explains ({percent(known[1])}): "
        "the order of the predictions is safer than their size."
    ]


def _calibrated(record: RunRecord) -> list[str]:
    known = _calibration(record)
    if known is None or known[0] > max(known[1], _EXACT):
        return []
    chance = "" if known[0] <= _EXACT else ", no more than chance explains with so few rows"
    return [
        f"Predicted probabilities can be taken as they stand: they are off by {percent(known[0])} on average{chance}."
    ]


def _quiet(record: RunRecord) -> list[str]:
    profile = record["profile"]
    if profile is None or profile["unrun_checks"]:
        return []
    accepted = sum(row["accepted"] is not None for row in profile["findings"])
    if accepted:
        were = "was" if accepted == 1 else "were"
        return [f"{count(accepted)} {plural(accepted, 'finding')} of the leak checks {were} accepted with a reason."]
    return [] if profile["findings"] else ["The checks for information from the future found nothing."]
