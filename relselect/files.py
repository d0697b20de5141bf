"""Where caches lie, and atomic writing: a reader sees the former content or the new one, never a part of it.

A draft is written in the same folder, flushed to disk and moved into place. Deliberately not here: what the content is,
locks between writers (the last one wins), and appending to a file.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from relselect.errors import UnwritableError
from relselect.serialization import dump_jsonable

__all__ = [
    "adding_folder",
    "cache_path",
    "check_writable",
    "current_parts",
    "replacing",
    "replacing_folder",
    "replacing_parts",
    "unwritable",
    "write_bytes",
    "write_json",
    "write_text",
]

_DRAFT = ".partial"
#: New parts of a folder, complete, until each of them stands in its place (`replacing_parts`).
_READY = ".ready"
#: Seconds after which a draft that nobody finished is taken for that of a killed process (`adding_folder`).
_ABANDONED = 86_400.0
_FIX = "Give a path in a folder that you may write to"
#: Bytes that `check_writable` writes: more than a file system keeps beside a file's name.
_PROBE = bytes(8192)


@contextmanager
def replacing(path: Path, *, sole_writer: bool = False) -> Iterator[Path]:
    """Yield the path of an empty draft, and move it to `path` when the block ends without an error.

    The block may write to the draft or replace it. The file gets the permissions of any new file (0666 less the umask),
    also where a library writes a private one. After an error the draft is deleted and `path` is as it was.

    Args:
        path: The file; its folder is made where there is none.
        sole_writer: Nobody else writes this file at the same time. The draft then has one fixed name, `.<name>.partial`,
            and what a killed process left is overwritten; else each draft has a name of its own.

    Raises:
        OSError: The file cannot be written.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with replacing(place) as draft:
    ...     _ = draft.write_text("whole")
    >>> place.read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}{'' if sole_writer else f'.{secrets.token_hex(4)}'}{_DRAFT}")
    try:
        if sole_writer:
            draft.unlink(missing_ok=True)  # It may have been private.
        with draft.open("xb") as created:
            mode = os.fstat(created.fileno()).st_mode & 0o777
        yield draft
        draft.chmod(mode)
        _flush(draft)
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty draft folder, and put it in the place of `folder` when the block ends without an error.

    A folder has one writer at a time. The draft is `.<name>.partial` beside it; what a killed process left there is
    deleted. Its files get the permissions of any new file, as in `replacing`. After an error the draft is deleted and
    `folder` is as it was.

    Raises:
        OSError: The folder cannot be written.
    """
    draft = folder.with_name(f".{folder.name}{_DRAFT}")
    former = folder.with_name(f".{folder.name}.former")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove(draft)
    draft.mkdir()
    try:
        yield draft
        _settle_files(draft)
        _remove(former)
        if folder.exists():
            folder.replace(former)
        try:
            draft.replace(folder)
        except OSError:
            if former.exists():
                former.replace(folder)
            raise
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def adding_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty draft folder, and give it the name `folder` when the block ends without an error.

    For folders whose name decides their content: several processes may write the same one at a time, each into a draft of its
    own, and the first that is finished stays. A reader finds the whole folder or none. Drafts that killed processes left more
    than a day ago are deleted.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for draft in folder.parent.glob(f".*{_DRAFT}"):
        with suppress(OSError):
            if time.time() - draft.stat().st_mtime > _ABANDONED:
                _remove(draft)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{_DRAFT}")
    draft.mkdir()
    try:
        yield draft
        _settle_files(draft)
        try:
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def replacing_parts(folder: Path, parts: Sequence[str], seal: str) -> Iterator[Path]:
    """Yield an empty draft folder, and put its entries in the place of those of `folder`, in one step, when the block ends.

    Other entries of `folder` are left alone, which is why the folder cannot be moved as a whole. The complete draft is moved to
    the name `.ready`; from then on `current_parts` finds the new entries there, until all are in their places. A process that is
    killed leaves the former entries or the new ones, and the next call clears up after it.

    Args:
        folder: A folder with one writer at a time; made where there is none.
        parts: Names of the files and folders that belong together; those that the draft lacks are deleted.
        seal: The file without which the parts are not complete.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / _DRAFT
    _place_parts(folder, parts, seal)
    _remove(draft)
    draft.mkdir()
    try:
        yield draft
        _settle_files(draft)
        draft.replace(folder / _READY)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    _place_parts(folder, parts, seal)


