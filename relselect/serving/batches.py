"""Answers the requests that wait together by one prediction: features cost a pass over the tables, however few rows are asked.

A prediction depends on its own row alone (`relselect.families.protocol.Family`), so requests that share one get the answers that
each would get by itself. What is wrong with one request is told to its client alone.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relselect.serving.predictor import ServedPredictor
    from relselect.serving.requests import AskedRows

__all__ = ["RequestBatches"]


@dataclass(frozen=True)
class _Waiting:
    """A request that waits: its predictor, its body, and where its answer goes."""

    served: ServedPredictor
    body: bytes
    answer: asyncio.Future[dict[str, Any]]
    loop: asyncio.AbstractEventLoop

    def resolve(self, found: dict[str, Any] | Exception) -> None:
        """Hand over an answer or an error, from another thread; nobody may wait for it any more."""
        self.loop.call_soon_threadsafe(self._set, found)

    def _set(self, found: dict[str, Any] | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(found, Exception):
            self.answer.set_exception(found)
        else:
            self.answer.set_result(found)


class RequestBatches:
    """Collects requests while a prediction is made, and answers all of them by the next one.

    Args:
        pool: Runs predictions, one at a time.
        most_rows: Rows of one prediction at most, unless one request alone has more.
    """

    def __init__(self, pool: Executor, most_rows: int) -> None:
        self._pool, self._most = pool, most_rows
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    async def answer(self, served: ServedPredictor, body: bytes) -> dict[str, Any]:
        """Return the answer of a predictor to a request.

        Args:
            served: The predictor.
            body: The body of the request.

        Raises:
            BadRequest: The request breaks a rule, or no entity of it is in the database.
        """
        loop = asyncio.get_running_loop()
        request = _Waiting(served, body, loop.create_future(), loop)
        with self._lock:
            self._waiting.append(request)
        self._pool.submit(self._answer_all)  # finds nothing to do where an earlier call answered this one too
        return await request.answer

    def _answer_all(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        read: dict[int, list[tuple[_Waiting, AskedRows]]] = {}
        for each in waiting:
            if each.answer.done():  # its client has gone, or its time is over
                continue
            try:
                asked = each.served.reader.read(each.body)
            except Exception as error:
                each.resolve(error)
            else:
                read.setdefault(id(each.served), []).append((each, asked))
        for group in read.values():
            for part in _parts(group, self._most):
                _answer_together(part)


def _parts(group: list[tuple[_Waiting, AskedRows]], most: int) -> list[list[tuple[_Waiting, AskedRows]]]:
    """Return requests in their order, in parts of at most `most` rows or of one request."""
    parts: list[list[tuple[_Waiting, AskedRows]]] = []
    rows = most + 1
    for each in group:
        count = each[1].rows.num_rows
        if rows + count > most:
            parts.append([])
            rows = 0
        parts[-1].append(each)
        rows += count
    return parts


def _answer_together(part: list[tuple[_Waiting, AskedRows]]) -> None:
    """Answer requests by one prediction, or one by one where that fails: the fault is then that of its own request."""
    if len(part) > 1:
        try:
            answers = part[0][0].served.predict_all([asked for _, asked in part])
        except Exception:
            answers = []
        for (request, _), found in zip(part, answers, strict=False):
            request.resolve(found)
        part = part[len(answers) :]
    for request, asked in part:
        try:
            request.resolve(request.served.predict(asked))
        except Exception as error:
            request.resolve(error)
