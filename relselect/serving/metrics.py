"""Counts and times of requests in Prometheus' text format (version 0.0.4), without a library."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

__all__ = ["ServerMetrics"]

#: Upper ends of the histogram's buckets in seconds.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ServerMetrics:
    """Counts requests by path and status, rows, and their times.

    Example:
        >>> metrics = ServerMetrics()
        >>> metrics.add("/predict", 200, 0.02)
        >>> 'relselect_requests_total{path="/predict",status="200"} 1' in metrics.text({})
        True
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._rows = 0

    def add(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            path: The path, one of a few.
            status: The status of the answer.
            seconds: From its first byte to the last of the answer.
        """
        with self._lock:
            self._requests[path, status] += 1
            counts = self._buckets.setdefault(path, [0] * (len(_BUCKETS) + 1))
            counts[bisect_left(_BUCKETS, seconds)] += 1
            self._seconds[path] = self._seconds.get(path, 0.0) + seconds

    def add_rows(self, rows: int) -> None:
        """Count predictions."""
        with self._lock:
            self._rows += rows

    @property
    def requests(self) -> int:
        """The number of all requests."""
        with self._lock:
            return self._requests.total()

    @property
    def errors(self) -> int:
        """The number of requests with a status of 400 or more."""
        with self._lock:
            return sum(count for (_, status), count in self._requests.items() if status >= 400)

    def text(self, further: Mapping[str, tuple[str, float]]) -> str:
        """Return everything as text.

        Args:
            further: Name, with its labels if any -> type and value of what is counted elsewhere.
        """
        with self._lock:
            lines = [
                "# HELP relselect_requests_total Requests that were answered.",
                "# TYPE relselect_requests_total counter",
            ]
            lines += [
                f'relselect_requests_total{{path="{path}",status="{status}"}} {count}'
                for (path, status), count in sorted(self._requests.items())
            ]
            failed: Counter[str] = Counter()
            for (path, status), count in self._requests.items():
                failed[path] += count if status >= 400 else 0
            lines += [
                "# HELP relselect_errors_total Requests answered with status 400 or more.",
                "# TYPE relselect_errors_total counter",
            ]
            lines += [f'relselect_errors_total{{path="{path}"}} {count}' for path, count in sorted(failed.items())]
            lines += [
                "# HELP relselect_predictions_total Rows that were predicted.",
                "# TYPE relselect_predictions_total counter",
            ]
            lines += [f"relselect_predictions_total {self._rows}", *self._histogram()]
        for name, (kind, value) in further.items():
            lines += [f"# TYPE {name.partition('{')[0]} {kind}", f"{name} {value:g}"]
        return "\n".join(lines) + "\n"

    def _histogram(self) -> list[str]:
        name = "relselect_request_seconds"
        lines = [f"# HELP {name} Seconds from the request to the end of its answer.", f"# TYPE {name} histogram"]
        for path, counts in sorted(self._buckets.items()):
            total = 0
            for end, count in zip((*map(str, _BUCKETS), "+Inf"), counts, strict=True):
                total += count
                lines.append(f'{name}_bucket{{path="{path}",le="{end}"}} {total}')
            lines += [
                f'{name}_sum{{path="{path}"}} {self._seconds[path]:.6f}',
                f'{name}_count{{path="{path}"}} {total}',
            ]
        return lines
