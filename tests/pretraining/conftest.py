"""A small language model, a plan that trains in a second, and weights that it made."""

from __future__ import annotations

import pytest

from relselect.pretraining import PretrainingPlan
from tests.language.conftest import installed, model
from tests.pretraining.small import small_weights

__all__ = ["installed", "model"]


@pytest.fixture
def plan():
    return PretrainingPlan(name="small", databases=["shop"], channels=16, rows=300, epochs=3, batch_size=32, fan_out=4)


@pytest.fixture(scope="session")
def weights(model, tmp_path_factory):
    return small_weights(model, tmp_path_factory.mktemp("weights"))
