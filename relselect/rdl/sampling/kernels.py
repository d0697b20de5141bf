"""Compiled loops for the CPU: sampling one relation of one hop as the torch version does, bit for bit, and sums along edges.

One pass over the nodes replaces a dozen passes of torch over arrays of edges. Both versions draw by the same hashes, so a
tree is the same whichever sampled it; the tests compare all of their bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np

from relselect.hashing import FIRST, GOLDEN, SECOND

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["count_children", "pass_along", "sum_into", "take_children", "take_parents", "thin"]

F = TypeVar("F", bound=Callable[..., Any])

_GOLDEN, _FIRST, _SECOND = np.uint64(GOLDEN), np.uint64(FIRST), np.uint64(SECOND)
_30, _27, _31, _32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
_LOW = np.uint64(0x7FFFFFFF)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def _jit(function: F) -> F:
    """Compile a function on its first call, without the interpreter's lock, and keep the result on disk."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@_jit
def _mix(value: np.uint64) -> np.uint64:
    """See `hashing.mix`."""
    value = (value ^ (value >> _30)) * _FIRST
    value = (value ^ (value >> _27)) * _SECOND
    return value ^ (value >> _31)


@_jit
def _below(state: np.uint64, bound: np.uint64) -> np.uint64:
    """See `hashing.draw_below`."""
    return (((state >> _32) & _LOW) * bound) >> _31


