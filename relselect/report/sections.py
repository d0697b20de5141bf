"""The report's sections as plain data, so that the page and the Markdown show the same facts in the same order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from relselect.report import outcome_tables, rests_on, tables
from relselect.report.action import action_figures, action_headline, action_sentences, rows_name
from relselect.report.families import baselines, family_info, trained
from relselect.report.margins import margin_text, suggestion_text
from relselect.report.record import ChoiceRecord, RunRecord
from relselect.report.reproduction import reproduction_command
from relselect.report.tables import ReportTable
from relselect.report.trust import trust
from relselect.report.verdict import KeyFigure, chosen_row, verdict
from relselect.report.words import capital, count, explain_metric, percent, plural, seconds, sentence

__all__ = ["Section", "sections"]

_REGIMES = {
    "rolling": "rolling: a row is asked about with everything that was known at its own cutoff",
    "frozen": "frozen: validation and test rows see the database as it stood when their split began",
    "static": "static: the task has no time",
}
_KINDS = {
    "binary": "yes or no",
    "multiclass": "one of several classes",
    "regression": "a number",
}
_ABSENT = (
    "What the predictions are worth was not measured in this run, or the record is of an earlier version: "
    "totals, gain, calibration and errors by segment are absent."
)
_GLOSSARY = (
    (
        "Top tenth",
        "The tenth of the rows with the highest predictions, or with the lowest ones where no is the rarer answer. What it holds "
        "says what is gained by acting on those first.",
    ),
    (
        "Calibration",
        "Predictions are calibrated when what is predicted with 70 % comes true in 70 of 100 cases. "
        "Only then may they be added up.",
    ),
    ("Cutoff", "The date at which a row is asked about. Nothing later may be seen by a model."),
    (
        "Validation and test",
        "Validation rows are later than the training rows. Half of them (stop rows) decide when training ends, the other "
        "half (select rows) decide between models and carry the validation score. Test rows are later still and take "
        "no part in any choice.",
    ),
    (
        "Interval",
        "The range in which nine of ten scores fall when the entities of the rows are drawn again "
        "(bootstrap). Overlapping intervals mean that a difference may be luck.",
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
        headline: The one line that stands large at the top of the report; "" for sections that never stand there.
        badge: A mark in a few words.
        tone: How the badge is coloured: "good", "fair" or "poor".
        keys: Key figures.
        alerts: What a reader must not miss.
        folded: Whether the page folds it away: how things were done, not what follows.
    """

    key: str
    title: str
    paragraphs: tuple[str, ...] = ()
    bullets: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[ReportTable, ...] = ()
    code: str = ""
    headline: str = ""
    badge: str = ""
    tone: str = ""
    keys: tuple[KeyFigure, ...] = ()
    alerts: tuple[str, ...] = ()
    folded: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show but figures."""
        told = self.headline or self.alerts or self.paragraphs or self.bullets or self.facts or self.code
        return not (told or any(table.rows for table in self.tables))


def sections(record: RunRecord) -> list[Section]:
    """Returns the sections that have anything to show, in order; the first has a headline and stands at the top."""
    answers = [_action, _trust, _rests_on, _errors, _model, _evidence, _leaderboard]
    if record["outcome"] is None:
        answers = [_model, _trust, _rests_on, _evidence, _leaderboard]
    machinery = (_choice, _warnings, _task, _database, _profile, _time, _reproduction, _glossary)
    found = [make(record) for make in answers] + [replace(make(record), folded=True) for make in machinery]
    return [section for section in found if not section.empty]


def _action(record: RunRecord) -> Section:
    found, title = record["outcome"], "What can be done"
    if found is None:
        return Section("action", title)
    return Section(
        "action",
        title,
        tuple(action_sentences(record, found)),
        figures=("gain",),
        tables=(outcome_tables.ahead_table(record),),
        headline=action_headline(record, found),
        badge=(known := trust(record)).badge,
        tone=known.tone,
        keys=action_figures(record, found),
    )


def _trust(record: RunRecord) -> Section:
    if record["kind"] == "recommendation" or record["choice"] is None:
        return Section("trust", "Whether it can be trusted")
    known = trust(record)
    absent = (_ABSENT,) if record["outcome"] is None else ()
    return Section(
        "trust",
        "Whether it can be trusted",
        bullets=(*known.sides, *absent),
        badge=known.badge,
        tone=known.tone,
        alerts=known.against,
    )


def _errors(record: RunRecord) -> Section:
    """Calibration, totals, and errors by time and by segment."""
    found, title = record["outcome"], "Where it is right and wrong"
    if found is None:
        return Section("errors", title)
    paragraphs = [f"Measured on the {rows_name(found)}."]
    if found["compared"]:
        drawn = "" if found["drawn"] == found["rows"] else f", on {count(found['drawn'])} of the rows,"
        many = len(found["segments"])
        none = f"{count(many)} differ" if many > 1 else "one differs" if many else "none differs"
        paragraphs.append(
            f"Of {count(found['compared'])} values in columns of {record['task']['entity']} that were compared{drawn} "
            f"{none} beyond chance from all rows."
        )
    shown = (
        outcome_tables.totals_table(record),
        outcome_tables.classes_table(record),
        outcome_tables.segments_table(record),
        outcome_tables.bins_table(record),
        outcome_tables.coverage_table(record),
        outcome_tables.periods_table(record),
    )
    return Section("errors", title, tuple(paragraphs), figures=("calibration", "periods"), tables=shown)


def _model(record: RunRecord) -> Section:
    """The verdict: which family to use, and what supports it."""
    found = verdict(record)
    first = record["outcome"] is None
    return Section(
        "verdict",
        "Which model, and why",
        found.sentences,
        headline=found.headline,
        badge=found.badge,
        tone=found.tone,
        keys=found.figures,
        alerts=found.alerts if (first and record["kind"] == "recommendation") or record["choice"] is None else (),
    )


def _evidence(record: RunRecord) -> Section:
    advice = record["recommendation"]
    before = "" if record["kind"] == "recommendation" else "Before anything was trained, "
    suggested = f"{before}measuring the task suggested {suggestion_text(record)}: {margin_text(record)}"
    paragraphs = [sentence(suggested), *_agreement(record)]
    if advice["taught_by"]:
        paragraphs.append(sentence(f"Source of the expectation: {advice['taught_by']}"))
    return Section(
        "evidence",
        "Evidence",
        tuple(paragraphs),
        tuple(text for text in advice["evidence"] if text != advice["taught_by"]),
        ("margin",),
        tables=(tables.neighbours(record),),
    )


def _agreement(record: RunRecord) -> list[str]:
    """Whether training agreed with the suggestion, for a run that trained several families."""
    chosen, advised = chosen_row(record), record["recommendation"]["families"]
    tried = {row["family"] for row in trained(record)}
    if chosen is None or len(tried) < 2 or len(advised) != 1 or advised[0] not in tried:
        return []
    agrees = chosen["family"] == advised[0]
    families = "both" if len(tried) == 2 else f"{len(tried)}"
    return [f"Training {families} families came to {'the same' if agrees else 'another'} answer."]


def _leaderboard(record: RunRecord) -> Section:
    task, rows = record["task"], record["leaderboard"]
    paragraphs = []
    if rows:
        tried = len(trained(record))
        regime = "" if task["regime"] == "static" else f", in the {task['regime']} regime"
        known = [f"{tried} trained {plural(tried, 'candidate')}"] if tried else []
        known += ["the baselines"] if baselines(record) else []
        by = f"{' and '.join(known)}, by {task['metric_title']} on the validation rows{regime}"
        paragraphs.append(f"{sentence(by)} {explain_metric(task['metric'])}".rstrip())
        paragraphs += [_validation(record)] if tried else []
    if any(row["test_score"] is not None for row in rows):
        paragraphs.append("Test scores in this table are those of the validated models, before any refit.")
    return Section(
        "leaderboard",
        "Leaderboard",
        tuple(paragraphs),
        figures=("board",),
        tables=(
            outcome_tables.duels_table(record),
            tables.leaderboard(record),
            tables.notes(record),
            tables.further_scores(record),
            tables.pruned(record),
            tables.configurations(record),
        ),
    )


def _validation(record: RunRecord) -> str:
    """How the validation rows were divided between ending training and scoring models."""
    used = record["validation"]
    stop, select = count(used["stop_rows"]), count(used["select_rows"])
    if used["shared"]:
        return f"The same {select} validation rows ended training and carry the scores. {sentence(used['why'])}"
    first = f"{stop} {'training' if used['way'] == 'train_tail' else 'validation'} rows (stop rows) ended training"
    return f"{first}, {select} other validation rows (select rows) carry the scores. {sentence(used['why'])}"


def _choice(record: RunRecord) -> Section:
    choice = record["choice"]
    if choice is None:
        return Section("choice", "Choice of the checkpoint")
    tied = len(choice["near_ties"]) > 1
    paragraphs = [*_deployment(record, choice), choice["why"], _without_flatness(choice)]
    if tied:
        paragraphs.append(
            "Checkpoints within one standard error of the best are compared by the slope of the loss around them: "
            "the flatter one is preferred."
        )
    return Section(
        "choice",
        "Choice of the checkpoint",
        tuple(text for text in paragraphs if text),
        figures=("curve", "landscape", "features"),
        tables=(*([tables.near_ties(record)] if tied else []), tables.features(record)),
    )


def _deployment(record: RunRecord, choice: ChoiceRecord) -> list[str]:
    """Which model predicts from now on, and whether it was refitted."""
    at = _at(choice["checkpoint"], choice["step"])
    first = f"From now on {choice['candidate']} ({family_info(record, choice['family'])['phrase']}){at} predicts"
    deployed = record["deployed"]
    if deployed is None:
        return [f"{first}."]
    state = (
        "refitted on training and validation rows" if deployed["refitted"] else "as it was validated, without a refit"
    )
    return [f"{first}, {state}.", sentence(deployed["why"]) if deployed["why"] else ""]


def _without_flatness(choice: ChoiceRecord) -> str:
    """What the validation score alone would have chosen."""
    other = (choice["without_flatness"], choice["without_flatness_checkpoint"])
    same = other == (choice["candidate"], choice["checkpoint"])
    return f"The validation score alone would have chosen {'the same' if same else other[0] + _at(other[1])}."


def _at(checkpoint: int | None, step: int | None = None) -> str:
    if checkpoint is None:
        return ""
    return f" at checkpoint {checkpoint}{'' if step is None else f' (training step {count(step)})'}"


def _rests_on(record: RunRecord) -> Section:
    found, title = record["rests_on"], "What it rests on"
    if found is None:
        return Section("rests-on", title)
    decay = () if record["outcome"] is not None else (rests_on.decay_table(record, found),)  # its periods stand there
    shown = (rests_on.ablation_table(found), rests_on.delay_table(record, found), *decay)
    paragraphs = rests_on.rests_on_sentences(found)
    return Section("rests-on", title, paragraphs, figures=("schema", "ablations", "staleness"), tables=shown)


def _warnings(record: RunRecord) -> Section:
    bullets = [
        sentence(f"{family_info(record, row['family'])['title']} did not finish: {row['why'] or 'no reason given'}")
        for row in record["unfinished"]
    ]
    bullets += [
        sentence(f"{family_info(record, row['family'])['title']}, trial {count(row['number'])} failed: {row['error']}")
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
    paragraphs = () if trouble else ("Nothing failed and no warning was raised.",)
    return Section("warnings", "Warnings and failures", paragraphs, tuple(dict.fromkeys(bullets)))


def _task(record: RunRecord) -> Section:
    task = record["task"]
    facts = _facts(
        ("Task", task["name"]),
        ("Asked about", task["entity"]),
        ("Target", task["target"]),
        ("Answer", _KINDS[task["kind"]]),
        ("Classes", ", ".join(task["classes"])),
        ("Horizon", task["horizon"]),
        ("Regime", _REGIMES[task["regime"]]),
        ("Metric", task["metric_title"]),
        ("Delay", task["delay"]),
    )
    paragraphs = (sentence(task["description"]),) if task["description"] else ()
    return Section("task", "Task", paragraphs, figures=("splits",), facts=facts, tables=(tables.splits(record),))


def _database(record: RunRecord) -> Section:
    database = record["database"]
    known = database["tables"]
    facts = _facts(
        ("Database", database["name"]),
        ("Tables", count(len(known))),
        ("Rows", count(database["rows"])),
    )
    bullets = []
    for table in known:
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
    return Section("database", "Data", bullets=tuple(bullets), facts=facts, tables=(tables.database_tables(record),))


def _of(part: int, whole: int) -> str:
    return f"{percent(part / whole)} of the table" if whole else "share unknown"


def _profile(record: RunRecord) -> Section:
    profile = record["profile"]
    if profile is None:
        return Section("profile", "Profile of the task")
    paragraphs = []
    if profile["measures"]:
        took = seconds(profile["seconds"])
        paragraphs.append(f"Measured in {took} on the training labels alone, before any training.")
    found, unrun = len(profile["findings"]), len(profile["unrun_checks"])
    if found:
        paragraphs.append(f"The leak checks have {count(found)} {plural(found, 'finding')}, listed first.")
    else:
        paragraphs.append("The leak checks that ran found nothing." if unrun else "The leak checks found nothing.")
    if unrun:
        paragraphs.append(f"{count(unrun)} leak {plural(unrun, 'check')} did not run.")
    listed = (tables.findings(profile), tables.unrun_checks(profile), *tables.measures(profile))
    return Section("profile", "Profile of the task", tuple(paragraphs), tables=listed)


def _time(record: RunRecord) -> Section:
    budget = record["budget"]
    facts = _facts(
        ("Granted", seconds(budget["seconds"]) if budget["seconds"] else None),
        ("Spent", seconds(budget["spent"])),
    )
    return Section("time", "Where the time went", figures=("budget",), facts=facts, tables=(tables.stages(record),))


def _reproduction(record: RunRecord) -> Section:
    environment, settings = record["environment"], record["settings"]
    families = None if settings["families"] is None else ", ".join(settings["families"])
    facts = _facts(
        ("Seed", settings["seed"]),
        ("Families asked for", families),
        ("Trials per family at most", settings["max_trials"]),
        (
            "Test rows",
            None if settings["evaluate_test"] or record["kind"] == "recommendation" else "not scored, as asked",
        ),
        ("relselect", record["relselect"]),
        *((name, environment[name]) for name in environment if name != "relselect"),
        ("Database fingerprint", record["database"]["fingerprint"]),
    )
    paragraphs = (
        "Equal data, seed and number of trials give the equal study. A time budget on another machine may fit "
        "more or fewer trials.",
    )
    command = reproduction_command(record)
    return Section("reproduction", "Reproduction", paragraphs, facts=facts, code=command)


def _glossary(record: RunRecord) -> Section:
    families = [
        (capital(family["title"] + ("" if family["baseline"] else f" ({family['short']})")), family["description"])
        for family in record["families"]
        if family["description"]
    ]
    return Section("glossary", "In case the words are new", facts=(*families, *_GLOSSARY))


def _facts(*pairs: tuple[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((label, str(value)) for label, value in pairs if value not in (None, "", []))
