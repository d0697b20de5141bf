"""A small language model, which the environment variable names."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from relselect.language import sentence_encoder
from tests.language.tiny import write_model

if find_spec("transformers") is None:  # not imported: collecting the tests would take a second longer
    pytest.skip("transformers is not installed", allow_module_level=True)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def installed(model, monkeypatch, tmp_path):
    monkeypatch.setenv("RELSELECT_LANGUAGE_MODEL", str(model))
    monkeypatch.setenv("RELSELECT_CACHE", str(tmp_path / "cache"))
    sentence_encoder.cache_clear()
    yield model
    sentence_encoder.cache_clear()
