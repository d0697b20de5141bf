"""Runs the application with uvicorn, and ends it on SIGTERM or Ctrl-C without losing a request that was accepted.

After the signal every answer closes its connection, `GET /health` says "stopping" with status 503, and new connections are still
taken for a moment, because some of them are on their way. Then the port is closed, what was accepted is read and answered, and
the server ends. A second Ctrl-C ends it at once.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from relselect.errors import ConfigError, MissingExtra

try:
    import uvicorn

    from relselect.serving.app import Service, make_app
except ModuleNotFoundError as error:
    if error.name not in ("fastapi", "uvicorn", "starlette"):
        raise
    raise MissingExtra(error.name, "serve") from error

if TYPE_CHECKING:
    from relselect.serving.settings import ServerSettings

__all__ = ["GracefulServer", "serve"]

#: Seconds in which a connection that was accepted last may send its request, and between two looks whether all have.
_LAST_REQUESTS, _LOOK = 2.0, 0.02
#: Seconds that a connection without a request is kept.
_KEEP_ALIVE = 15
#: Bytes of the head of a request at most.
_LARGEST_HEAD = 32_768
#: Connections at most.
_CONNECTIONS = 1000


class GracefulServer(uvicorn.Server):
    """uvicorn's server with an end that loses no request.

    Args:
        service: What is served.
        announce: Called with the address once the port is open.
    """

    def __init__(self, service: Service, announce: Callable[[str], None]) -> None:
        settings = service.settings
        super().__init__(
            uvicorn.Config(
                make_app(service),
                host=settings.host,
                port=settings.port,
                http="h11",
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE,
                h11_max_incomplete_event_size=_LARGEST_HEAD,
                limit_concurrency=_CONNECTIONS,
            )
        )
        self._service, self._announce = service, announce

    async def startup(self, sockets: Any = None) -> None:
        """Open the port and say where it is."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._announce(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    async def shutdown(self, sockets: Any = None) -> None:
        """Answer what was accepted, and close."""
        self._service.stopping = True
        if not self.force_exit:
            await asyncio.sleep(self._service.settings.drain)
            await self._close_port()
            ends = time.monotonic() + _LAST_REQUESTS
            while time.monotonic() < ends and any(each.cycle is None for each in self.server_state.connections):
                await asyncio.sleep(_LOOK)
        await super().shutdown(sockets)

    async def _close_port(self) -> None:
        """Close the port, and take over the connections that the system had made and nobody had accepted yet."""
        loop = asyncio.get_running_loop()
        for server in self.servers:
            ports = [each.dup() for each in server.sockets]  # the port stays open with them
            server.close()
            for port in ports:
                port.setblocking(False)
                made = []
                with suppress(OSError):  # there is none left
                    while True:
                        made.append(port.accept()[0])
                port.close()
                for connection in made:
                    connection.setblocking(False)
                    await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> Any:
        """Return what speaks HTTP on a connection, as uvicorn makes it."""
        protocol: Any = self.config.http_protocol_class
        return protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM and Ctrl-C; unlike uvicorn's own, the signal does not kill the process after the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {name: signal.signal(name, self.handle_exit) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for name, handler in former.items():
                signal.signal(name, handler)


def serve(settings: ServerSettings, announce: Callable[[str], None]) -> Service:
    """Load a bundle and answer requests until a signal ends it; return what was served.

    Args:
        settings: What is served, and where.
        announce: Called with the address once the port is open.

    Raises:
        UserError: The bundle cannot be loaded.
        ConfigError: The port cannot be opened.
    """
    service = Service(settings)
    server = GracefulServer(service, announce)
    try:
        server.run()
    except SystemExit:  # what uvicorn raises where it cannot start; it has logged why
        pass
    finally:
        service.close()
    if not server.started:
        rule = "cannot be opened: it is in use, or not ours"
        raise ConfigError(
            "--port", f"{settings.host}:{settings.port}", rule, "Give another --port, or 0 for any free one"
        )
    return service
