"""Files and folders are replaced whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from relselect.errors import UnwritableError
from relselect.files import check_writable, replacing, replacing_folder, unwritable, write_bytes, write_json, write_text


@pytest.fixture
def umask():
    """A umask that neither a private nor a default mode satisfies by chance."""
    former = os.umask(0o027)
    yield
    os.umask(former)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("sole_writer", [True, False])
def test_text_bytes_and_json_are_written_and_no_draft_is_left(tmp_path: Path, sole_writer: bool) -> None:
    folder = tmp_path / "new" / "folder"
    assert write_text(folder / "a.txt", "é\n", sole_writer=sole_writer).read_bytes() == b"\xc3\xa9\n"
    assert write_bytes(folder / "a.bin", b"\r\n\0", sole_writer=sole_writer).read_bytes() == b"\r\n\0"
    value = {"x": (np.float64("nan"), np.arange(2)), "a": 1}
    assert json.loads(write_json(folder / "a.json", value, sole_writer=sole_writer).read_text()) == {
        "x": [None, [0, 1]],
        "a": 1,
    }
    assert names(folder) == {"a.txt", "a.bin", "a.json"}


@pytest.mark.parametrize("sole_writer", [True, False])
def test_an_error_leaves_the_former_file_and_no_draft(tmp_path: Path, sole_writer: bool) -> None:
    path = write_text(tmp_path / "a.txt", "former")
    with pytest.raises(ZeroDivisionError), replacing(path, sole_writer=sole_writer) as draft:  # noqa: PT012
        draft.write_text("half")
        raise ZeroDivisionError
    with pytest.raises(TypeError):
        write_json(path, object())
    assert path.read_text() == "former"
    assert names(tmp_path) == {"a.txt"}


def test_readers_see_the_former_file_until_the_block_ends(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "former")
    with replacing(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "former"
    assert path.read_text() == "new"


@pytest.mark.usefixtures("umask")
def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    expected = tmp_path / "plain"
    expected.touch()
    assert mode(write_text(tmp_path / "a.txt", "")) == mode(expected) == 0o640
    with replacing(tmp_path / "b") as draft:  # Some libraries write a private file and move it.
        private = draft.with_name("private")
        private.touch(0o600)
        private.replace(draft)
    assert mode(tmp_path / "b") == 0o640
    left = tmp_path / ".c.partial"
    left.touch(0o600)
    assert mode(write_text(tmp_path / "c", "", sole_writer=True)) == 0o640


@pytest.mark.usefixtures("umask")
def test_safetensors_get_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    with replacing(tmp_path / "a.safetensors", sole_writer=True) as draft:
        save_file({"a": torch.zeros(2)}, draft)
    assert mode(tmp_path / "a.safetensors") == 0o640


@pytest.mark.usefixtures("umask")
def test_files_of_a_replaced_folder_get_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "model") as draft:
        (draft / "deep").mkdir()
        (draft / "deep" / "private").touch(0o600)
        (draft / "open").touch(0o666)
    assert mode(tmp_path / "model" / "deep" / "private") == mode(tmp_path / "model" / "open") == 0o640


def test_a_sole_writer_overwrites_what_a_killed_process_left(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.partial").write_text("a long draft of a killed process")
    write_text(tmp_path / "a.txt", "new", sole_writer=True)
    assert names(tmp_path) == {"a.txt"}
    assert (tmp_path / "a.txt").read_text() == "new"


def test_several_writers_never_mix(tmp_path: Path) -> None:
    path, texts = tmp_path / "a.txt", [letter * 200_000 for letter in "abcdef"]
    threads = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert names(tmp_path) == {"a.txt"}


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "model"
    for part in ("one", "two"):
        with replacing_folder(folder) as draft:
            (draft / "inner").mkdir()
            (draft / "inner" / part).write_text(part)
    assert names(folder / "inner") == {"two"}
    assert names(folder.parent) == {"model"}


def test_an_error_leaves_the_former_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (tmp_path / ".model.partial").mkdir()
    (tmp_path / ".model.partial" / "of a killed process").touch()
    with replacing_folder(folder) as draft:
        (draft / "a").touch()
    with pytest.raises(ZeroDivisionError), replacing_folder(folder) as draft:  # noqa: PT012
        (draft / "b").touch()
        raise ZeroDivisionError
    assert names(folder) == {"a"}
    assert names(tmp_path) == {"model"}


def test_a_folder_that_cannot_be_moved_leaves_the_former_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, move = tmp_path / "model", Path.replace
    with replacing_folder(folder) as draft:
        (draft / "a").touch()

    def refuse(self: Path, target: Path) -> Path:
        if self.name == ".model.partial":
            raise OSError("no")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no"), replacing_folder(folder) as draft:
        (draft / "b").touch()
    assert names(folder) == {"a"}
    assert names(tmp_path) == {"model"}


def test_what_cannot_be_written_is_an_error_of_the_argument(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "a.txt"
    with pytest.raises(UnwritableError, match=r"out=.*cannot be written \(.+\).* Give another file\."):  # noqa: SIM117
        with unwritable("out", place, "Give another file"):
            write_text(place, "")


@pytest.mark.parametrize(
    ("place", "folder", "rule"),
    [
        ("file", True, "is a file, where a folder should be"),
        ("folder", False, "is a folder, where a file should be"),
        ("file/a.txt", False, "file is a file, where a folder should be|Not a directory"),
        ("file/deep/down", True, "file is a file, where a folder should be|Not a directory"),
        ("n" * 300, False, "name too long"),
        ("a\0b", False, "NUL character"),
        ("read-only/a.txt", False, "Permission denied"),
    ],
)
def test_places_that_cannot_be_written_are_refused_and_nothing_is_left(
    tmp_path: Path, place: str, folder: bool, rule: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "read-only").mkdir(mode=0o555)
    if place.startswith("read-only") and os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    with pytest.raises(UnwritableError, match=rf"out=.*({rule})"):
        check_writable("out", tmp_path / place, folder=folder)
    assert names(tmp_path) == {"file", "folder", "read-only"}


def test_probing_a_place_creates_nothing(tmp_path: Path) -> None:
    check_writable("out", tmp_path / "new" / "folder" / "a.txt")
    check_writable("out", tmp_path / "new", folder=True)
    assert not names(tmp_path)


def test_a_full_disk_is_seen_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnwritableError, match="No space left"):
        check_writable("out", tmp_path / "a.txt")
    assert not names(tmp_path)
