"""Vectors are computed once, kept on disk, and depend on their text alone; models are found on this machine or refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from relselect.errors import ConfigError
from relselect.language import SentenceEncoder, find_language_model, sentence_encoder, sentence_vectors
from tests.language.tiny import write_model


class Counting:
    """An encoder that counts its work: the vector of a text is its length."""

    identity, width = "counting", 3

    def __init__(self, fails_after: int = 10**9) -> None:
        self.encoded: list[str] = []
        self.fails_after = fails_after

    def encode(self, texts, check=lambda: None):
        if len(self.encoded) >= self.fails_after:
            raise RuntimeError("killed")
        self.encoded += texts
        return np.array([[len(text)] * 3 for text in texts], np.float32)


def test_equal_texts_are_encoded_once(tmp_path):
    encoder = Counting()
    code, vectors = sentence_vectors(["aa", "b", "aa", ""], encoder, tmp_path)
    assert sorted(encoder.encoded) == ["", "aa", "b"]
    assert vectors[code, 0].tolist() == [2, 1, 2, 0]
    again = Counting()
    code, vectors = sentence_vectors(["b", "ccc", "aa"], again, tmp_path)
    assert again.encoded == ["ccc"]
    assert vectors[code, 0].tolist() == [1, 3, 2]


def test_what_was_finished_before_a_kill_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("relselect.language.store._BLOCK", 2)
    texts = [f"text {number}" for number in range(7)]
    with pytest.raises(RuntimeError):
        sentence_vectors(texts, Counting(fails_after=4), tmp_path)
    again = Counting()
    sentence_vectors(texts, again, tmp_path)
    assert len(again.encoded) == 3


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + b"\x01" * 200])
def test_a_damaged_store_is_computed_again(tmp_path, content):
    (tmp_path / "counting.sqlite").write_bytes(content)
    code, vectors = sentence_vectors(["aa", "b"], Counting(), tmp_path)
    assert vectors[code, 0].tolist() == [2, 1]


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    code, vectors = sentence_vectors(["aa"], Counting(), tmp_path / "file" / "cache")
    assert vectors[code, 0].tolist() == [2]


def test_a_vector_depends_on_its_text_alone(model):
    encoder = SentenceEncoder(model)
    texts = ["users: city c1", "orders: price 3; state kept", "shops", "", "orders: state returned " * 40]
    together = encoder.encode(texts)
    assert together.shape == (5, 16)
    assert np.allclose(np.linalg.norm(together, axis=1), 4.0, atol=1e-4)
    for place, text in enumerate(texts):
        assert np.allclose(encoder.encode([text])[0], together[place], atol=1e-4)


def test_the_identity_is_that_of_the_files(model, tmp_path):
    same, other = SentenceEncoder(model), SentenceEncoder(write_model(tmp_path, seed=1))
    assert same.identity == SentenceEncoder(model).identity
    assert same.identity != other.identity


def test_models_are_found_by_folder_and_variable(model, monkeypatch):
    assert find_language_model(str(model)) == model.resolve()
    monkeypatch.setenv("RELSELECT_LANGUAGE_MODEL", str(model))
    assert find_language_model() == model.resolve()


@pytest.mark.parametrize("name", ["no/such-model", "/no/such/folder", "https://huggingface.co/x", "../..", "-"])
def test_a_missing_model_says_the_way_out(name):
    with pytest.raises(ConfigError, match="nothing is downloaded"):
        find_language_model(name)


def test_a_folder_without_weights_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds none of"):
        SentenceEncoder(tmp_path)


def test_without_transformers_the_extra_is_named(installed, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"relselect\[text\]"):
        sentence_encoder("").encode(["a"])


def test_a_model_that_cannot_be_loaded_is_refused_with_its_first_cause(tmp_path):
    folder = write_model(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00not a header at all")
    with pytest.raises(ConfigError, match=r"cannot be loaded: SafetensorError: .*header") as caught:
        SentenceEncoder(folder, "cpu").encode(["a"])
    assert "transformers" in str(caught.value)
