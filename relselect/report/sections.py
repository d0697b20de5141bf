"""The report's sections as plain data, so that the page and the Markdown tell the same facts in the same order."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from relselect.report import sheets
from relselect.report.record import RunRecord
from relselect.report.sheets import Sheet
from relselect.report.verdict import chosen_row, margin_text
from relselect.report.words import count, explain_metric, family_name, metric_name, percent, seconds, sentence

__all__ = ["Section", "sections"]

_REGIMES = {
    "rolling": "rolling: a row is asked about with everything that was known at its own cutoff",
    "frozen": "frozen: validation and test rows see the database as it stood when their split began",
}
#: What `relselect demo` trains on.
_DEMO = ("lahman", "player-active")
_KINDS = {
    "binary": "yes or no",
    "multiclass": "one of several classes",
    "regression": "a number",
}
_GLOSSARY = (
    (
        "Feature synthesis (DFS)",
        "Summarises the related rows of each entity into columns (counts, means, times since) "
        "and trains a tabular model, here gradient boosted trees, on them.",
    ),
    (
        "Graph neural network (RDL)",
        "Takes rows as nodes and foreign keys as edges and learns what to read from the "
        "neighbourhood of each entity, without hand-made columns.",
    ),
    ("Cutoff", "The date at which a row is asked about. Nothing later may be seen by a model."),
    (
        "Validation and test",
        "Validation rows come later than the training rows and decide between models. Test rows "
        "come later still and take no part in any choice.",
    ),
    (
        "Interval",
        "The range in which nine of ten scores fall when the entities of the validation rows are drawn again "
        "(bootstrap). Overlapping intervals mean that a difference may be luck.",
    ),
    (
        "Constant baseline",
        "Always giving the same answer, for everyone or per entity. A model that does not beat it has learnt nothing.",
    ),
)


@dataclass(frozen=True)
class Section:
    """One section of the report.

    Attributes:
        key: Anchor on the page.
        title: Heading.
        paragraphs: Plain sentences before anything else.
        bullets: A list of short statements.
        figures: Names of figures, drawn by the page and left out of the Markdown.
        facts: (label, value) pairs.
        tables: Tables of facts.
        code: A block of text to copy.
    """

    key: str
    title: str
    paragraphs: tuple[str, ...] = ()
    bullets: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Sheet, ...] = ()
    code: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show but figures."""
        return not (self.paragraphs or self.bullets or self.facts or self.code or any(s.rows for s in self.tables))


def sections(record: RunRecord) -> list[Section]:
    """All sections of a complete record that have something to say, in order."""
    makers = (_evidence, _leaderboard, _choice, _warnings, _task, _database, _profile, _time, _reproduction, _glossary)
    return [section for section in (make(record) for make in makers) if not section.empty]


def _evidence(record: RunRecord) -> Section:
    advice = record["recommendation"]
    family = advice["family"]
    paragraphs = []
    if family:
        before = "" if record["kind"] == "recommendation" else "Before anything was trained, "
        said = "running both families" if family == "both" else f"{family_name(family)}"
        margin = margin_text(advice["margin"], advice["interval"])
        paragraphs.append(sentence(f"{before}measuring the task suggested {said}: {margin}"))
        paragraphs += _agreement(record)
    if advice["taught_by"]:
        paragraphs.append(sentence(f"What stands behind the suggestion: {advice['taught_by']}"))
    return Section(
        "evidence",
        "Evidence",
        tuple(paragraphs),
        tuple(text for text in advice["evidence"] if text != advice["taught_by"]),
        ("margin",),
        tables=(sheets.neighbours(record),),
    )


def _agreement(record: RunRecord) -> list[str]:
    """Whether training agreed with the suggestion, for a run that trained both."""
    chosen, advised = chosen_row(record), record["recommendation"]["family"]
    tried = {row["family"] for row in record["leaderboard"]} & {"rdl", "dfs"}
    if chosen is None or len(tried) < 2 or advised not in tried:
        return []
    agrees = chosen["family"] == advised
    return ["Training both families came to the same answer." if agrees else "Training both came to another answer."]


