"""What can be done with the predictions, in words: who was asked about last, and what the top tenth holds."""

from __future__ import annotations

from collections.abc import Callable

from relselect.report.outcome_record import NewestRowsRecord, OutcomeRecord, OutlookRecord, RangedRecord, TopTenthRecord
from relselect.report.record import RunRecord
from relselect.report.verdict import KeyFigure
from relselect.report.words import capital, count, number, percent, sentence

__all__ = ["action_figures", "action_headline", "action_sentences", "answer", "event_name", "question", "rows_name"]

#: Names of classes that mean yes.
_YES = {"true", "1", "yes", "positive"}
_ROWS = {"test": "test rows", "select": "validation rows that ended no training"}


def rows_name(found: OutcomeRecord) -> str:
    """Which rows were evaluated: "9,346 test rows"."""
    return f"{count(found['rows'])} {_ROWS[found['split']]}"


def answer(record: RunRecord, positive: bool = True) -> str:
    """One of the two answers of a yes-or-no task: its class in quotes, or "yes" and "no"."""
    classes = record["task"]["classes"]
    if len(classes) != 2 or classes[1].lower() in _YES:
        return "yes" if positive else "no"
    return f"“{classes[1] if positive else classes[0]}”"


def event_name(record: RunRecord, found: OutcomeRecord) -> str:
    """What the top tenth is asked to hold: an answer, the amount, or right predictions."""
    names = {"amount": f"the total of {record['task']['target']}", "right": "right predictions"}
    return names.get(found["event"]) or f"all answers {answer(record, found['event'] == 'positive')}"


def question(record: RunRecord) -> str:
    """What is asked, as a sentence: the description of the task, else its parts."""
    task = record["task"]
    if task["description"]:
        return sentence(task["description"])
    ahead = f", {task['horizon']} ahead" if task["horizon"] else ""
    return f"The question: {task['target']} of each row of {task['entity']}{ahead}."


def action_headline(record: RunRecord, found: OutcomeRecord) -> str:
    """The expectation for who was asked about last, in one line."""
    newest, entity = found["ahead"] or found["newest"], record["task"]["entity"]
    who = f"{count(newest['entities'])} {entity}"
    if record["task"]["kind"] == "binary":
        return f"{capital(answer(record))} is expected for {about(newest['expected'])} of {who}"
    if newest["expected"] is not None:
        mean = newest["expected"] / max(newest["entities"], 1)
        return f"{record['task']['target']}: {number(mean)} is expected on average for {who}"
    if found["ahead"] is not None:
        first = max(found["ahead"]["classes"], key=lambda each: (each["predicted"], each["name"]), default=None)
        if first is not None:
            return f"“{first['name']}” is the most frequent answer: predicted for {count(first['predicted'])} of {who}"
    classes = sorted(found["classes"], key=lambda each: (-each["predicted"], each["name"]))
    if not classes:
        return f"{who} were asked about"
    return f"“{classes[0]['name']}” is the most frequent answer: {percent(classes[0]['predicted'] / found['rows'])} of the rows"


def about(value: float | None) -> str:
    """A number of entities that need not be whole: "about 1,064", "fewer than 1"."""
    return "an unknown number" if value is None else "fewer than 1" if value < 0.5 else f"about {count(value)}"


def action_sentences(record: RunRecord, found: OutcomeRecord) -> list[str]:
    """Who is asked about now, who was asked about last and what came, and what the top tenth holds."""
    ahead = found["ahead"]
    parts = [question(record), "" if ahead is None else _now(record, ahead), _asked(record, found["newest"])]
    top = found["top"]
    if top is not None:
        parts += [_top(record, found, top)]
    if record["task"]["regime"] != "static":
        listed = "outlook()" if ahead is None else "predict(at=...)"
        more = "lists who is asked about at the newest date of the data" if ahead is None else "gives all of a date"
        parts.append(f"The newest evaluated rows are those whose answer is known already. {listed} {more}.")
    return [part for part in parts if part]


def _now(record: RunRecord, ahead: OutlookRecord) -> str:
    """Who is asked about at the newest date of the database, of whom no answer is known yet."""
    task = record["task"]
    many = f"{count(ahead['entities'])} {task['entity']}"
    who = f"Now, on {_day(ahead['at'])}, the newest date of the database, {many} are asked about"
    if ahead["expected"] is None:
        return f"{who}."
    if task["kind"] == "binary":
        share = percent(ahead["expected"] / max(ahead["entities"], 1))
        return f"{who}: the answer {answer(record)} is expected for {about(ahead['expected'])} ({share})."
    return f"{who}: {number(ahead['expected'])} of {task['target']} is expected in total."


