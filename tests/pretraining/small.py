"""Small pretrained weights, made in a second with a small language model."""

from __future__ import annotations

from pathlib import Path

import pytest

from relselect.language import sentence_encoder
from relselect.pretraining import PretrainingPlan, pretrain
from tests.shop import shop


def small_weights(model: Path, folder: Path) -> Path:
    """Pretrain on a small shop with the language model in a folder, and return the folder of the weights."""
    plan = PretrainingPlan(name="small", databases=["shop"], channels=16, rows=400, epochs=2, batch_size=32, fan_out=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RELSELECT_LANGUAGE_MODEL", str(model))
        patch.setenv("RELSELECT_CACHE", str(folder / "cache"))
        sentence_encoder.cache_clear()
        pretrain(plan, folder / "weights", databases={"shop": shop()})
        sentence_encoder.cache_clear()
    return folder / "weights"