def _leaderboard(record: RunRecord) -> Section:
    metric = record["task"]["metric"]
    rows = record["leaderboard"]
    paragraphs = []
    if rows:
        tried = sum(row["family"] != "constants" for row in rows)
        regime = record["task"]["regime"]
        paragraphs.append(
            f"{tried} trained {_plural(tried, 'candidate')} and the constant baselines, by {metric_name(metric)} on the "
            f"validation rows{f', in the {regime} regime' if regime else ''}. {explain_metric(metric)}".rstrip()
        )
    return Section(
        "leaderboard",
        "Leaderboard",
        tuple(paragraphs),
        figures=("board",),
        tables=(sheets.leaderboard(record), sheets.notes(record), sheets.configurations(record)),
    )


def _choice(record: RunRecord) -> Section:
    choice = record["choice"]
    paragraphs = []
    if choice["candidate"]:
        at = _at(choice["checkpoint"], choice["step"])
        paragraphs.append(f"From now on {choice['candidate']} ({family_name(choice['family'])}){at} predicts.")
        if choice["why"]:
            paragraphs.append(choice["why"])
        if other := choice["without_flatness"]:
            place = choice["without_flatness_checkpoint"]
            same = (other, place) == (choice["candidate"], choice["checkpoint"])
            paragraphs.append(
                f"The validation score alone would have chosen {'the same' if same else other + _at(place)}."
            )
    tied = len(choice["near_ties"]) > 1
    if tied:
        paragraphs.append(
            "Checkpoints within one standard error of the best are told apart by how steeply the loss rises "
            "around them: a flat place is a safer one."
        )
    return Section(
        "choice",
        "Choice of the checkpoint",
        tuple(paragraphs),
        figures=("curve", "features"),
        tables=(*([sheets.near_ties(record)] if tied else []), sheets.features(record)),
    )


def _at(checkpoint: int | None, step: int | None = None) -> str:
    if checkpoint is None:
        return ""
    return f" at checkpoint {checkpoint}{'' if step is None else f' (training step {count(step)})'}"


def _warnings(record: RunRecord) -> Section:
    bullets = [
        sentence(f"{family_name(row['family'])} did not finish: {row['why'] or 'no reason given'}")
        for row in record["unfinished"]
    ]
    bullets += [
        sentence(f"{family_name(row['family'])}, trial {count(row['number'])} failed: {row['error']}")
        for row in record["failures"]
    ]
    notices = sorted(record["notices"], key=lambda row: row["level"] != "warning")
    bullets += [
        sentence(
            f"{'Warning' if row['level'] == 'warning' else 'Note'}"
            f"{f' ({topic})' if (topic := row['topic']) else ''}: {row['message']}"
        )
        for row in notices
    ]
    trouble = record["unfinished"] or record["failures"] or any(row["level"] == "warning" for row in notices)
    paragraphs = () if trouble or record["kind"] is None else ("Nothing failed and no warning was raised.",)
    return Section("warnings", "Warnings and failures", paragraphs, tuple(dict.fromkeys(bullets)))


def _task(record: RunRecord) -> Section:
    task = record["task"]
    facts = _facts(
        ("Task", task["name"]),
        ("Asked about", task["entity"]),
        ("Target", task["target"]),
        ("Answer", _KINDS.get(task["kind"] or "", task["kind"])),
        ("Classes", ", ".join(task["classes"])),
        ("Horizon", task["horizon"]),
        ("Regime", _REGIMES.get(task["regime"] or "", task["regime"])),
        ("Metric", task["metric"] and metric_name(task["metric"])),
        ("Delay", task["delay"]),
    )
    paragraphs = (sentence(task["description"]),) if task["description"] else ()
    return Section("task", "Task", paragraphs, figures=("splits",), facts=facts, tables=(sheets.splits(record),))


