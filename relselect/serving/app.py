"""The application that answers over HTTP: four paths, limits, counts, and errors without a traceback.

Predictions are made one after another by one thread, so that no library meets itself; requests wait for it up to a limit, and
those that wait together are answered by one prediction. How the application is run, and how it ends, is decided in
`relselect.serving.server`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from relselect._version import __version__
from relselect.serialization import plain
from relselect.serving.batches import RequestBatches
from relselect.serving.holder import PredictorHolder
from relselect.serving.metrics import ServerMetrics
from relselect.serving.requests import BadRequest
from relselect.serving.settings import LOOPBACK, ServerSettings

__all__ = ["Service", "make_app"]

_LOGGER = logging.getLogger("relselect.serving")
#: The paths that are counted by their name.
_PATHS = ("/predict", "/health", "/model", "/metrics")
#: The status under which a request is counted whose client went away before its end.
_GONE = 499
#: Signs of the name under which an error stands in the log.
_ERROR_NAME = 12
#: Seconds that a client is asked to wait where too many requests wait already.
_RETRY = "1"

_Scope = dict[str, Any]
_Send = Callable[[dict[str, Any]], Awaitable[None]]
_Receive = Callable[[], Awaitable[dict[str, Any]]]


class Service:
    """What the paths of an application share.

    Args:
        settings: What the server was asked for.

    Attributes:
        holder: Holds the predictor.
        metrics: Counts requests.
        stopping: Whether the end was asked for: every answer then closes its connection.

    Raises:
        UserError: The bundle cannot be loaded.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.metrics = ServerMetrics()
        self.stopping = False
        self._waiting = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="relselect predict")
        self._batches = RequestBatches(self._pool, settings.max_rows)
        self.holder = PredictorHolder(settings, lambda work: self._pool.submit(work).result())

    def close(self) -> None:
        """Look for new bundles no more, and end the thread that predicts."""
        self.holder.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def predict(self, request: Request) -> dict[str, Any]:
        """Return the answer to a request for predictions.

        Raises:
            BadRequest: The request breaks a rule or a limit.
        """
        if self._waiting >= self.settings.max_waiting:
            raise BadRequest(503, "busy", f"{self._waiting} requests wait already; try again later.")
        self._waiting += 1
        begun = time.monotonic()
        try:
            return await asyncio.wait_for(self._predict(request), self.settings.timeout)
        except TimeoutError:
            seconds = f"{time.monotonic() - begun:.1f} s"
            raise BadRequest(
                504, "timeout", f"The answer was not ready after {seconds}; ask about fewer entities."
            ) from None
        finally:
            self._waiting -= 1

    async def _predict(self, request: Request) -> dict[str, Any]:
        body = await self._body(request)
        served = self.holder.current  # answers this request to its end, whatever is loaded meanwhile
        answer = await self._batches.answer(served, body)
        self.metrics.add_rows(len(answer["predictions"]))
        return answer

    async def _body(self, request: Request) -> bytes:
        """Read the body of a request, up to the limit.

        Raises:
            BadRequest: It is too large, or not declared as JSON.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise BadRequest(415, "content type", "The body must be JSON: send Content-Type: application/json.")
        most = self.settings.max_bytes
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            raise BadRequest(413, "size", f"The body has {declared} bytes, {most} are allowed.")
        parts, size = [], 0
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > most:
                raise BadRequest(413, "size", f"The body has more than the {most} bytes that are allowed.")
        return b"".join(parts)

    def health(self) -> dict[str, Any]:
        """Return whether predictions are answered, by which bundle, and what became of the last replacement."""
        served, reload = self.holder.current, self.holder.reload
        return plain(
            {
                "status": "stopping" if self.stopping else "ok",
                "model": served.name,
                "loaded": served.loaded,
                "data": served.data(),
                "waiting": self._waiting,
                "reload": {"state": reload.state, "when": reload.when, "why": reload.why or None},
                "relselect": __version__,
            }
        )

    def text(self) -> str:
        """Return the counts in Prometheus' format."""
        further = {
            "relselect_requests_waiting": ("gauge", float(self._waiting)),
            "relselect_bundle_age_seconds": ("gauge", time.monotonic() - self.holder.current.begun),
            "relselect_bundle_reloads_total": ("counter", float(self.holder.loads["done"])),
            "relselect_bundle_refused_total": ("counter", float(self.holder.loads["refused"])),
            f'relselect_bundle_info{{model="{self.holder.current.name}"}}': ("gauge", 1.0),
        }
        return self.metrics.text(further)


def make_app(service: Service) -> FastAPI:
    """Return the application of a service.

    Args:
        service: The service, its predictor loaded.
    """

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        service.holder.start()
        yield
        service.close()

    app = FastAPI(title="relselect", version=__version__, docs_url=None, redoc_url=None, lifespan=running)

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        """Predict for entities at a moment; `GET /model` has the schema of the body."""
        return _json(await service.predict(request))

    @app.get("/health")
    async def health() -> Response:
        """Say whether predictions are answered, and by which bundle."""
        return _json(service.health(), 503 if service.stopping else 200)

    @app.get("/model")
    async def model() -> Response:
        """Describe the predictor: its task, family, score, data, and the schema of requests."""
        return _json(service.holder.current.describe())

    @app.get("/metrics")
    async def metrics() -> Response:
        """Return counts and times of requests for Prometheus."""
        return Response(service.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.add_exception_handler(BadRequest, _refused)
    app.add_exception_handler(HTTPException, _no_such)
    app.add_middleware(_Watched, service=service)
    return app


class _Watched:
    """Counts every request, closes connections at the end, and turns what nobody expected into an answer.

    Args:
        app: The application.
        service: What it serves.
    """

    def __init__(self, app: Callable[[_Scope, _Receive, _Send], Awaitable[None]], service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0

        async def sending(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._service.stopping or status in (408, 413, 504):
                    message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
            await send(message)

        try:
            if self._foreign(scope):
                answer = _problem(421, "host", "This server answers on its own address alone.")
                await answer(scope, receive, sending)
            else:
                await self._app(scope, receive, sending)
        except ClientDisconnect:
            status = _GONE
        except Exception:
            name = uuid4().hex[:_ERROR_NAME]
            _LOGGER.exception("error %s", name)
            if status == 0:
                message = f"The server failed inside; its log has the error under the name {name}."
                await _problem(500, "internal", message)(scope, receive, sending)
        finally:
            path = scope["path"] if scope["path"] in _PATHS else "other"
            self._service.metrics.add(path, status, time.monotonic() - begun)

    def _foreign(self, scope: _Scope) -> bool:
        """Whether a loopback server is asked under another name: a page of a stranger may give its name our address."""
        if not self._service.settings.local:
            return False
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        return name.strip("[]").lower() not in LOOPBACK


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, BadRequest):
        raise error
    headers = {"Retry-After": _RETRY} if error.status == 503 else {}
    return _problem(error.status, error.kind, error.message, error.problems, headers)


async def _no_such(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    known = ", ".join(("POST /predict", *(f"GET {path}" for path in _PATHS[1:])))
    return _problem(error.status_code, "path", f"{error.detail}. There is {known}.", headers=error.headers)


def _problem(
    status: int, kind: str, message: str, problems: list[dict[str, str]] | None = None, headers: Any = None
) -> Response:
    return _json({"error": {"kind": kind, "message": message, "problems": problems or []}}, status, headers)


def _json(value: Any, status: int = 200, headers: Any = None) -> Response:
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text, status, dict(headers or {}), media_type="application/json")
