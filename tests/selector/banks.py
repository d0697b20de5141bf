"""Banks of planted margins: the network's skill over the trees' depends on one number of the profile, or on none."""

from __future__ import annotations

import numpy as np

from relselect.bank import BankTask, BankTrial, PerformanceBank

FIRST, SECOND = "dfs", "rdl"


def planted_bank(
    slope: float,
    *,
    databases: int = 25,
    tasks: int = 3,
    noise: float = 0.02,
    optimism: float = 0.0,
    shift: float = 0.0,
    seed: int = 0,
    constant: bool = False,
    families: tuple[str, ...] = (FIRST, SECOND),
) -> PerformanceBank:
    """Return a bank of binary tasks whose margin in skill is slope * x + noise, with x the homophily of the profile.

    Args:
        slope: Margin per unit of homophily, which is uniform on -1 to 1.
        databases: Number of databases.
        tasks: Tasks of each.
        noise: Standard deviation of the margin around its expectation.
        optimism: What select rows add to the network's skill.
        shift: Standard deviation of what they add beyond that.
        seed: Seed of everything.
        constant: Whether all profiles are equal.
        families: Families with trials.
    """
    rng = np.random.default_rng(seed)
    found: list[BankTask] = []
    trials: list[BankTrial] = []
    for place in range(databases * tasks):
        x = 0.0 if constant else float(rng.uniform(-1, 1))
        measures = {"homophily_weighted_mean": x, "log10_train_rows": 4.0 if constant else float(rng.uniform(3, 5))}
        task = BankTask(
            id=f"task{place:03d}", database=f"db{place // tasks:02d}", name=f"t{place % tasks}", origin="real",
            kind="binary", metric="roc_auc", regime="rolling", label_history=True, refitted_over_time=False,
            validation="cutoffs", train_rows=10_000, reference_select=0.5, reference_test=0.5,
            profile={"measures": [{"name": name, "value": value} for name, value in measures.items()]},
        )  # fmt: skip
        found.append(task)
        level = float(rng.uniform(0.3, 0.6))
        margin = slope * x + float(rng.normal(0, noise))
        seen = margin + optimism + float(rng.normal(0, shift)) if shift or optimism else margin
        for family, select, test in ((FIRST, level, level), (SECOND, level + seen, level + margin)):
            if family in families:
                trials.append(trial_of(task, family, select, test))
    return PerformanceBank(found, trials)


def trial_of(task: BankTask, family: str, select: float, test: float) -> BankTrial:
    """Return a default trial of these skills, one minute long, with an interval of 0.01 of AUROC on the select rows."""
    score = (1 + select) / 2
    return BankTrial(
        id=f"{task.id}-{family}", task=task.id, family=family, learner="", config={}, number=0, role="default", seed=0,
        generation=1, select_score=score, select_low=score - 0.005, select_high=score + 0.005, test_score=(1 + test) / 2,
        ended="converged", seconds_features=10.0, seconds_training=50.0, device="cpu",
    )  # fmt: skip
