"""Every registered family follows the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relselect.families import FamilyInfo, family_infos
from relselect.language import sentence_encoder
from tests.families.contract import FamilyContract

#: Families that need files of pretrained weights.
PRETRAINED = ("foundation",)


@pytest.fixture(scope="session")
def pretrained_files(tmp_path_factory):
    """Variables that name a small language model and small pretrained weights."""
    pytest.importorskip("transformers")
    from tests.language.tiny import write_model
    from tests.pretraining.small import small_weights

    model = write_model(tmp_path_factory.mktemp("language"))
    weights = small_weights(model, tmp_path_factory.mktemp("pretrained"))
    return {"RELSELECT_LANGUAGE_MODEL": str(model), "RELSELECT_PRETRAINED": str(weights)}


class TestRegisteredFamilies(FamilyContract):
    @pytest.fixture(params=family_infos(), ids=lambda info: info.name)
    def info(self, request: pytest.FixtureRequest, monkeypatch) -> Iterator[FamilyInfo]:
        if request.param.name in PRETRAINED:
            for name, value in request.getfixturevalue("pretrained_files").items():
                monkeypatch.setenv(name, value)
        sentence_encoder.cache_clear()
        yield request.param
        sentence_encoder.cache_clear()
