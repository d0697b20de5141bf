"""Tables of what the predictions are worth: totals, calibration, periods, segments, classes, and models side by side."""

from __future__ import annotations

from relselect.report.action import answer
from relselect.report.outcome_record import OutcomeRecord
from relselect.report.record import RunRecord
from relselect.report.tables import ReportColumn, ReportRow, ReportTable, score_interval, without_empty
from relselect.report.words import MISSING, count, is_error, number, percent, score

__all__ = [
    "ahead_table",
    "bins_table",
    "classes_table",
    "coverage_table",
    "duels_table",
    "periods_table",
    "segments_table",
    "totals_table",
]

#: Entities of now that are shown unfolded.
_NOW = 5
_SPLITS = {"test": "Test", "select": "Validation"}


def ahead_table(record: RunRecord) -> ReportTable:
    """Those who are asked about at the newest date of the database and stand first, probabilities being those of yes."""
    found, kind = record["outcome"], record["task"]["kind"]
    ahead = None if found is None else found["ahead"]
    amount = kind == "regression"
    value = {"regression": record["task"]["target"], "binary": f"Probability of {answer(record)}"}.get(
        kind, "Probability"
    )
    columns = (
        *(ReportColumn(name, "name") for name in ([] if ahead is None else ahead["keys"])),
        ReportColumn(value, "number"),
        *([] if amount else [ReportColumn("Predicted answer", "name")]),
    )
    rows = [
        ReportRow(
            (
                *each["key"],
                number(each["value"]) if amount else percent(each["value"]),
                *([] if amount else [_answered(record, each["answer"])]),
            )
        )
        for each in ([] if ahead is None else ahead["listed"])
    ]
    of = "" if ahead is None else f" ({count(len(rows))} of {count(ahead['entities'])})"
    order = "the lowest probabilities" if ahead is not None and ahead["lowest_first"] else "the highest predictions"
    title = f"Asked about at the newest date of the database, {order} first{of}"
    return ReportTable(title, columns, tuple(rows), fold=_NOW)


def _answered(record: RunRecord, name: str | None) -> str:
    """A predicted class as the page names it: the answers of a task with two of them as `answer` says, without quotes."""
    classes = record["task"]["classes"]
    if name is None or len(classes) != 2:
        return name or MISSING
    return answer(record, name == classes[1]).strip("“”")


def totals_table(record: RunRecord) -> ReportTable:
    """By split: what was expected in total and what came, the score and that of the best constant on the same rows."""
    metric, found = record["task"]["metric"], record["outcome"]
    columns = (
        ReportColumn("Rows", "name"),
        ReportColumn("Number", "number"),
        ReportColumn("Expected in total", "number"),
        ReportColumn("Came", "number"),
        ReportColumn(record["task"]["metric_title"], "number"),
        ReportColumn("Best constant", "number"),
    )
    rows = [
        ReportRow(
            (
                _SPLITS[each["split"]],
                count(each["rows"]),
                _total(each["expected"]),
                _total(each["actual"]),
                score(each["score"], metric),
                score(each["constant"], metric),
            )
        )
        for each in ([] if found is None else found["totals"])
    ]
    return without_empty(ReportTable("Expected and actual totals, and scores, by split", columns, tuple(rows)))


def bins_table(record: RunRecord) -> ReportTable:
    """By groups of rows with similar predictions: what was predicted and what came."""
    found = record["outcome"]
    words = number if found is not None and found["event"] == "amount" else percent
    columns = (
        ReportColumn("Group", "name"),
        ReportColumn("Rows", "number"),
        ReportColumn("Predicted", "number"),
        ReportColumn("Came", "number"),
        ReportColumn("Interval", "number"),
        ReportColumn("Expected in total", "number"),
        ReportColumn("Came in total", "number"),
    )
    rows = [
        ReportRow(
            (
                f"{place}",
                count(each["rows"]),
                words(each["predicted"]),
                words(each["actual"]),
                MISSING if each["low"] is None else f"{words(each['low'])} to {words(each['high'])}",
                _total(each["predicted"] * each["rows"]),
                _total(each["actual"] * each["rows"]),
            )
        )
        for place, each in enumerate([] if found is None else found["bins"], 1)
    ]
    return ReportTable("Groups of rows, from the lowest to the highest predictions", columns, tuple(rows), fold=0)


def periods_table(record: RunRecord) -> ReportTable:
    """By period: score, and what was expected in total and came."""
    metric, found = record["task"]["metric"], record["outcome"]
    columns = (
        ReportColumn("Period", "name"),
        ReportColumn("Rows", "number"),
        ReportColumn(record["task"]["metric_title"], "number"),
        ReportColumn("Interval", "number"),
        ReportColumn("Expected in total", "number"),
        ReportColumn("Came", "number"),
    )
    rows = [
        ReportRow(
            (
                each["period"],
                count(each["rows"]),
                score(each["score"], metric),
                score_interval(each["low"], each["high"], metric),
                _total(each["expected"]),
                _total(each["actual"]),
            )
        )
        for each in ([] if found is None else found["periods"])
    ]
    return without_empty(ReportTable("Scores and totals by period", columns, tuple(rows), fold=0))


