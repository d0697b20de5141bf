"""Compiled CPU loops: neighbour sampling along one relation at one hop, sums along edges, and dropout.

One pass over the nodes replaces a dozen passes of torch over arrays of edges. The loops draw from the same hashes as the torch
version (`relselect.rdl.sampling.tree_builder`), so both sample the same trees bit for bit. The functions check no arguments:
indices out of range read or write foreign memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np

from relselect.hashing import FIRST, GOLDEN, SECOND

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "child_aggregates",
    "child_aggregates_slopes",
    "count_children",
    "dropout",
    "gather_scatter_sum",
    "scatter_sum",
    "segment_argmax",
    "take_children",
    "take_parents",
]

F = TypeVar("F", bound=Callable[..., Any])

_GOLDEN, _FIRST, _SECOND = np.uint64(GOLDEN), np.uint64(FIRST), np.uint64(SECOND)
_30, _27, _31, _32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
_LOW = np.uint64(0x7FFFFFFF)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def _jit(function: F) -> F:
    """Compile a function on its first call, to run without the interpreter lock, and cache the result on disk."""
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
    """Return the first position in [low, high) whose rank is at least `wanted`, `high` if there is none."""
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
        index: (rows, 2) time rank and row of each row's parent.
        salt: Hash of the relation.
        rows: (n,) row of each node, -1 for an unknown entity.
        tree: (n,) tree of each node.
        state: (n,) hash of each node; not read when `out` has two rows.
        hidden: (n,) whether the node's parent must not be read; (0,) where all may be.
        ceiling: (trees,) rows of a smaller time rank are visible.
        back: First and last (exclusive) of the nodes that were sampled along this foreign key; they get no parent.
        numbers: Number of the first new node and number of the first of the n nodes.
        visible: (n,) receives the number of visible parents.
        out: (3, n or more) receives rows, trees and hashes of the new nodes; (2, n or more) rows and trees alone.
        edges: (2, n or more) receives senders and receivers.

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
        rows: (n,) row of each node, -1 for an unknown entity.
        tree: (n,) tree of each node.
        ceiling: (trees,) children of a smaller time rank are visible.
        floor: (trees,) children of at least this time rank lie in the window; (0,) for no window.
        fan_out: Most children taken per node.
        start: (n,) receives the position of the first visible child.
        visible: (n,) receives the number of visible children.

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
    """Take the latest visible children of n nodes, or draw among them as `tree_builder.draw_positions` does.

    Args:
        child: (edges,) rows of the children.
        salt: Hash of the relation.
        tree: (n,) tree of each node.
        state: (n,) hash of each node; read when `uniform`.
        start: (n,) position of the first visible child.
        visible: (n,) number of visible children.
        fan_out: Most children taken per node.
        uniform: Whether to draw; otherwise the latest are taken.
        numbers: Number of the first new node and number of the first of the n nodes.
        out: (3, edges or more) receives rows, trees and hashes of the new nodes; (2, edges or more) rows and trees alone.
        edges: (2, edges or more) receives senders and receivers.
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
    """Draw one child per stratum and shift all by a random offset; see `tree_builder.draw_positions`."""
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
def gather_scatter_sum(
    x: NDArray[np.floating[Any]],
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    out: NDArray[np.floating[Any]],
) -> None:
    """Add row x[source[e]] to row out[target[e]] for every edge e in order."""
    for edge in range(len(source)):
        near, far = target[edge], source[edge]
        for channel in range(x.shape[1]):
            out[near, channel] += x[far, channel]


@_jit
def scatter_sum(x: NDArray[np.floating[Any]], target: NDArray[np.int64], out: NDArray[np.floating[Any]]) -> None:
    """Add row x[e] to row out[target[e]] for every edge e in order."""
    for edge in range(len(target)):
        near = target[edge]
        for channel in range(x.shape[1]):
            out[near, channel] += x[edge, channel]


@_jit
def segment_argmax(x: NDArray[np.floating[Any]], segment: NDArray[np.int64], out: NDArray[np.int64]) -> None:
    """Write, per segment and channel, the first row of x with the largest value; segments ascend from 0 without gaps."""
    before = -1
    for edge in range(len(segment)):
        here = segment[edge]
        if here != before:
            before = here
            for channel in range(x.shape[1]):
                out[here, channel] = edge
        else:
            for channel in range(x.shape[1]):
                if x[edge, channel] > x[out[here, channel], channel]:
                    out[here, channel] = edge