def current_parts(folder: Path, seal: str) -> Path:
    """Return the folder to read the parts of `folder` from: itself, or where the new ones wait for a killed process."""
    ready = folder / _READY
    return ready if (ready / seal).is_file() and not ready.is_symlink() else folder


def _place_parts(folder: Path, parts: Sequence[str], seal: str) -> None:
    """Bring the new parts to their places; readers use those in `.ready` until its seal is deleted, at the end."""
    ready = folder / _READY
    if (ready / seal).is_file():
        for part in (*parts, seal):
            _remove(folder / part)
            if (ready / part).is_dir():
                shutil.copytree(ready / part, folder / part, copy_function=_link)
            elif (ready / part).exists():
                _link(ready / part, folder / part)
        (ready / seal).unlink()
    _remove(ready)


def _link(source: Path | str, target: Path | str) -> None:
    """Give a file a second name, which takes no room; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        _flush(Path(target))


def write_bytes(path: Path, data: bytes, *, sole_writer: bool = False) -> Path:
    """Write a file atomically and return its path; see `replacing`."""
    with replacing(path, sole_writer=sole_writer) as draft:
        draft.write_bytes(data)
    return path


def write_text(path: Path, text: str, *, sole_writer: bool = False) -> Path:
    """Write text as UTF-8 with plain newlines, atomically, and return the path; see `replacing`."""
    return write_bytes(path, text.encode(), sole_writer=sole_writer)


def write_json(path: Path, value: Any, *, sort_keys: bool = False, sole_writer: bool = False) -> Path:
    """Write a value that will be read again as JSON, atomically, and return the path.

    Raises:
        TypeError: The value holds what JSON cannot hold; see `relselect.serialization.jsonable`.
    """
    return write_text(path, dump_jsonable(value, sort_keys=sort_keys), sole_writer=sole_writer)


@contextmanager
def unwritable(argument: str, path: Path | str, fix: str = _FIX) -> Iterator[None]:
    """Turn an OSError of the block into an UnwritableError about the argument that named the path.

    Raises:
        UnwritableError: The block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise UnwritableError(argument, str(path), f"cannot be written ({error.strerror or error})", fix) from error


def cache_path(*parts: str) -> Path:
    """Return the path of a cache file, which may be deleted at any time; nothing is created.

    The cache is the folder `$RELSELECT_CACHE`, else `$XDG_CACHE_HOME/relselect`, else `~/.cache/relselect`.

    Args:
        *parts: The file's path below the cache.
    """
    named, shared = os.environ.get("RELSELECT_CACHE"), os.environ.get("XDG_CACHE_HOME")
    root = Path(named) if named else (Path(shared) if shared else Path.home() / ".cache") / "relselect"
    return root.joinpath(*parts)


def check_writable(argument: str, path: Path, *, folder: bool = False, fix: str = _FIX) -> None:
    """Refuse a place that cannot be written, before the work whose result is to go there.

    A small file is written to the nearest folder that exists, and deleted; nothing else is created.

    Args:
        argument: What named the place.
        path: The file that will be written, or the folder.
        folder: Whether `path` is a folder.
        fix: The way out.

    Raises:
        UnwritableError: A file stands where a folder should be or the reverse, or nothing can be written there.
    """
    if "\0" in str(path):
        raise UnwritableError(argument, str(path), "is no path (it holds a NUL character)", fix)
    with unwritable(argument, path, fix):
        if path.exists() and path.is_dir() != folder:
            rule = f"is a {'file' if folder else 'folder'}, where a {'folder' if folder else 'file'} should be"
            raise UnwritableError(argument, str(path), rule, fix)
        home = path if folder else path.parent
        while not home.exists():
            home = home.parent
        if not home.is_dir():
            rule = f"cannot be written: {home} is a file, where a folder should be"
            raise UnwritableError(argument, str(path), rule, fix)
        _probe(home)


def _probe(folder: Path) -> None:
    draft = folder / f".relselect.{secrets.token_hex(4)}{_DRAFT}"
    try:
        with draft.open("xb") as written:
            written.write(_PROBE)
            written.flush()
            os.fsync(written.fileno())
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _settle_files(folder: Path) -> None:
    """Give the files of a folder the permissions of any new file, and flush them to disk."""
    sample = folder / f".mode.{secrets.token_hex(4)}{_DRAFT}"
    with sample.open("xb") as created:
        mode = os.fstat(created.fileno()).st_mode & 0o777
    sample.unlink()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(mode)
            _flush(path)


def _flush(path: Path) -> None:
    with path.open("r+b") as written:  # Windows flushes only what is open for writing.
        os.fsync(written.fileno())


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)
