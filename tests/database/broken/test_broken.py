"""Broken sources: each ends in an error with a way out or in what is documented, shows no secret and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from relselect.cli.main import app
from relselect.database import Database
from tests.database.broken.places import CASES as PLACES
from tests.database.broken.servers import CASES as SERVERS
from tests.database.broken.world import SECRET, World, logged, texts_of, ways_out

CASES = [*SERVERS, *PLACES]


@pytest.fixture
def world(tmp_path, postgres):
    made = World(tmp_path, postgres)
    yield made
    made.finish()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_broken_source(case, world, capfd):
    uri = case.make(world)
    before = world.digest()
    options = case.options(world) if callable(case.options) else case.options
    options = {"cache": world.cache, **options}
    with logged() as log:
        if case.error is None:
            database = Database.from_uri(uri, **options)
            texts = [repr(database), str(database.source), repr(vars(database))]
        else:
            with pytest.raises(case.error, match=case.says) as caught:
                Database.from_uri(uri, **options)
            texts = list(texts_of(caught.value))
            assert all(len(fix) > 5 for fix in ways_out(caught.value)), str(caught.value)
    world.finish()
    if case.check is not None:
        case.check(database)
    assert not any(SECRET in text for text in (*texts, log.getvalue(), *capfd.readouterr()))
    assert not world.cache.exists() or list(world.cache.rglob("*")) == []
    if case.plain:
        assert world.digest() == before


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.error is not None and case.plain and not case.options], ids=str
)
def test_the_command_line_shows_no_secret_either(case, world):
    uri = case.make(world)
    result = CliRunner().invoke(app, ["profile", str(uri), "--task", "t", "--verbose", "--json"])
    world.finish()
    assert result.exit_code == 2, result.output
    assert '"kind"' in result.stdout
    assert SECRET not in result.stdout + result.stderr


def test_every_case_is_documented():
    page = (Path(__file__).parents[3] / "docs" / "sources.md").read_text(encoding="utf-8")
    assert [case.name for case in CASES if f"| {case.name} |" not in page] == []


def test_there_are_enough():
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)
