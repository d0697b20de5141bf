"""A performance bank as one HTML page: coverage, policies, what more databases would bring, homophily against the margin.

The page has no script, reads no network and no clock; equal banks give equal bytes. What the numbers are is decided in
`relselect.selector`; nothing is computed here but where a mark stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from markupsafe import Markup

from relselect._version import __version__
from relselect.bank.summary import coverage
from relselect.errors import BankError, ConfigError
from relselect.families.registry import family_infos, info_of, trained
from relselect.report.families import colour_style
from relselect.report.html import both_layouts, finished, page_template, style_sheet
from relselect.report.record import FamilyRecord
from relselect.report.sections import Section
from relselect.report.svg import Canvas, FigureLayout, Scale, ticks
from relselect.report.tables import ReportColumn, ReportRow, ReportTable
from relselect.report.words import MISSING, count, number, percent, plural, seconds, shorten
from relselect.selector.evaluation import MINUTES, Evaluation, PolicyScore, evaluate_parts
from relselect.selector.learning_curve import TaughtBy, learning_curve
from relselect.selector.meta import MetaSelector, profile_numbers, teaching

if TYPE_CHECKING:
    from relselect.bank import PerformanceBank

__all__ = ["bank_page"]

#: The number of the profile that is drawn against the margin.
_DRAWN = "homophily_weighted_mean"
_STEP = 30.0


@dataclass(frozen=True)
class _Point:
    """A task in the scatter: its number, its margin and its name."""

    value: float
    margin: float
    task: str


@dataclass(frozen=True)
class _Findings:
    """What is known of a bank beyond its rows; empty where it has too few databases for it."""

    parts: Mapping[str, Evaluation]
    correlations: Mapping[str, tuple[float, float, float, float]]
    curve: Sequence[TaughtBy]
    points: Sequence[_Point]
    why_not: str = ""


def bank_page(bank: PerformanceBank, *, minutes: float = 3.0) -> str:
    """Return the page of a bank.

    Args:
        bank: The bank; a bank with too few databases for policies is shown without them, with the reason.
        minutes: Time budget of the fits in the tables and the learning curve: 1, 3, 10 or 30.

    Raises:
        ConfigError: `minutes` is another number.
    """
    if minutes not in MINUTES:
        raise ConfigError("minutes", minutes, "is no replayed budget", "Use 1, 3, 10 or 30")
    found = _findings(bank, minutes)
    families = [cast(FamilyRecord, info_of(name).to_json()) for name in trained()]
    drawn = {
        "policies": both_layouts(lambda layout: _policy_figure(_main(found), minutes, layout)),
        "curve": both_layouts(lambda layout: _curve_figure(found.curve, layout)),
        "homophily": both_layouts(lambda layout: _scatter_figure(found.points, layout)),
    }
    sections = [section for section in _sections(bank, found, minutes) if not section.empty or any(section.figures)]
    return finished(
        page_template("bank.html.j2"),
        title=_title(bank),
        version=__version__,
        fingerprint=bank.fingerprint[:12],
        sentences=_sentences(found, minutes),
        keys=_keys(bank),
        sections=sections,
        drawn=drawn,
        captions=_captions(minutes),
        style=Markup(f"{style_sheet()}\n{colour_style(families)}"),
    )


def _findings(bank: PerformanceBank, minutes: float) -> _Findings:
    measured = bank.current().filter(task=lambda task: task.origin != "imported")
    try:
        parts, correlations = evaluate_parts(bank)
        curve = learning_curve(teaching(bank), minutes=minutes)
    except BankError as error:
        return _Findings({}, {}, (), _points(measured), str(error))
    return _Findings(parts, correlations, curve, _points(measured))


def _points(bank: PerformanceBank) -> list[_Point]:
    try:
        known = next(iter(MetaSelector(bank, ("real", "synthetic")).comparisons.values()))
    except BankError:
        return []
    values = [profile_numbers(bank.task_of[task])[_DRAWN] for task in known.tasks]
    names = [f"{bank.task_of[task].database}/{bank.task_of[task].name}" for task in known.tasks]
    return [
        _Point(value, margin, name)
        for value, margin, name in zip(values, known.margins, names, strict=True)
        if math.isfinite(value) and math.isfinite(margin)
    ]


def _main(found: _Findings) -> Evaluation | None:
    return next(iter(found.parts.values()), None)


def _title(bank: PerformanceBank) -> str:
    real = [task for task in bank.tasks if task.origin == "real"]
    rest = len(bank.tasks) - len(real)
    names = len({task.database for task in real})
    text = f"{count(len(real))} real {plural(len(real), 'task')} of {count(names)} {plural(names, 'database')}"
    return f"{text}, {count(rest)} synthetic or imported" if rest else text


def _sentences(found: _Findings, minutes: float) -> list[str]:
    each = _main(found)
    if each is None:
        return [f"Policies cannot be compared on this bank: {found.why_not}" if found.why_not else "The bank is empty."]
    policies = each.policies[minutes]
    shipped = policies["posterior blend"]
    second, first = info_of(each.second), info_of(each.first)
    verb = "above" if shipped.gain >= 0 else "below"
    return [
        f"With {minutes:g} minutes a task, the shipped policy is {number(abs(shipped.gain))} of test skill {verb} always "
        f"taking {first.phrase} (90 % interval over databases: {_signed(shipped.gain_low)} to {_signed(shipped.gain_high)}).",
        f"The {second.title} is the better family on {each.second_wins} of {each.tasks} tasks, and {each.judged} differences "
        "are beyond noise. Every task was judged by a selector that never saw its database.",
    ]


def _keys(bank: PerformanceBank) -> list[tuple[str, str, str]]:
    failed = sum(trial.failed for trial in bank.trials)
    spent = sum(trial.seconds for trial in bank.trials if trial.seconds == trial.seconds)
    seeds = {trial.seed for trial in bank.trials}
    numbers = {(trial.family, trial.number) for trial in bank.trials}
    return [
        ("Trials", count(len(bank.trials)), f"{count(failed)} failed"),
        ("Configurations", count(len(numbers)), "of all families together"),
        ("Seeds", count(len(seeds)), "in all"),
        ("Time of fits", seconds(spent), "as recorded"),
    ]


def _sections(bank: PerformanceBank, found: _Findings, minutes: float) -> list[Section]:
    policy_tables = [
        _policy_table(f"{name.capitalize()}, {minutes:g} minutes a task", each, minutes)
        for name, each in found.parts.items()
    ]
    return [
        Section(
            "policies",
            "Policies",
            (
                "A policy decides what is deployed within a time budget. Skill is 1 for a perfect prediction and 0 for the "
                "training constant; regret is the better family's skill less the policy's.",
            )
            if policy_tables
            else (),
            figures=("policies",) if policy_tables else (),
            tables=tuple(policy_tables),
        ),
        Section(
            "learning",
            "Would a larger bank help?",
            ("Every task is judged by a selector taught by so many other databases, drawn again several times.",)
            if found.curve
            else (),
            figures=("curve",) if found.curve else (),
        ),
        Section(
            "homophily",
            "Homophily and the margin",
            _homophily_words(found),
            figures=("homophily",) if found.points else (),
            tables=(_correlation_table(found),),
        ),
        Section("coverage", "Coverage", tables=(_coverage_table(bank), _failures_table(bank))),
    ]


def _homophily_words(found: _Findings) -> tuple[str, ...]:
    if _DRAWN not in found.correlations:
        return ()
    rho, low, high, p_value = found.correlations[_DRAWN]
    return (
        f"Spearman's rho between adjusted homophily and the margin is {_signed(rho)} (90 % interval over databases: "
        f"{_signed(low)} to {_signed(high)}; p = {p_value:.2f} after a correction for looking at "
        f"{len(found.correlations)} numbers).",
    )


def _policy_table(caption: str, each: Evaluation, minutes: float) -> ReportTable:
    columns = (
        ReportColumn("Policy", "name"),
        *(
            ReportColumn(name, "number")
            for name in ("Test skill", "Gain", "90 % interval", "Mean regret", "Largest", "Right")
        ),
    )
    rows = tuple(
        ReportRow(
            (
                _policy(name, each),
                f"{score.skill:.4f}",
                f"{score.gain:+.4f}".replace("-", "−"),
                f"{_signed(score.gain_low)} to {_signed(score.gain_high)}",
                f"{score.regret:.4f}".replace("-", "−"),
                f"{score.largest_regret:.3f}".replace("-", "−"),
                percent(None if math.isnan(score.accuracy) else score.accuracy),
            ),
            chosen=name == "posterior blend",
        )
        for name, score in each.policies[minutes].items()
    )
    return ReportTable(caption, columns, rows)


def _policy(name: str, each: Evaluation) -> str:
    return name.replace("first", info_of(each.first).short).replace("second", info_of(each.second).short)


def _correlation_table(found: _Findings) -> ReportTable:
    columns = (
        ReportColumn("Number of the profile", "name"),
        *(ReportColumn(name, "number") for name in ("Rho", "90 % interval", "p")),
    )
    ordered = sorted(found.correlations.items(), key=lambda item: item[1][3])
    rows = tuple(
        ReportRow((name, _signed(rho), f"{_signed(low)} to {_signed(high)}", f"{p:.3f}"))
        for name, (rho, low, high, p) in ordered
    )
    return ReportTable("Profile numbers against the margin", columns, rows, fold=6)


def _coverage_table(bank: PerformanceBank) -> ReportTable:
    known = coverage(bank)
    names = tuple(known[0]) if known else ()
    short = {name: info_of(name).short for name in names if name in {info.name for info in family_infos()}}
    kinds = {"database": "name", "origin": "text"}
    columns = tuple(ReportColumn(short.get(name, name.capitalize()), kinds.get(name, "number")) for name in names)
    rows = tuple(
        ReportRow(tuple(value if isinstance(value, str) else _number(value) for value in row.values())) for row in known
    )
    return ReportTable("Trials by database", columns, rows, fold=40)


def _failures_table(bank: PerformanceBank) -> ReportTable:
    failed = [trial for trial in bank.trials if trial.failed]
    columns = (ReportColumn("Task", "name"), ReportColumn("Family", "name"), ReportColumn("Reason"))
    rows = tuple(
        ReportRow(
            (
                f"{bank.task_of[trial.task].database}/{bank.task_of[trial.task].name}",
                trial.family,
                shorten(trial.error, 200),
            )
        )
        for trial in failed
    )
    return ReportTable("Trials that failed", columns, rows, fold=5)


def _captions(minutes: float) -> dict[str, str]:
    return {
        "policies": f"Gain in test skill over the first policy with {minutes:g} minutes a task. Dot: the mean over tasks, "
        "band: its 90 % interval over databases.",
        "curve": "Gain of the shipped policy by the number of databases that taught it; whiskers are standard errors over draws.",
        "homophily": "One dot a task. Above the line the second family is better on test rows.",
    }


def _number(value: float) -> str:
    return number(value) if isinstance(value, float) else count(value)


def _signed(value: float) -> str:
    if not math.isfinite(value):
        return MISSING
    rounded = round(value, 3)
    return f"{rounded:+.3f}".replace("-", "−") if rounded else "0.000"


def _policy_figure(each: Evaluation | None, minutes: float, layout: FigureLayout) -> Markup | None:
    """The gain of each policy with its interval, one row a policy; better is right."""
    if each is None:
        return None
    scores: Mapping[str, PolicyScore] = each.policies[minutes]
    ends = [end for score in scores.values() for end in (score.gain, score.gain_low, score.gain_high)]
    left, right, top = layout.labels, layout.width - layout.values, 10.0
    bottom = top + _STEP * len(scores)
    x = Scale(min(*ends, 0.0), max(*ends, 0.0), left, right)
    summary = "; ".join(f"{_policy(name, each)}: {_signed(score.gain)}" for name, score in scores.items())
    art = Canvas("fig-policies", "Gain of each policy", summary, layout, bottom + 38)
    for tick in ticks(x.low, x.high, layout.ticks):
        art.line(x(tick), top - 4, x(tick), bottom, "grid")
        art.text(x(tick), bottom + 16, _signed(tick), "axis", "middle")
    art.line(x(0.0), top - 4, x(0.0), bottom, "baseline")
    art.text(right, bottom + 34, "gain in test skill, better to the right →", "axis", "end")
    for place, (name, score) in enumerate(scores.items()):
        y, css = top + _STEP * (place + 0.5), " chosen" if name == "posterior blend" else ""
        text = _policy(name, each)
        art.text(left - 12, y + 4, shorten(text, layout.letters - len(css) // 4), f"label{css}", "end", tip=text)
        art.line(x(score.gain_low), y, x(score.gain_high), y, "span f1" if css else "span other")
        art.circle(x(score.gain), y, 4.5, "dot f1" if css else "dot other")
        art.text(right + 12, y + 4, _signed(score.gain), f"value{css}")
    return art.markup()


def _curve_figure(curve: Sequence[TaughtBy], layout: FigureLayout) -> Markup | None:
    """The gain by the number of databases that taught."""
    if len(curve) < 2:
        return None
    left, right, top, bottom = 64.0, layout.width - 24, 14.0, 200.0
    ends = [end for each in curve for end in (each.gain - each.stderr, each.gain + each.stderr)]
    x = Scale(curve[0].databases, curve[-1].databases, left, right)
    y = Scale(min(*ends, 0.0), max(*ends, 0.0), bottom, top)
    summary = "; ".join(f"{each.databases} databases: {_signed(each.gain)}" for each in curve)
    art = Canvas("fig-curve", "Gain by the number of databases", summary, layout, bottom + 40)
    for tick in ticks(y.low, y.high, 4):
        art.line(left, y(tick), right, y(tick), "grid")
        art.text(left - 10, y(tick) + 4, _signed(tick), "axis", "end")
    for each in curve:
        art.text(x(each.databases), bottom + 18, count(each.databases), "axis", "middle")
        art.line(
            x(each.databases), y(each.gain - each.stderr), x(each.databases), y(each.gain + each.stderr), "whisker"
        )
    art.polyline([(x(each.databases), y(each.gain)) for each in curve], "curve f1")
    for each in curve:
        tip = f"{each.databases} databases: {_signed(each.gain)} ± {each.stderr:.3f}"
        art.circle(x(each.databases), y(each.gain), 4.5, "dot f1", tip)
    art.text(right, bottom + 36, "databases that taught", "axis", "end")
    return art.markup()


def _scatter_figure(points: Sequence[_Point], layout: FigureLayout) -> Markup | None:
    """Homophily of each task against the margin of the second family."""
    if len(points) < 2:
        return None
    left, right, top, bottom = 64.0, layout.width - 24, 14.0, 280.0
    x = Scale(min(each.value for each in points), max(each.value for each in points), left, right)
    largest = max(abs(each.margin) for each in points)
    y = Scale(-largest, largest, bottom, top)
    summary = "; ".join(f"{each.task}: {_signed(each.value)}, {_signed(each.margin)}" for each in points)
    art = Canvas("fig-homophily", "Homophily and margin of each task", summary, layout, bottom + 60)
    for tick in ticks(y.low, y.high, 5):
        art.line(left, y(tick), right, y(tick), "grid")
        art.text(left - 10, y(tick) + 4, _signed(tick), "axis", "end")
    for tick in ticks(x.low, x.high, layout.ticks):
        art.text(x(tick), bottom + 18, _signed(tick), "axis", "middle")
    art.line(left, y(0.0), right, y(0.0), "baseline")
    for each in points:
        tip = f"{each.task}: homophily {_signed(each.value)}, margin {_signed(each.margin)}"
        art.circle(x(each.value), y(each.margin), 4.5, f"dot {'f1' if each.margin > 0 else 'f0'}", tip)
    art.text(right, bottom + 36, "adjusted homophily, mean over paths", "axis", "end")
    art.text(left, bottom + 54, "margin of the second family, upwards", "axis")
    return art.markup()
