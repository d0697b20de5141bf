"""Tuning: one Optuna study per family inside one budget, and the division of that budget among families.

A study lives in a folder, survives a kill and repeats itself from its seed. This package never imports a
family.
"""

from __future__ import annotations

from relselect.tuning.journal import derive_seed
from relselect.tuning.result import Failure, Pruned, Study
from relselect.tuning.schedule import BudgetPlan, plan_budget
from relselect.tuning.seeds import further_seeds
from relselect.tuning.store import load_candidate, save_candidate
from relselect.tuning.study import Fidelity, check_fidelity, tune

__all__ = [
    "Failure",
    "Fidelity",
    "BudgetPlan",
    "Pruned",
    "Study",
    "check_fidelity",
    "derive_seed",
    "further_seeds",
    "load_candidate",
    "plan_budget",
    "save_candidate",
    "tune",
]