@_jit
def child_aggregates(
    x: NDArray[np.floating[Any]],
    places: NDArray[np.floating[Any]],
    source: NDArray[np.int64],
    segment: NDArray[np.int64],
    place: NDArray[np.int64],
    ordered: bool,
    out: NDArray[np.floating[Any]],
    largest: NDArray[np.int64],
) -> None:
    """Write the aggregates of each segment's messages; see `relselect.rdl.network.child_aggregates`.

    Args:
        x: (nodes, channels).
        places: (places, channels).
        source: (edges,), rows of x.
        segment: (edges,), ascending from 0 without gaps.
        place: (edges,), rows of places.
        ordered: Whether the edge of place 0 is the last neighbour.
        out: (segments, 4 * channels) receives mean, scaled mean, maximum and last.
        largest: (segments, channels) receives the first edge of the largest message.
    """
    channels, edges, begin = x.shape[1], len(segment), 0
    zero = x.dtype.type(0)
    while begin < edges:
        here, end, last = segment[begin], begin, -1
        for channel in range(channels):
            out[here, channel] = zero
        while end < edges and segment[end] == here:
            far, near = source[end], place[end]
            if near == 0:
                last = end
            for channel in range(channels):
                message = max(x[far, channel] + places[near, channel], zero)
                out[here, channel] += message
                if end == begin or message > out[here, 2 * channels + channel]:
                    out[here, 2 * channels + channel] = message
                    largest[here, channel] = end
            end += 1
        count = x.dtype.type(end - begin)
        several = x.dtype.type(np.log1p(count))
        for channel in range(channels):
            mean = out[here, channel] / count
            out[here, channel] = mean
            out[here, channels + channel] = mean * several
            out[here, 3 * channels + channel] = mean
        if ordered:
            for channel in range(channels):
                message = zero
                if last >= 0:
                    message = max(x[source[last], channel] + places[place[last], channel], zero)
                out[here, 3 * channels + channel] = message
        begin = end


@_jit
def child_aggregates_slopes(
    slope: NDArray[np.floating[Any]],
    x: NDArray[np.floating[Any]],
    places: NDArray[np.floating[Any]],
    source: NDArray[np.int64],
    segment: NDArray[np.int64],
    place: NDArray[np.int64],
    largest: NDArray[np.int64],
    ordered: bool,
    x_slope: NDArray[np.floating[Any]],
    places_slope: NDArray[np.floating[Any]],
) -> None:
    """Add the derivatives by x and places, given that by the result of `child_aggregates`, (segments, 4 * channels)."""
    channels, edges, begin = x.shape[1], len(segment), 0
    zero = x.dtype.type(0)
    shared = np.empty(channels, x.dtype)
    while begin < edges:
        here, end = segment[begin], begin
        while end < edges and segment[end] == here:
            end += 1
        count = x.dtype.type(end - begin)
        several = x.dtype.type(np.log1p(count))
        for channel in range(channels):
            total = slope[here, channel] + slope[here, channels + channel] * several
            if not ordered:
                total += slope[here, 3 * channels + channel]
            shared[channel] = total / count
        for edge in range(begin, end):
            far, near = source[edge], place[edge]
            last = ordered and near == 0
            for channel in range(channels):
                if x[far, channel] + places[near, channel] > zero:
                    value = shared[channel]
                    if largest[here, channel] == edge:
                        value += slope[here, 2 * channels + channel]
                    if last:
                        value += slope[here, 3 * channels + channel]
                    x_slope[far, channel] += value
                    places_slope[near, channel] += value
        begin = end


@_jit
def dropout(
    x: NDArray[np.floating[Any]], seed: int, dropped: int, scale: float, out: NDArray[np.floating[Any]]
) -> None:
    """Write out[i] = 0 with probability `dropped` / 256 and scale * x[i] otherwise, by a byte of hash(seed, i // 8).

    Args:
        x: (n,).
        seed: Seed of the hashes.
        dropped: From 0 to 255.
        scale: Factor of the numbers that are kept.
        out: (n,) receives the result.
    """
    # eight numbers per hash, one byte each, by a table and not by a branch, which the processor could not predict
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
