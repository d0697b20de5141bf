"""Manifests from strangers: each ends in an error with its place, in time, and nothing outside the folder is touched."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relselect.cli.main import app
from relselect.configs import open_database
from relselect.database.manifest import load_manifest
from relselect.errors import UserError
from tests.hostile.test_bundles import Hanging, limited

__all__ = ["Hanging", "limited"]

HEAD = "name: shop\n"
TABLES = "tables:\n  t: {primary_key: id}\n"
TASK = HEAD + TABLES + "tasks:\n  y: {entity: t, kind: binary, target: y, %s}\n"
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
MERGES = "m0: &m0 {k0: 1, l0: 2}\n" + "".join(
    f"m{n}: &m{n}\n  k{n}: *m{n - 1}\n  l{n}: *m{n - 1}\n  j{n}: *m{n - 1}\n" for n in range(1, 18)
)

TEXTS: dict[str, str | bytes] = {
    "aliases of aliases": HEAD + LAUGHS,
    "aliases in mappings": HEAD + MERGES,
    "aliases as tables": HEAD + LAUGHS + "tables: *a11\n",
    "an alias in itself": HEAD + "tables: &a {t: *a}\n",
    "an alias in itself as a list": HEAD + "tables: &a [*a]\n",
    "a merge of itself": HEAD + "tables: &a\n  <<: *a\n",
    "a merge of a word": HEAD + "tables:\n  <<: word\n",
    "a merge of a list of words": HEAD + "tables:\n  <<: [a, b]\n",
    "an unknown alias": HEAD + "tables: *nothing\n",
    "deep lists": HEAD + "tables: " + "[" * 5000 + "]" * 5000,
    "deep mappings": HEAD + "tables: " + "{a: " * 5000 + "1" + "}" * 5000,
    "deep blocks": HEAD + "tables:\n" + "".join(" " * n + "- \n" for n in range(1, 300)),
    "open brackets": HEAD + "tables: " + "[" * 100_000,
    "deep sequences on a line": HEAD + "tables:\n" + "- " * 5000 + "x",
    "a date that there is not": HEAD + TABLES + "tasks: {y: {entity: t, kind: binary, target: y, val_start: 2024-02-30}}\n",
    "a month that there is not": TASK % "test_start: 2024-13-01",
    "an hour that there is not": TASK % "test_start: 2024-01-01 25:00:00",
    "a zone that there is not": TASK % "test_start: 2024-01-01T00:00:00+99:00",
    "the year 0": TASK % "test_start: 0000-01-01",
    "a date for a name": "name: 2024-02-30\n" + TABLES,
    "a date as a key": HEAD + "tables: {2024-02-30: {}}\n",
    "a good date as a key": HEAD + "tables: {2024-02-28: {}}\n",
    "a list as a key": HEAD + "tables: {[a, b]: {}}\n",
    "a mapping as a key": HEAD + "tables: {{a: b}: {}}\n",
    "a key with a question mark": HEAD + "tables:\n  ? [a, b]\n  : {}\n",
    "a number as a key": HEAD + "tables: {1: {}}\n",
    "null as a key": HEAD + "tables: {~: {}}\n",
    "nan as a key": HEAD + "tables: {.nan: {}, .nan: {}}\n",
    "true as a key": HEAD + "tables: {true: {}}\n",
    "bytes as a key": HEAD + "tables: {!!binary aGk=: {}}\n",
    "a key twice": HEAD + TABLES + TABLES,
    "a key twice in two ways": HEAD + "tables: {t: {}, 't': {}}\n",
    "a set": HEAD + "tables: !!set {a, b}\n",
    "an ordered mapping": HEAD + "tables: !!omap [a: 1]\n",
    "pairs": HEAD + "tables: !!pairs [a: 1]\n",
    "an object": "!!python/object/apply:os.system [true]\n",
    "a module": HEAD + "tables: !!python/module:os ''\n",
    "a name of Python": HEAD + "tables: !!python/name:os.system ''\n",
    "a tag of its own": HEAD + "tables: !mine {}\n",
    "bytes that are none": HEAD + "tables: !!binary '%%%'\n",
    "an integer that is none": HEAD + "tables: !!int x\n",
    "an integer of many digits": HEAD + "tables: " + "9" * 10_000 + "\n",
    "an integer without digits": HEAD + "tables: !!int ''\n",
    "base sixty": HEAD + "tables: 1" + ":59" * 3000 + "\n",
    "a float that is none": HEAD + "tables: !!float x\n",
    "a float without digits": HEAD + "tables: !!float ''\n",
    "a truth that is none": HEAD + "tables: !!bool x\n",
    "a date that is none": HEAD + "tables: !!timestamp x\n",
    "a word for a mapping": HEAD + "tables: !!map word\n",
    "a mapping for a word": HEAD + "tables: !!str {a: b}\n",
    "two documents": HEAD + TABLES + "---\n" + HEAD,
    "an empty file": "",
    "a comment": "# nothing\n",
    "a word": "shop",
    "a list": "- a\n- b\n",
    "a null character": "name: a\x00b\n",
    "tabs": "name: shop\ntables:\n\tt: {}\n",
    "an escape": HEAD + 'tables: "\\U00110000"\n',
    "a surrogate": HEAD + 'tables: "\\ud800"\n',
    "another encoding": (HEAD + TABLES).encode("utf-16"),
    "bytes": b"\xff\xfe\xfa" * 10,
    "a directive": "%YAML 9.9\n---\n" + HEAD,
    "an open quote": 'name: "shop\n' + TABLES,
    "a large file": b"# " + b"x" * (17 << 20),
    "many keys": HEAD + "tables: {" + ", ".join(f"t{n}: 1" for n in range(3000)) + "}\n",
    "a file above": HEAD + "tables: {t: {file: ../secret.csv}}\n",
    "an absolute file": HEAD + "tables: {t: {file: /etc/passwd}}\n",
    "a file above in the middle": HEAD + "tables: {t: {file: a/../../secret.csv}}\n",
    "a glob above": HEAD + "tables: {t: {file: '../*.csv'}}\n",
    "a file with backslashes": HEAD + "tables: {t: {file: '..\\secret.csv'}}\n",
    "a file of a drive": HEAD + "tables: {t: {file: 'C:/secret.csv'}}\n",
    "a file of another machine": HEAD + "tables: {t: {file: '//host/share/x.csv'}}\n",
    "a file at home": HEAD + "tables: {t: {file: ~/secret.csv}}\n",
    "a file with a null": HEAD + 'tables: {t: {file: "a\\0b"}}\n',
    "label files above": TASK % "files: {train: ../a.parquet, val: b.parquet}",
    "an absolute label file": TASK % "files: {train: a.parquet, val: b.parquet, test: /etc/passwd}",
    "folds above": TASK % "folds: ../secret.csv, fold_column: f",
    "a root of another variable": HEAD + "root: ${HOME}/data\n" + TABLES,
    "an address of another variable": HEAD + "uri: postgresql://127.0.0.1:1/${SECRET_OF_MINE}\n",
    "an address with a password": HEAD + "uri: postgresql://ann:hunter2@127.0.0.1:1/db\n",
    "an address with a hidden password": HEAD + "uri: postgresql://ann@127.0.0.1:1/db?pass%77ord=hunter2\n",
    "an address with a token": HEAD + "uri: postgresql://ann@127.0.0.1:1/db?options=-c%20app.token=hunter2\n",
}  # fmt: skip


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "database.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_manifest_is_an_error_of_the_caller(tmp_path, monkeypatch, limited, name):
    monkeypatch.setenv("SECRET_OF_MINE", "hunter2")
    (tmp_path / "secret.csv").write_text("id,hunter2\n1,2\n")
    folder = tmp_path / "data"
    folder.mkdir()
    path = written(folder, TEXTS[name])
    begun = time.monotonic()
    with pytest.raises(UserError) as raised:
        open_database(path)
    assert time.monotonic() - begun < 10
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("name", [name for place, name in enumerate(TEXTS) if place % 4 == 0])
def test_the_exit_code_is_that_of_bad_input(tmp_path, limited, name):
    path = written(tmp_path, TEXTS[name])
    result = CliRunner().invoke(app, ["profile", str(path), "y"])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "folder", "device"]
)
def test_a_manifest_and_label_files_are_regular_files(tmp_path, limited, make):
    make(tmp_path / "database.yaml")
    with pytest.raises(UserError):
        load_manifest(tmp_path / "database.yaml")
    data = tmp_path / "data"
    data.mkdir()
    (data / "t.csv").write_text("id,x\n1,2\n2,3\n")
    written(data, TASK % "files: {train: train.csv, val: val.csv}")
    make(data / "train.csv")
    from relselect.api import open_task

    with pytest.raises(UserError, match="no regular file"):
        open_task(open_database(data), "y")


def test_the_caller_may_allow_paths_outside(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("id,x\n1,2\n2,3\n")
    (tmp_path / "data").mkdir()
    path = written(tmp_path / "data", HEAD + "tables: {t: {file: ../t.csv, primary_key: id}}\n")
    with pytest.raises(UserError, match="RELSELECT_ALLOW_PATHS=1"):
        open_database(path)
    monkeypatch.setenv("RELSELECT_ALLOW_PATHS", "1")
    assert open_database(path)["t"].num_rows == 2


@pytest.mark.parametrize(
    "lines",
    [
        "root: ../secret\ntables: {t: {primary_key: id}}\n",
        "root: %s/secret\ntables: {t: {primary_key: id}}\n",
        "root: linked\ntables: {t: {primary_key: id}}\n",
        "root: ${RELSELECT_DATA}/../secret\ntables: {t: {primary_key: id}}\n",
        "tables: {t: {file: linked/t.csv, primary_key: id}}\n",
        "tables: {t: {file: 'linked/*.csv', primary_key: id}}\n",
        "tables: {link: {primary_key: id}}\n",
        "uri: ../secret\ntables: {t: {primary_key: id}}\n",
        "uri: %s/secret/t.csv\ntables: {t: {primary_key: id}}\n",
        "uri: file://%s/secret\ntables: {t: {primary_key: id}}\n",
        "uri: sqlite:///%s/secret/t.sqlite\n",
        "uri: linked\ntables: {t: {primary_key: id}}\n",
        "uri: .\ntables: {link: {primary_key: id}}\n",
        "uri: .\ntables: {t: {file: linked/t.csv, primary_key: id}}\n",
    ],
)
def test_no_path_and_no_link_leads_out_of_the_folder(tmp_path, monkeypatch, lines):
    secret, data = tmp_path / "secret", tmp_path / "data"
    for folder in (secret, data, tmp_path / "shared"):
        folder.mkdir()
    (secret / "t.csv").write_text("id,x\n1,2\n2,3\n")
    with sqlite3.connect(secret / "t.sqlite") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    connection.close()
    (data / "linked").symlink_to(secret)
    (data / "link.csv").symlink_to(secret / "t.csv")
    monkeypatch.setenv("RELSELECT_DATA", str(tmp_path / "shared"))
    path = written(data, HEAD + lines.replace("%s", str(tmp_path)))
    with pytest.raises(UserError, match="RELSELECT_ALLOW_PATHS=1"):
        open_database(path)
    monkeypatch.setenv("RELSELECT_ALLOW_PATHS", "1")
    assert len(open_database(path).tables) == 1


def test_a_link_to_labels_outside_is_refused(tmp_path, monkeypatch):
    from relselect.api import open_task

    data = tmp_path / "data"
    data.mkdir()
    (data / "t.csv").write_text("id,x\n1,2\n2,3\n")
    for name in ("train", "val"):
        (tmp_path / f"{name}.csv").write_text("id,y\n1,0\n2,1\n")
        (data / f"{name}.csv").symlink_to(tmp_path / f"{name}.csv")
    written(data, TASK % "files: {train: train.csv, val: val.csv}")
    with pytest.raises(UserError, match="RELSELECT_ALLOW_PATHS=1"):
        open_task(open_database(data), "y")


def test_links_in_a_folder_that_the_environment_names_are_the_callers(tmp_path, monkeypatch):
    elsewhere, data = tmp_path / "elsewhere", tmp_path / "data"
    elsewhere.mkdir()
    data.mkdir()
    (elsewhere / "t.csv").write_text("id,x\n1,2\n2,3\n")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "shop").symlink_to(elsewhere)
    monkeypatch.setenv("RELSELECT_DATA", str(tmp_path / "shared"))
    path = written(data, HEAD + "root: ${RELSELECT_DATA}/shop\ntables: {t: {primary_key: id}}\n")
    assert open_database(path)["t"].num_rows == 2
    monkeypatch.setenv("RELSELECT_PLACE", str(elsewhere))
    path = written(data, HEAD + "uri: ${RELSELECT_PLACE}\ntables: {t: {primary_key: id}}\n")
    assert open_database(path)["t"].num_rows == 2


def test_aliases_in_measure_are_fine(tmp_path):
    for name in "ts":
        (tmp_path / f"{name}.csv").write_text("id,x\n1,2\n2,3\n")
    text = HEAD + "tables:\n  t: &a {primary_key: id}\n  s: *a\n"
    assert set(open_database(written(tmp_path, text)).tables) == {"t", "s"}


def test_there_are_enough_cases():
    assert len(TEXTS) >= 60
