"""Small pretrained weights, which the environment variable names."""

from __future__ import annotations

import pytest

from tests.language.conftest import installed, model
from tests.pretraining.small import small_weights

__all__ = ["installed", "model"]


@pytest.fixture(scope="session")
def weights(model, tmp_path_factory):
    return small_weights(model, tmp_path_factory.mktemp("weights"))


@pytest.fixture
def at_hand(installed, weights, monkeypatch):
    monkeypatch.setenv("RELSELECT_PRETRAINED", str(weights))
    return weights
