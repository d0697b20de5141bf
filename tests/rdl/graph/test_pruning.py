"""Folders of a store that nothing opened for long are deleted, and the least recently opened ones where they take too much."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from relselect.rdl.graph.pruning import KEPT_SECONDS, prune
from relselect.rdl.graph.store import ArrayFolder, ArrayStore, ArrayWriter

SEAL = "manifest.json"


def written(store: ArrayStore, content: int) -> ArrayFolder:
    def build(writer: ArrayWriter) -> None:
        writer.whole("numbers", np.arange(1_000, dtype=np.int64) + content)

    return store.get("graph", content, build)


def aged(found: ArrayFolder, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(found.folder / SEAL, (then, then))


def test_what_nothing_opened_for_long_goes_when_another_is_written(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path)
    old, recent = written(store, 1), written(store, 2)
    aged(old, KEPT_SECONDS + 60)
    aged(recent, KEPT_SECONDS - 60)
    assert written(store, 2).folder.exists()
    assert old.folder.exists()  # nothing was written
    new = written(store, 3)
    assert {folder.name for folder in tmp_path.iterdir()} == {recent.folder.name, new.folder.name}
    assert old.arrays["numbers"][5] == 6  # what is mapped stays readable
    assert written(store, 1).arrays["numbers"][5] == 6


def test_opening_a_folder_keeps_it(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path)
    aged(written(store, 1), KEPT_SECONDS + 60)
    again = written(store, 1)
    written(store, 2)
    assert again.folder.exists()


def test_the_least_recently_opened_go_first_and_what_is_in_use_stays(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path)
    folders = [written(store, content) for content in range(4)]
    for found, hours in zip(folders, (30, 20, 10, 0), strict=True):
        aged(found, 3_600.0 * hours)
    assert prune(tmp_path, SEAL, most_bytes=20_000) == [folders[1].folder, folders[0].folder]
    assert prune(tmp_path, SEAL, most_bytes=0) == [folders[2].folder]
    assert [found.folder.exists() for found in folders] == [False, False, False, True]


def test_other_files_stay_and_a_missing_root_is_empty(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    assert prune(tmp_path, SEAL, most_bytes=0) == []
    assert (tmp_path / "mine" / "notes.txt").exists()
    assert prune(tmp_path / "missing", SEAL) == []