def _database(record: RunRecord) -> Section:
    database = record["database"]
    tables = database["tables"]
    facts = _facts(
        ("Database", database["name"]),
        ("Tables", count(len(tables)) if tables else None),
        ("Rows", None if database["rows"] is None else count(database["rows"])),
    )
    bullets = []
    for table in tables:
        if table["null_times"]:
            bullets.append(
                f"{table['name']}: {count(table['null_times'])} rows without a time are never visible "
                f"({_of(table['null_times'], table['rows'])})."
            )
        for key in table["foreign_keys"]:
            if key["dangling"]:
                bullets.append(
                    f"{table['name']}.{'+'.join(key['columns'])}: {count(key['dangling'])} values point to no "
                    f"row of {key['table']} ({_of(key['dangling'], table['rows'])})."
                )
    return Section("database", "Data", bullets=tuple(bullets), facts=facts, tables=(sheets.tables(record),))


def _of(part: int, whole: int | None) -> str:
    return f"{percent(part / whole)} of the table" if whole else "share unknown"


def _profile(record: RunRecord) -> Section:
    profile = record["profile"]
    paragraphs = []
    if profile["measures"]:
        took = "" if profile["seconds"] is None else f" in {seconds(profile['seconds'])}"
        paragraphs.append(f"Measured{took} on the training labels alone, before any training.")
        found = len(profile["findings"])
        if found:
            paragraphs.append(f"The leak checks have {count(found)} {_plural(found, 'finding')}, listed first.")
        elif profile["checked"]:
            paragraphs.append("The leak checks found nothing.")
    tables = (sheets.findings(record), *sheets.profile(record))
    return Section("profile", "Profile of the task", tuple(paragraphs), tables=tables)


def _time(record: RunRecord) -> Section:
    budget = record["budget"]
    facts = _facts(
        ("Granted", seconds(budget["seconds"]) if budget["seconds"] else None),
        ("Spent", seconds(budget["spent"]) if budget["spent"] is not None else None),
    )
    return Section("time", "Where the time went", figures=("budget",), facts=facts, tables=(sheets.stages(record),))


def _reproduction(record: RunRecord) -> Section:
    environment: dict[str, Any] = dict(record["environment"])
    facts = _facts(
        ("Seed", record["seed"]),
        ("relselect", record["relselect"]),
        *((name, environment[name]) for name in environment),
        ("Database fingerprint", record["database"]["fingerprint"]),
    )
    paragraphs = (
        (
            "Equal data, seed and number of trials give the equal study. A time budget on another machine may fit "
            "more or fewer trials.",
        )
        if facts
        else ()
    )
    return Section("reproduction", "Reproduction", paragraphs, facts=facts, code=_command(record))


def _command(record: RunRecord) -> str:
    """The command that would run it again; nothing when the command line cannot open the database."""
    source, task = record["database"]["source"], record["task"]["name"]
    asked = ["--seed", str(record["seed"])] if record["seed"] is not None else []
    if record["kind"] != "recommendation" and record["budget"]["seconds"]:
        asked += ["--time-budget", f"{record['budget']['seconds']:g}s"]
    if (record["database"]["name"], task) == _DEMO and not source:
        return " ".join(["relselect", "demo", *asked])
    if not source or not task:
        return ""
    names = [shlex.quote(source), "--task", shlex.quote(task)]
    if record["kind"] == "recommendation":
        return " ".join(["relselect", "recommend", *names, *asked])
    regime = ["--regime", str(record["task"]["regime"])] if record["task"]["regime"] in _REGIMES else []
    return " ".join(["relselect", "train", *names, *asked, *regime])


def _glossary(record: RunRecord) -> Section:
    return Section("glossary", "In case the words are new", facts=_GLOSSARY)


def _facts(*pairs: tuple[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((label, str(value)) for label, value in pairs if value not in (None, "", []))


def _plural(number: int, word: str) -> str:
    return word if number == 1 else f"{word}s"
