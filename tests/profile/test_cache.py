"""A kept profile is read for equal content only, and broken ones count as not there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import relselect as rs
from relselect.budget import Budget
from relselect.events import Event, Notice, StageStarted
from relselect.problem import Problem
from relselect.profile import profile_task
from relselect.profile.cache import ProfileCache
from tests.profile import worlds


def made(seed: int = 0, flip: bool = False) -> Problem:
    found = worlds.frames(seed, people=12, size=40)
    label = worlds.labels(seed, found["people"], "binary")
    return worlds.problem(found, label.assign(label=1 - label["label"]) if flip else label)


@pytest.fixture
def cache(tmp_path: Path) -> ProfileCache:
    return ProfileCache(tmp_path / "profiles")


def read_again(cache: ProfileCache, problem: Problem, **how: object) -> bool:
    heard: list[Event] = []
    profile_task(problem, cache=cache, emit=heard.append, **how)
    return any(isinstance(event, Notice) and "measured before" in event.message for event in heard)


def test_equal_content_is_measured_once(cache: ProfileCache) -> None:
    first = profile_task(made(), cache=cache)
    heard: list[Event] = []
    again = profile_task(made(), cache=cache, emit=heard.append)
    assert again.to_json() == first.to_json()
    assert [type(event) for event in heard] == [Notice]
    assert len(list(cache.folder.iterdir())) == 1


def test_every_way_in_shares_the_profile() -> None:
    problem, heard = made(), []
    database, task = problem.user_database, problem.task
    first = rs.profile(database, task, on_event=heard.append)
    assert isinstance(first, rs.profile.Profile)
    rs.recommend(database, task, on_event=heard.append)
    fit = rs.select_and_train(database, task, "60s", families="dfs", max_trials=1, on_event=heard.append)
    assert [event.stage for event in heard if isinstance(event, StageStarted)].count("profile") == 1
    assert fit.result.profile.to_json()["measures"] == first.to_json()["measures"]
    rs.recommend(database, task, on_event=heard.append, cache=False)
    assert [event.stage for event in heard if isinstance(event, StageStarted)].count("profile") == 2


def test_another_label_row_seed_or_option_is_another_profile(cache: ProfileCache) -> None:
    profile_task(made(), cache=cache)
    places = {
        cache.place(problem, seed, hops)
        for problem, seed, hops in (
            (made(), 0, 2), (made(), 1, 2), (made(), 0, 4), (made(flip=True), 0, 2), (made(seed=1), 0, 2),
        )
    }  # fmt: skip
    assert len(places) == 5
    assert not read_again(cache, made(flip=True))
    assert read_again(cache, made())


@pytest.mark.parametrize(
    "left", ["", "{", '{"measures": []}', '{"measures": 3, "seconds": 1, "version": 2}', "\x00" * 50]
)
def test_a_broken_file_counts_as_not_there(cache: ProfileCache, left: str) -> None:
    problem = made()
    place = cache.place(problem, 0, 2)
    place.parent.mkdir(parents=True)
    place.write_text(left)
    assert not read_again(cache, problem)
    assert read_again(cache, problem)
    assert json.loads(place.read_text())["checked"] is True


def test_what_the_clock_cut_short_is_not_kept(cache: ProfileCache) -> None:
    profile_task(made(), cache=cache, budget=Budget(10).until(0.0))
    assert not cache.folder.exists()


def test_a_process_killed_while_it_writes_leaves_nothing_that_counts(cache: ProfileCache) -> None:
    script = f"""
import os, signal
from pathlib import Path
from relselect.profile.cache import ProfileCache
from relselect.profile import profile_task
from tests.profile.test_cache import made
Path.replace = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
profile_task(made(), cache=ProfileCache(Path({str(cache.folder)!r})))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -9
    assert len(list(cache.folder.iterdir())) == 1  # the draft, whose name no profile has
    assert not read_again(cache, made())
    assert read_again(cache, made())


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    taken = tmp_path / "a file"
    taken.write_text("")
    assert profile_task(made(), cache=ProfileCache(taken / "profiles")).checked
