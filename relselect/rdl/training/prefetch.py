"""Builds the next batches in a thread while a GPU computes; on a CPU, which is busy with the network itself, when they are asked
for.

Trees are sampled by compiled loops and copied on a CUDA stream of their own, so that the copies do not wait for the network's
kernels. Which thread built a batch changes nothing in it.
"""

from __future__ import annotations

import itertools
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from relselect.rdl.network.batch import Batch, Batcher, RowTensors

__all__ = ["prefetched"]

T = TypeVar("T")

#: Batches that are built before they are asked for.
_AHEAD = 3


@contextmanager
def prefetched(
    batcher: Batcher, rows: RowTensors, indices: Iterable[torch.Tensor], device: torch.device
) -> Iterator[Iterator[Batch]]:
    """Give the batches of some steps, one after another.

    Args:
        batcher: What builds them; used by one thread at a time.
        rows: The task rows, on the batcher's device.
        indices: The positions of each batch's rows, which may go on without end.
        device: The device of the network.

    Returns:
        A context that gives an iterator of the batches; leaving it ends what is being built.

    Example:
        >>> with prefetched(batcher, rows, torch.split(torch.arange(len(rows)), 512), device) as batches:  # doctest: +SKIP
        ...     outputs = [network(batch) for batch in batches]
    """
    if device.type != "cuda" or batcher.device.type != "cpu":
        yield (batcher.batch(rows, index.to(batcher.device)) for index in indices)
        return
    with ThreadPoolExecutor(1, "batches") as pool:
        stream = _CopyStream(device)
        ahead = _Ahead(pool, lambda index: stream.of(batcher, rows, index), iter(indices))
        try:
            yield map(stream.taken, ahead)
        finally:
            ahead.stop()


class _CopyStream:
    """A CUDA stream on which batches reach the device."""

    def __init__(self, device: torch.device) -> None:
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def of(self, batcher: Batcher, rows: RowTensors, index: torch.Tensor) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(self._stream):
            return batcher.batch(rows, index), self._stream.record_event()

    def taken(self, found: tuple[Batch, torch.cuda.Event]) -> Batch:
        """Return a batch once the current stream may read it."""
        batch, copied = found
        here = torch.cuda.current_stream(self._stream.device)
        here.wait_event(copied)
        for tensor in batch.tensors():
            tensor.record_stream(here)  # its memory was taken on the other stream
        return batch


class _Ahead(Generic[T]):
    """Results of a call for each of some indices, in their order, `_AHEAD` of them computed before they are asked for."""

    def __init__(
        self, pool: ThreadPoolExecutor, call: Callable[[torch.Tensor], T], indices: Iterator[torch.Tensor]
    ) -> None:
        self._pool, self._call, self._indices = pool, call, indices
        self._coming: deque[Future[T]] = deque()
        self._submit(_AHEAD)

    def _submit(self, count: int) -> None:
        self._coming.extend(self._pool.submit(self._call, index) for index in itertools.islice(self._indices, count))

    def __iter__(self) -> Iterator[T]:
        while self._coming:
            found = self._coming.popleft().result()
            self._submit(1)
            yield found

    def stop(self) -> None:
        """Begin no further call."""
        for each in self._coming:
            each.cancel()