def _asked(record: RunRecord, newest: NewestRowsRecord) -> str:
    task = record["task"]
    when = "" if newest["last"] is None else f" on {_day(newest['last'])}"
    if newest["first"] != newest["last"]:
        when = f" from {_day(newest['first'])} to {_day(newest['last'])}"
    who = f"The newest evaluated rows ask about {count(newest['entities'])} {task['entity']}{when}"
    if newest["expected"] is None or newest["actual"] is None:
        return f"{who}."
    if task["kind"] == "binary":
        share = percent(newest["expected"] / max(newest["entities"], 1))
        return (
            f"{who}: the answer {answer(record)} was expected for {about(newest['expected'])} ({share}) "
            f"and came for {count(newest['actual'])}."
        )
    return f"{who}: {number(newest['expected'])} of {task['target']} was expected in total, and {number(newest['actual'])} came."


def _top(record: RunRecord, found: OutcomeRecord, top: TopTenthRecord) -> str:
    """What the top tenth holds, against a tenth drawn at random."""
    rows = rows_name(found)
    if found["event"] == "right":
        return f"Of the tenth of the {rows} with the surest predictions, {_shares(top['mean'])} are right."
    if top["captured"]["value"] is None:
        target = record["task"]["target"]
        return (
            f"In the tenth of the {rows} with the highest predictions {target} is {_numbers(top['mean'])} on average."
        )
    lowest = found["event"] == "negative"
    tenth = f"The tenth of the {rows} with the {'lowest' if lowest else 'highest'} predictions"
    lift = top["lift"]["value"] or 0.0
    times = (
        f", {number(lift, 1)} times as much as a tenth drawn at random"
        if lift > 1.05
        else ", no more than a tenth drawn at random"
    )
    return f"{tenth} holds {_shares(top['captured'])} of {event_name(record, found)}{times}."


def action_figures(record: RunRecord, found: OutcomeRecord) -> tuple[KeyFigure, ...]:
    """The key figures: who is asked about, what is expected, the base rate, and the top tenth."""
    newest, task, top, ahead = found["newest"], record["task"], found["top"], found["ahead"]
    if ahead is not None:
        now = f"{task['entity']} on {_day(ahead['at'])}"
        asked, expected, came = ahead["entities"], ahead["expected"], "answers not known yet"
    else:
        now, asked, expected = f"{task['entity']}, newest evaluated rows", newest["entities"], newest["expected"]
        came = "" if newest["actual"] is None else f"{number(newest['actual'])} came"
    figures = [KeyFigure("Asked about", count(asked), now)]
    if expected is not None and task["kind"] == "binary":
        came = came if newest["actual"] is None or ahead is not None else f"{count(newest['actual'])} came"
        figures.append(KeyFigure(f"Expected {answer(record)}", count(expected), came))
        figures.append(KeyFigure(f"Base rate of {answer(record)}", percent(found["mean"]), f"of {rows_name(found)}"))
    elif expected is not None:
        figures.append(KeyFigure("Expected in total", number(expected), came))
        figures.append(KeyFigure("Mean", number(found["mean"]), f"of {rows_name(found)}"))
    if top is None:
        return tuple(figures)
    if found["event"] == "right":
        right = sum(each["right"] for each in found["classes"])
        figures.append(KeyFigure("Predicted right", percent(right / found["rows"]), f"of {rows_name(found)}"))
        return (*figures, KeyFigure("Surest tenth right", percent(top["mean"]["value"]), _note(top["mean"])))
    if top["captured"]["value"] is None:
        return (*figures, KeyFigure("Mean of the top tenth", number(top["mean"]["value"]), "of the actual amounts"))
    held = capital(f"{'lowest' if found['event'] == 'negative' else 'top'} tenth holds")
    return (
        *figures,
        KeyFigure(
            held, percent(top["captured"]["value"]), f"of {event_name(record, found)}{_note(top['captured'], ', ')}"
        ),
    )


def _day(text: str | None) -> str:
    return (text or "").removesuffix("T00:00:00").removesuffix(" 00:00:00")


def _shares(value: RangedRecord) -> str:
    return f"{percent(value['value'])}{_ends(value, percent)}"


def _numbers(value: RangedRecord) -> str:
    return f"{number(value['value'])}{_ends(value, number)}"


def _ends(value: RangedRecord, words: Callable[[float | None], str]) -> str:
    if value["low"] is None or value["high"] is None:
        return ""
    return f" (interval {words(value['low'])} to {words(value['high'])})"


def _note(value: RangedRecord, before: str = "") -> str:
    if value["low"] is None or value["high"] is None:
        return ""
    return f"{before}{percent(value['low'])} to {percent(value['high'])}"
