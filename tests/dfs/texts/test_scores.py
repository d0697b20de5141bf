"""What texts say about the label: found where they say something, silent where they do not, blind to what is hidden."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.budget import Budget
from relselect.database import Database, ForeignKey, Table
from relselect.database.clock import DAY
from relselect.dfs import DFS
from relselect.dfs.texts.scores import TextScores, _part, fit_text_scores
from relselect.dfs.texts.sources import text_sources, texts_of
from relselect.errors import BundleError
from relselect.events import silent
from relselect.problem import Problem
from relselect.tasks import Rows, Task
from tests.rows import shared_rows
from tests.shop import days

WORDS = np.array(["red", "slow", "late", "quick", "warm", "plain", "round", "long", "old", "new", "small", "blue"])
COUNT = 1_000
CUTOFFS = (100, 130, 160, 190, 220)


def sentences(draw: np.random.Generator, count: int, bad: np.ndarray) -> pa.Array:
    """Sentences of eight words; those about something bad hold "lost" or "torn"; no length tells."""
    found = []
    for each in bad:
        words = draw.choice(WORDS, 8)
        words[draw.integers(8)] = draw.choice(["lost", "torn"] if each and draw.random() < 0.9 else ["fine", "good"])
        found.append(" ".join(words))
    return pa.array(found[:count])


def tables(seed: int = 0, *, tells: bool = True) -> dict[str, pa.Table]:
    draw = np.random.default_rng(seed)
    bad = draw.random(COUNT) < 0.5
    told = bad if tells else draw.random(COUNT) < 0.5
    author = draw.integers(0, COUNT, 4_000)
    return {
        "machines": pa.table({"id": np.arange(COUNT) + 10, "note": sentences(draw, COUNT, told)}),
        "visits": pa.table({
            "visit": np.arange(4_000),
            "machine": author + 10,
            "day": days(np.sort(draw.random(4_000) * 250).round(3)),
            "report": sentences(draw, 4_000, told[author]),
        }),
        "bad": pa.table({"bad": bad}),
    }  # fmt: skip


def database(found: dict[str, pa.Table]) -> Database:
    visits = Table("visits", found["visits"], ("visit",), "day", (ForeignKey(("machine",), "machines", ("id",)),))
    return Database([Table("machines", found["machines"], ("id",)), visits], "workshop")


def problem(found: dict[str, pa.Table], kind: str = "binary") -> Problem:
    """Each machine is asked about once, so that no past label says what its texts say."""
    bad = found["bad"]["bad"].to_numpy(zero_copy_only=False)
    cutoff = np.array(CUTOFFS)[np.arange(COUNT) % len(CUTOFFS)]
    rows = pa.table({"id": np.arange(COUNT) + 10, "cutoff": days(cutoff), "label": _label(bad, kind)})
    base = database(found)
    task = Task.from_labels(
        base, rows, name="fails", entity="machines", kind=kind, time="cutoff", target="label", horizon="20d"
    )
    return Problem(base, task)


def _label(bad: np.ndarray, kind: str) -> pa.Array:
    if kind == "multiclass":
        return pa.array(np.where(bad, "fails", np.where(np.arange(len(bad)) % 3 == 0, "sold", "runs")))
    return pa.array(bad if kind == "binary" else np.where(bad, 30.0, 10.0))


def scores_of(asked: Problem) -> TextScores:
    return fit_text_scores(asked, asked.rows("train"))


def fitted(asked: Problem, **config: object):
    family = DFS()
    options = {**family.default(asked), "rounds": 40, "min_child_samples": 5, **config}
    return family, family.fit(asked, shared_rows(asked), options, seed=0, number=0, budget=Budget(60), emit=silent)


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
def test_texts_that_tell_are_found_and_read_by_the_family(kind):
    asked = problem(tables(), kind)
    found = scores_of(asked)
    assert [each.name("machines") for each in found.sources] == ["machines.note", "visits[machine].report"]
    _, candidate = fitted(asked)
    _, without = fitted(asked, texts=False)
    assert candidate.score > without.score + (1.0 if kind == "regression" else 0.2)
    names = [each.feature for each in candidate.importances.features]
    assert any("text of machines.note" in name for name in names)
    model = candidate.model
    assert replace(model, plan=model.plan.take([])).reads() == {"machines": {"note"}, "visits": {"report"}}


def test_texts_that_tell_nothing_are_left_out():
    asked = problem(tables(tells=False))
    assert len(scores_of(asked)) == 0
    assert fitted(asked)[1].model.texts is None


def test_no_score_of_a_text_learnt_from_the_labels_of_that_text():
    asked = problem(tables())
    rows = asked.rows("train")
    first = fit_text_scores(asked, rows).scored[0]
    texts = texts_of(asked, first.source, rows)
    part = _part(texts.groups)
    changed = fit_text_scores(asked, replace(rows, label=np.where(part == 2, 1 - rows.label, rows.label)))
    again = next(each for each in changed.scored if each.source == first.source)
    assert np.array_equal(again.slopes[:, 2], first.slopes[:, 2])
    assert not np.array_equal(again.slopes[:, 1], first.slopes[:, 1])


def test_weights_count_like_repeated_rows():
    asked = problem(tables())
    rows = asked.rows("train")
    twice = rows.take(np.repeat(np.arange(len(rows)), 1 + (rows.label > 0)))
    weighted = fit_text_scores(asked, replace(rows, weight=1.0 + (rows.label > 0))).scored[0]
    repeated = fit_text_scores(asked, twice).scored[0]
    np.testing.assert_allclose(weighted.slopes, repeated.slopes, rtol=2e-2, atol=2e-3)
    assert not np.allclose(weighted.slopes, scores_of(asked).scored[0].slopes, rtol=2e-2, atol=2e-3)


def test_a_score_depends_neither_on_the_batch_nor_on_rows_without_texts():
    asked = problem(tables())
    found = scores_of(asked)
    rows = asked.rows("test")
    whole = found.columns(asked, rows)
    for place in (0, 17):
        one = found.columns(asked, rows.take([place]))
        assert all(one[name][0] == whole[name][place] for name in whole.column_names)
    nobody = Rows(np.array([-1, rows.entity[0]]), rows.cutoff[:2], rows.asof[:2])
    assert found.columns(asked, nobody)["text of machines.note"].null_count == 1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000), day=st.integers(60, 200))
def test_hidden_texts_change_no_bit(seed, day):
    """Texts of later visits, and the labels' own table, may change at will: law of time."""
    plain = tables(3)
    asked = problem(plain)
    found = scores_of(asked)
    draw = np.random.default_rng(seed)
    visits = plain["visits"]
    hidden = visits["day"].cast(pa.int64()).to_numpy() > day * DAY
    texts = np.where(hidden, draw.permutation(visits["report"].to_pylist()), visits["report"].to_pylist())
    other = database({**plain, "visits": visits.set_column(3, "report", pa.array(texts))})
    rows = asked.rows("train").take(draw.integers(0, 400, 40))
    rows = replace(rows, asof=np.full(len(rows), day * DAY))
    before, after = found.columns(asked, rows), found.columns(asked.rebind(other), rows)
    assert before.equals(after)


