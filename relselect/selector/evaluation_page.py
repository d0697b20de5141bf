"""An evaluation of policies as Markdown tables. Nothing is computed here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from relselect.families.registry import info_of
from relselect.selector.evaluation import Evaluation, PolicyScore
from relselect.selector.learning_curve import TaughtBy
from relselect.selector.portfolio import PortfolioGain

__all__ = ["evaluation_page"]

_HEAD = (
    "| policy | test skill | 90 % over databases | mean regret | largest | right choices | balanced | gain over {first} |",
    "|---|---:|---|---:|---:|---:|---:|---|",
)


def evaluation_page(
    found: Mapping[str, Evaluation],
    correlations: Mapping[str, tuple[float, float, float, float]],
    curve: Sequence[TaughtBy] = (),
    portfolios: Mapping[str, Sequence[PortfolioGain]] = MappingProxyType({}),
) -> str:
    """Return the page of an evaluation.

    Args:
        found: Name of a set of tasks -> its evaluation.
        correlations: What `rank_correlations` returned.
        curve: What `learning_curve` returned, for a section of its own.
        portfolios: Family -> what `portfolio_gain` returned, for a section of its own.
    """
    lines = ["# Policies on the performance bank, leave-one-database-out"]
    for name, each in found.items():
        lines += ["", f"## {name[0].upper()}{name[1:]}: {each.tasks} of {each.databases} databases", "", _facts(each)]
        for minutes, policies in each.policies.items():
            limit = "No time limit" if math.isinf(minutes) else f"{minutes:g} minute{'' if minutes == 1 else 's'}"
            lines += ["", f"### {limit}", "", *(head.format(first=info_of(each.first).short) for head in _HEAD)]
            lines += [_line(policy, score, each) for policy, score in policies.items()]
    if curve:
        lines += [
            "", "## Would a larger bank help?", "",
            "Gain of the posterior blend over the first policy at 3 minutes, by the number of databases that taught it. Every "
            "task is judged with others than its own database; the error is that over draws of databases.", "",
            "| databases | gain | error | draws |", "|---:|---:|---:|---:|",
        ]  # fmt: skip
        lines += [f"| {each.databases} | {each.gain:+.4f} | {each.stderr:.4f} | {each.draws} |" for each in curve]
    lines += _first_trials(portfolios)
    lines += [
        "", "## Profile numbers against the margin", "",
        "Spearman's rho with the margin of the second family, its 90 % interval over databases, and Holm's p-value for "
        "looking at all of them.", "", "| number | rho | interval | p |", "|---|---:|---|---:|",
    ]  # fmt: skip
    for name, (rho, low, high, p_value) in sorted(correlations.items(), key=lambda item: item[1][3]):
        lines.append(f"| {name} | {rho:+.2f} | {low:+.2f} to {high:+.2f} | {p_value:.3f} |")
    return "\n".join(lines) + "\n"


def _first_trials(portfolios: Mapping[str, Sequence[PortfolioGain]]) -> list[str]:
    if not any(portfolios.values()):
        return []
    lines = [
        "", "## Which configurations first?", "",
        "Skill on test rows over the default's, when the trial with the best select score is deployed after so many further "
        "trials: those that the other databases name first, beside those of the bank in their own order. The interval is that "
        "of the difference, over databases.", "",
        "| family | databases | further trials | taught | in order | difference, 90 % |",
        "|---|---:|---:|---:|---:|---|",
    ]  # fmt: skip
    for family, gains in portfolios.items():
        lines += [
            f"| {info_of(family).short} | {each.databases} | {each.trials} | {each.taught:+.4f} | {each.in_order:+.4f} "
            f"| {each.taught - each.in_order:+.4f} ({each.low:+.4f} to {each.high:+.4f}) |"
            for each in gains
        ]
    return lines


def _facts(each: Evaluation) -> str:
    beta, omega = each.shift["overall"]
    second, first = info_of(each.second).title, info_of(each.first).title
    direction = "better" if beta >= 0 else "worse"
    return (
        f"The {second} is better than {first} on {each.second_wins} tasks; {each.judged} margins are beyond noise. "
        f"On select rows it looks {direction} than on test rows by {abs(beta):.4f} of skill (beta); "
        f"the margin moves by {omega:.4f} (omega) beyond the sampling errors, which are {each.sampling_error:.4f} "
        f"on select rows on average. The prior's 90 % interval covers zero on {each.abstained:.0%} of the fits. "
        f"Taught by other databases, it holds the margin of {each.held[0]:.0%} of them, and the interval after validation "
        f"that of {each.held[1]:.0%}."
    )


def _line(policy: str, score: PolicyScore, each: Evaluation) -> str:
    name = policy.replace("first", info_of(each.first).short).replace("second", info_of(each.second).short)
    return (
        f"| {name} | {score.skill:.4f} | {score.low:.3f} to {score.high:.3f} | {score.regret:.4f} "
        f"| {score.largest_regret:.3f} | {_share(score.accuracy)} | {_share(score.balanced_accuracy)} "
        f"| {score.gain:+.4f} ({score.gain_low:+.4f} to {score.gain_high:+.4f}) |"
    )


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"