@_jit
def _first_from(rank: NDArray[np.int32], low: int, high: int, wanted: int) -> int:
    """Return the first place in [low, high) whose rank is at least `wanted`, `high` if there is none."""
    while low < high:
        middle = (low + high) >> 1
        if rank[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@_jit
def take_parents(
    index: NDArray[np.int64],
    salt: int,
    rows: NDArray[np.int64],
    tree: NDArray[np.int64],
    state: NDArray[np.int64],
    hidden: NDArray[np.bool_],
    ceiling: NDArray[np.int64],
    back: tuple[int, int],
    numbers: tuple[int, int],
    visible: NDArray[np.int64],
    out: NDArray[np.int64],
    edges: NDArray[np.int64],
) -> int:
    """Take the visible parents of n nodes.

    Args:
        index: (rows, 2) rank and row of each row's parent.
        salt: The relation's.
        rows: (n,) the nodes' rows, -1 for an unknown entity.
        tree: (n,) the trees they stand in.
        state: (n,) their hashes; not read when `out` has no place for states.
        hidden: (n,) nodes whose parents must not be read, or (0,) for none.
        ceiling: (trees,) time rank below which a row is visible.
        back: First and last (exclusive) node that came down this key.
        numbers: Number of the first new node and that of the first of the n.
        visible: (n,) gets the numbers of visible parents.
        out: (3, n or more) gets rows, trees and states of the new nodes; without the states when it is (2, n or more).
        edges: (2, n or more) gets senders and receivers.

    Returns:
        How many parents were taken.
    """
    taken = 0
    for i in range(len(rows)):
        row = rows[i]
        visible[i] = 0
        if row < 0 or (back[0] <= i < back[1]) or (len(hidden) > 0 and hidden[i]):
            continue
        if index[row, 0] >= ceiling[tree[i]]:
            continue
        visible[i] = 1
        out[0, taken] = index[row, 1]
        out[1, taken] = tree[i]
        if len(out) > 2:
            # the draw of slot 0: x ^ 0 is x
            out[2, taken] = np.int64(_mix(_mix(np.uint64(state[i]) + np.uint64(salt) + _GOLDEN)))
        edges[0, taken] = numbers[0] + taken
        edges[1, taken] = numbers[1] + i
        taken += 1
    return taken


@_jit
def count_children(
    pointer: NDArray[np.int64],
    rank: NDArray[np.int32],
    rows: NDArray[np.int64],
    tree: NDArray[np.int64],
    ceiling: NDArray[np.int64],
    floor: NDArray[np.int64],
    fan_out: int,
    start: NDArray[np.int64],
    visible: NDArray[np.int64],
) -> int:
    """Find the visible children of n nodes and count how many are taken.

    Args:
        pointer: (rows + 1,) where the children of each row start.
        rank: (edges,) time ranks of the children.
        rows: (n,) the nodes' rows, -1 for an unknown entity.
        tree: (n,) the trees they stand in.
        ceiling: (trees,) time rank below which a child is visible.
        floor: (trees,) time rank from which on it lies in the window, or (0,) for no window.
        fan_out: Most children taken per node.
        start: (n,) gets where the visible children start.
        visible: (n,) gets how many there are.

    Returns:
        The sum of the smaller of `visible` and `fan_out`.
    """
    total = 0
    for i in range(len(rows)):
        row = rows[i]
        start[i] = 0
        visible[i] = 0
        if row < 0:
            continue
        low, high = pointer[row], pointer[row + 1]
        high = _first_from(rank, low, high, ceiling[tree[i]])
        if len(floor) > 0:
            low = _first_from(rank, low, high, floor[tree[i]])
        start[i] = low
        visible[i] = high - low
        total += min(high - low, fan_out)
    return total


@_jit
def take_children(
    child: NDArray[np.int32],
    salt: int,
    tree: NDArray[np.int64],
    state: NDArray[np.int64],
    start: NDArray[np.int64],
    visible: NDArray[np.int64],
    fan_out: int,
    uniform: bool,
    numbers: tuple[int, int],
    out: NDArray[np.int64],
    edges: NDArray[np.int64],
) -> None:
    """Take the latest visible children of n nodes, or draw among them; see `growth.draw`.

    Args:
        child: (edges,) rows of the children.
        salt: The relation's.
        tree: (n,) the trees the nodes stand in.
        state: (n,) their hashes; read when `uniform`.
        start: (n,) where the visible children start.
        visible: (n,) how many there are.
        fan_out: Most children taken per node.
        uniform: Whether to draw.
        numbers: Number of the first new node and that of the first of the n.
        out: (3, edges or more) gets rows, trees and states of the new nodes; without the states when it is (2, ...).
        edges: (2, edges or more) gets senders and receivers.
    """
    at = 0
    for i in range(len(tree)):
        seen = visible[i]
        taken = min(seen, fan_out)
        if taken == 0:
            continue
        for slot in range(taken):
            out[1, at + slot] = tree[i]
            edges[0, at + slot] = numbers[0] + at + slot
            edges[1, at + slot] = numbers[1] + i
        if not uniform:
            last = start[i] + seen - 1
            for slot in range(taken):
                out[0, at + slot] = child[last - slot]
        else:
            own = _mix(np.uint64(state[i]) + np.uint64(salt) + _GOLDEN)
            if seen <= fan_out:
                for slot in range(taken):
                    out[0, at + slot] = child[start[i] + slot]
                    if len(out) > 2:
                        out[2, at + slot] = np.int64(_mix(own ^ np.uint64(slot)))
            else:
                _draw(child, own, start[i], seen, fan_out, at, out)
        at += taken


@_jit
def _draw(
    child: NDArray[np.int32], own: np.uint64, start: int, seen: int, fan_out: int, at: int, out: NDArray[np.int64]
) -> None:
    """Draw one child per stratum of a row turned by a random shift."""
    bound, strata = np.uint64(seen), np.uint64(fan_out)
    shift = _below(_mix(own ^ _ALL), bound)
    low = np.uint64(0)
    for slot in range(fan_out):
        high = (np.uint64(slot) + np.uint64(1)) * bound // strata
        drawn = _mix(own ^ np.uint64(slot))
        place = low + _below(drawn, high - low) + shift
        if place >= bound:
            place -= bound
        out[0, at + slot] = child[start + np.int64(place)]
        if len(out) > 2:
            out[2, at + slot] = np.int64(drawn)
        low = high


@_jit
def pass_along(
    x: NDArray[np.floating[Any]],
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    out: NDArray[np.floating[Any]],
) -> None:
    """Add x[source[e]] to out[target[e]] for every edge e in order; rows are vectors."""
    for edge in range(len(source)):
        near, far = target[edge], source[edge]
        for channel in range(x.shape[1]):
            out[near, channel] += x[far, channel]


@_jit
def sum_into(x: NDArray[np.floating[Any]], target: NDArray[np.int64], out: NDArray[np.floating[Any]]) -> None:
    """Add x[e] to out[target[e]] for every edge e in order; rows are vectors."""
    for edge in range(len(target)):
        near = target[edge]
        for channel in range(x.shape[1]):
            out[near, channel] += x[edge, channel]


@_jit
def thin(x: NDArray[np.floating[Any]], seed: int, dropped: int, scale: float, out: NDArray[np.floating[Any]]) -> None:
    """Write 0 or scale * x; each of n numbers is dropped with probability `dropped` / 256, by a byte of a hash of its place.

    Args:
        x: (n,).
        seed: Of the hashes.
        dropped: From 0 to 255.
        scale: What the others are multiplied by.
        out: (n,) gets the result.
    """
    # a number of bytes that fill hashes whole, without a branch: what is dropped cannot be foreseen
    weights = np.zeros(256, x.dtype)
    weights[dropped:] = scale
    byte, whole = np.uint64(255), len(x) >> 3
    for block in range(whole):
        drawn, first = _mix(np.uint64(seed) + np.uint64(block) * _GOLDEN), block << 3
        for place in range(8):
            out[first + place] = x[first + place] * weights[(drawn >> np.uint64(place << 3)) & byte]
    drawn = _mix(np.uint64(seed) + np.uint64(whole) * _GOLDEN)
    for place in range(whole << 3, len(x)):
        out[place] = x[place] * weights[(drawn >> np.uint64((place & 7) << 3)) & byte]
