"""Text vectors: texts that share words are near, terms that were not fitted have no weight, and a network learns from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.budget import Budget
from relselect.database import Database, SemanticType
from relselect.database.clock import DAY
from relselect.events import silent
from relselect.problem import Problem
from relselect.rdl import RDL
from relselect.rdl.family import blueprint_of, readable
from relselect.rdl.graph.features import read_columns
from relselect.rdl.graph.table_encoding import TableEncoding, fit_columns, fit_tables
from relselect.rdl.graph.text import WIDTH, encode_texts, fit_text
from relselect.rdl.settings import NetworkSettings
from relselect.tasks import Task
from tests.rows import shared_rows

TOPICS = (
    "the engine failed and smoke came from the gearbox after many laps",
    "a gentle recipe with butter flour sugar and three fresh eggs baked slowly",
    "parliament voted on the treaty and the minister resigned before noon",
)


def texts_of(count: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts of a few words each, drawn from one of the topics."""
    draw = np.random.default_rng(seed)
    topic = draw.integers(0, len(TOPICS), count)
    words = [TOPICS[each].split() for each in topic]
    return [" ".join(draw.choice(each, 5)) + f" {draw.integers(0, 10**9)}" for each in words], topic


def fitted(texts: list[str]):
    spec = fit_text("note", pa.chunked_array([texts]), np.ones(len(texts), bool), -1)
    assert spec is not None
    return spec


def test_texts_that_share_words_are_near():
    texts, topic = texts_of(200)
    vectors = encode_texts(texts, fitted(texts)).astype(np.float64)
    assert vectors.shape == (200, WIDTH)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    near, same = unit @ unit.T, topic[:, None] == topic
    assert near[same].mean() > near[~same].mean() + 0.1
    # the nearest of the others is nearly always of the same topic
    np.fill_diagonal(near, -1)
    assert (topic[near.argmax(1)] == topic).mean() > 0.95


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=8))
def test_a_vector_depends_on_its_text_alone(texts):
    spec = fitted([*texts_of(20)[0], "ab cd é", "ab é 漢字"])
    whole = encode_texts(texts, spec)
    assert np.isfinite(whole).all()
    for place, text in enumerate(texts):
        assert np.array_equal(encode_texts([text], spec)[0], whole[place])


def test_case_and_marks_do_not_matter_and_unknown_words_say_nothing():
    texts, _ = texts_of(50)
    spec = fitted(texts)
    one, other, strange, empty = encode_texts(["Smoke, engine!", "smoke engine?", "zzqj wvxk", ""], spec)
    assert np.array_equal(one[:-1], other[:-1])  # the last is the length
    assert not strange[:-1].any()
    assert not empty.any()


def test_only_visible_texts_are_counted():
    texts, _ = texts_of(60)
    column, mask = pa.chunked_array([texts]), np.arange(60) < 40
    shuffled = np.random.default_rng(0).permutation(60)
    spec = fit_text("note", column, mask, -1)
    assert spec == fitted(texts[:40])
    assert spec == fit_text("note", column.take(shuffled), mask[shuffled], -1)
    assert spec != fitted(texts)
    assert fit_text("note", pa.chunked_array([["alpha", "beta", "gamma"]]), np.ones(3, bool), -1) is None
    assert fit_text("note", column, np.zeros(60, bool), -1) is None


def test_names_are_told_from_prose():
    prose, _ = texts_of(300)
    assert not fitted(prose).names
    draw = np.random.default_rng(0)
    syllables = ["ba", "ke", "lor", "min", "tas", "ru", "del", "vio", "san", "po"]
    surnames = ["".join(draw.choice(syllables, 4)) for _ in range(300)]
    forenames = draw.choice(["Ann", "Bob", "Cid", "Dot"], 300)
    assert fitted(surnames).names
    assert not fitted([f"the {word} of the {word}s and the king of {word}" for word in surnames]).names
    assert fitted([f"{one}, {other}" for one, other in zip(surnames, surnames[::-1], strict=True)]).names
    # half of the words recur: still told by who it is as much as by what it says
    assert not fitted([f"{first} {last}" for first, last in zip(forenames, surnames, strict=True)]).names


def test_names_are_read_only_when_asked_for(reviews):
    spec = blueprint_of(reviews, NetworkSettings()).encodings["posts"]
    assert [text.name for text in spec.texts] == ["body"]
    assert blueprint_of(reviews, NetworkSettings(texts="none")).encodings["posts"].texts == ()
    specs = fit_tables(reviews)
    named = replace(specs["posts"], texts=tuple(replace(text, names=True) for text in specs["posts"].texts))
    assert readable(named, NetworkSettings()).texts == ()
    assert readable(named, NetworkSettings(texts="all")).texts == named.texts


def test_columns_of_text_are_read_once_per_text_and_survive_json():
    texts, _ = texts_of(30)
    data = pa.table({"note": [*texts, None, texts[0]]})
    spec = fit_columns(data, {"note": SemanticType.TEXT}, np.ones(32, bool))
    assert TableEncoding.from_json(spec.to_json()) == spec
    column = read_columns(data, spec, []).texts[0]
    assert column.vectors.shape == (31, WIDTH)
    assert column.code[30] == 0
    assert column.code[31] == column.code[0]
    assert not column.vectors[0].any()


@pytest.fixture(scope="module")
def reviews() -> Problem:
    """Whether a user complains next, which the texts of what the user wrote before tell and nothing else does."""
    users, posts = 700, 4000
    draw = np.random.default_rng(0)
    mood = draw.integers(0, 2, users)
    texts, topic = texts_of(3 * posts, seed=1)
    pools = [[text for text, t in zip(texts, topic, strict=True) if t == k] for k in (0, 1)]
    author, day = draw.integers(0, users, posts), np.sort(draw.integers(0, 200, posts))
    written = [pools[mood[a]][i % 3000] for i, a in enumerate(author)]
    database = Database.from_dataframes(
        {
            "users": pa.table({"id": range(users)}),
            "posts": pa.table(
                {
                    "id": range(posts),
                    "user": author,
                    "body": written,
                    "when": pa.array(day * DAY).cast(pa.timestamp("us")),
                }
            ),
        },
        keys={"users": "id", "posts": "id"},
        times={"posts": "when"},
        foreign_keys={"posts": {"user": "users"}},
    )
    # everybody is asked once: nobody has past labels
    rows = {
        "user": np.arange(users),
        "label": (mood + (draw.random(users) < 0.1)) % 2 > 0,
        "date": pa.array((60 + 20 * (np.arange(users) % 7)) * DAY).cast(pa.timestamp("us")),
    }
    task = Task.from_labels(
        database,
        pa.table(rows),
        name="complains",
        entity="users",
        kind="binary",
        time="date",
        entity_columns="user",
        horizon="20d",
    )
    return Problem(database, task)


@pytest.mark.parametrize("encoder", ["stacked", "frame"])
def test_a_network_learns_from_text_alone(reviews, small, encoder):
    def score(texts: str) -> float:
        config = {**small, "layers": 1, "encoder": encoder, "texts": texts}
        return (
            RDL("cpu")
            .fit(reviews, shared_rows(reviews), config, seed=0, number=0, budget=Budget(None), emit=silent)
            .score
        )

    assert score("prose") > 0.8
    assert score("none") < 0.65
