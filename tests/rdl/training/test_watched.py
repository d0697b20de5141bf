"""A training that is watched is ended where the watch says so, and otherwise goes on as if nobody had watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.errors import FitPruned
from relselect.events import silent
from relselect.families.options import training_length
from relselect.families.protocol import TrainingLength
from tests.rdl.training.killed import CONFIG, Small
from tests.rows import shared_rows
from tests.tuning.cheap import tiny_problem


def test_a_network_is_ended_after_an_epoch_and_otherwise_goes_on(tmp_path: Path) -> None:
    problem = tiny_problem()
    rows, family = shared_rows(problem), Small("cpu")
    config = {**CONFIG, "patience": 100}
    length = training_length(family, config)
    assert length == TrainingLength(CONFIG["epochs"], "epochs", "train", "network")
    seen: list[int] = []

    def fit(watch: Any, folder: Path) -> Any:
        how: Any = {"seed": 1, "number": 5, "budget": Budget(None), "emit": silent, "resume": folder}
        return family.fit(problem, rows, config, watch=watch, **how)

    def second(points: Any) -> None:
        seen.append(len(points))
        if len(points) == 2:
            raise FitPruned("pruned", points)

    with pytest.raises(FitPruned):
        fit(second, tmp_path / "a")
    with pytest.raises(FitPruned):  # from the end of the first epoch on
        fit(second, tmp_path / "a")
    assert seen == [1, 2, 2]
    resumed = fit(lambda points: None, tmp_path / "a")
    np.testing.assert_array_equal(resumed.predictions, fit(lambda points: None, tmp_path / "b").predictions)