def test_saved_and_loaded_predicts_the_same_bits_and_refuses_damage(tmp_path):
    asked = problem(tables())
    family, candidate = fitted(asked)
    before = family.predict(candidate, asked, asked.rows("test"))
    family.save(candidate, tmp_path)
    header = replace(candidate, model=None)
    again = family.load(tmp_path, header)
    assert family.predict(again, asked.rebind(asked.user_database), asked.rows("test")).tobytes() == before.tobytes()
    spec = json.loads((tmp_path / "texts.json").read_text())
    for damaged in ({**spec, "entity": "visits"}, {**spec, "outputs": []}, {**spec, "sources": spec["sources"][:1]}):
        (tmp_path / "texts.json").write_text(json.dumps(damaged))
        with pytest.raises(BundleError, match="feature synthesis model"):
            family.load(tmp_path, header)


def test_parents_and_children_are_read_and_nothing_twice_removed():
    asked = problem(tables())
    assert [each.name("machines") for each in text_sources(asked)] == ["machines.note", "visits[machine].report"]
    rows = asked.rows("val").take([0, 1])
    texts = texts_of(asked, text_sources(asked)[1], rows)
    visits = asked.database["visits"].data
    for place in range(2):
        mine = visits["machine"].to_numpy() == asked.database["machines"].data["id"].to_numpy()[rows.entity[place]]
        seen = mine & (visits["day"].cast(pa.int64()).to_numpy() <= rows.asof[place])
        expected = visits["report"].to_numpy(zero_copy_only=False)[seen][-8:]
        assert sorted(expected) == sorted(texts.texts[at] for at in texts.weights[place].indices)
