"""Hashes that are stored or decide draws: their numbers are pinned here, and the twins give the same ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from relselect import hashing
from relselect.hashing import (
    GOLDEN,
    combine_arrays,
    digest_of,
    fingerprint_json,
    hash_floats,
    hash_integers,
    hash_strings,
    hash_text,
    mix,
    sha256_of,
    sha256_of_file,
    smallest,
    splitmix64,
    uniform,
)

#: Of the functions that stored profiles, trees and fingerprints were made with.
MIXED = [5635105639907327770, 14316558075802576244, 14582227585987741824]
TEXT = 6598860889207258455
INTEGERS = [-2152535657050944081, 2092789425003139053, -621772950581698083]
FLOATS = [-840316820457468307, -4095617212816704698]
COMBINED = [583880340377267059]
FINGERPRINT = "ae69300a3a606a0379150ff56f75996a2ac96127dd27cdc7b144ac27cace0b37"
WORDS = np.array([0, 1, -1, 2**40, -(2**63)], dtype=np.int64)


def test_the_numbers_are_those_that_were_stored() -> None:
    assert splitmix64(np.array([GOLDEN], dtype=np.uint64)).tolist() == [0xE220A8397B1DCDAF]  # SplitMix64 from seed 0.
    assert mix(np.array([0, 1, -5], dtype=np.int64), 7).tolist() == MIXED
    assert hash_text("row") == TEXT
    assert hash_integers(np.array([0, 3, -3])).tolist() == INTEGERS
    assert hash_floats(np.array([0.5, np.nan])).tolist() == FLOATS
    assert combine_arrays(np.array([1]), np.array([2])).tolist() == COMBINED
    assert fingerprint_json({"b": [1, 2.5], "a": "é"}) == FINGERPRINT


def test_torch_and_numpy_give_the_same_numbers() -> None:
    torch = pytest.importorskip("torch")
    from relselect.rdl.graph import hashing as twin

    other = np.flip(WORDS).copy()
    assert twin.mix(torch.from_numpy(WORDS)).tolist() == splitmix64(WORDS.view(np.uint64)).view(np.int64).tolist()
    assert (
        twin.combine(torch.from_numpy(WORDS), torch.from_numpy(other)).tolist() == combine_arrays(WORDS, other).tolist()
    )
    assert twin.GOLDEN % 2**64 == GOLDEN


def test_the_compiled_loops_give_the_same_numbers() -> None:
    from relselect.rdl.sampling import kernels

    words = WORDS.view(np.uint64)
    assert [int(kernels._mix(word)) for word in words] == splitmix64(words).tolist()


def test_shapes_and_ranges() -> None:
    grid = hash_integers(np.arange(6).reshape(2, 3))
    assert grid.shape == (2, 3)
    assert np.array_equal(hash_integers(np.arange(6)[::2]), grid.reshape(-1)[::2])
    assert mix(3, np.arange(4)).shape == (4,)
    drawn = uniform(mix(np.arange(10_000)))
    assert 0 <= drawn.min() < 0.001
    assert 0.999 < drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 0.01
    assert hash_floats(np.array([0.0, -0.0])).tolist() == [hash_integers(np.array([0]))[0]] * 2
    assert hash_strings(["a", "b"]).tolist() == [hash_text("a"), hash_text("b")]


def test_the_smallest_hashes_come_in_order_and_ties_keep_theirs() -> None:
    hashes = np.array([3, 1, 2, 1], dtype=np.uint64)
    assert smallest(hashes, 3).tolist() == [1, 3, 2]
    assert smallest(hashes, 9).tolist() == [1, 3, 2, 0]


def test_content_and_files(tmp_path: Path) -> None:
    data = np.arange(300_000, dtype=np.int64)
    expected = hashlib.sha256(b"ab" + data[::2].tobytes()).hexdigest()
    assert sha256_of(["a", b"b", data[::2]]) == sha256_of(part for part in (memoryview(b"ab"), data[::2])) == expected
    path = tmp_path / "a"
    path.write_bytes(data.tobytes())
    assert sha256_of_file(path) == hashlib.sha256(data.tobytes()).hexdigest()
    assert digest_of(b"a", 6) == hashlib.blake2b(b"a", digest_size=6).digest()


def test_hashlib_and_the_constants_stand_in_one_module() -> None:
    package = Path(hashing.__file__).parent
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path != Path(hashing.__file__):
            assert "hashlib" not in text, path
            assert "0x9E3779B97F4A7C15" not in text, path