def segments_table(record: RunRecord) -> ReportTable:
    """The values of columns whose rows score differently from all rows, beyond chance."""
    metric, found = record["task"]["metric"], record["outcome"]
    columns = (
        ReportColumn("Column", "code"),
        ReportColumn("Value", "name"),
        ReportColumn("Rows", "number"),
        ReportColumn(record["task"]["metric_title"], "number"),
        ReportColumn("Against all rows", "number"),
        ReportColumn("Interval", "number"),
        ReportColumn("Expected in total", "number"),
        ReportColumn("Came", "number"),
    )
    rows = [
        ReportRow(
            (
                each["column"],
                each["value"],
                count(each["rows"]),
                score(each["score"], metric),
                _worded(each["difference"]["value"]),
                score_interval(each["difference"]["low"], each["difference"]["high"], ""),
                _total(each["expected"]),
                _total(each["actual"]),
            )
        )
        for each in ([] if found is None else found["segments"])
    ]
    return without_empty(ReportTable("Where it predicts better or worse than on all rows", columns, tuple(rows)))


def classes_table(record: RunRecord) -> ReportTable:
    """By class: how many rows were expected to have it, have it, and are predicted so, and how many of these are right."""
    found: OutcomeRecord | None = record["outcome"]
    columns = (
        ReportColumn("Class", "name"),
        ReportColumn("Expected", "number"),
        ReportColumn("Came", "number"),
        ReportColumn("Predicted", "number"),
        ReportColumn("Right of these", "number"),
        ReportColumn("Found of all", "number"),
    )
    rows = [
        ReportRow(
            (
                each["name"],
                count(each["expected"]),
                count(each["actual"]),
                count(each["predicted"]),
                percent(each["right"] / each["predicted"]) if each["predicted"] else MISSING,
                percent(each["right"] / each["actual"]) if each["actual"] else MISSING,
            )
        )
        for each in ([] if found is None else found["classes"])
    ]
    return ReportTable("Classes", columns, tuple(rows))


def coverage_table(record: RunRecord) -> ReportTable:
    """By level of an interval: how many of the test rows' labels lie within, and how wide it is."""
    found = record["outcome"]
    columns = (
        ReportColumn("Intervals that promise", "name"),
        ReportColumn("Hold", "number"),
        ReportColumn("Interval", "number"),
        ReportColumn("Mean width", "number"),
        ReportColumn("Rows", "number"),
    )
    rows = [
        ReportRow(
            (
                percent(each["level"]),
                percent(each["share"]),
                f"{percent(each['low'])} to {percent(each['high'])}",
                number(each["width"]),
                count(each["rows"]),
            )
        )
        for each in ([] if found is None else found["coverage"])
    ]
    return ReportTable("How often intervals of a prediction hold what came", columns, tuple(rows))


def duels_table(record: RunRecord) -> ReportTable:
    """The chosen model beside others on the same rows."""
    found = record["outcome"]
    columns = (
        ReportColumn("Rows", "name"),
        ReportColumn("Against", "name"),
        ReportColumn("Lead", "number"),
        ReportColumn("Interval", "number"),
        ReportColumn("Reading"),
    )
    rows = []
    for each in [] if found is None else found["duels"]:
        lead = each["lead"]
        cut = "" if each["finished"] else "; one was cut off by the time budget"
        rows.append(
            ReportRow(
                (
                    _SPLITS[each["split"]],
                    each["second"],
                    _worded(lead["value"]),
                    score_interval(lead["low"], lead["high"], ""),
                    f"{_reading(lead['low'], lead['high'])}{cut}",
                )
            )
        )
    error = ", errors counted as losses" if is_error(record["task"]["metric"]) else ""
    title = f"Lead of the chosen model in {record['task']['metric_title']} on the same rows{error}"
    return ReportTable(title, columns, tuple(rows))


def _reading(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "no interval"
    return "better beyond chance" if low > 0 else "worse beyond chance" if high < 0 else "inside the noise"


def _worded(value: float | None) -> str:
    """A difference, above zero is better: "0.031 better"."""
    if value is None or value == 0:
        return MISSING if value is None else "equal"
    return f"{number(abs(value))} {'better' if value > 0 else 'worse'}"


def _total(value: float | None) -> str:
    return (
        MISSING if value is None else count(value) if abs(value) >= 100 or float(value).is_integer() else number(value)
    )
