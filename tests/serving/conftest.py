"""A bundle, data as files, and servers: one within the process, and the command itself."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")

from relselect.serving.app import Service
from relselect.serving.server import GracefulServer
from relselect.serving.settings import ServerSettings
from tests.drift.places import in_sqlite, tables

#: A user of the shop, and a moment after its training.
USER, AT = 3, "1970-10-20"


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return in_sqlite(tmp_path_factory.mktemp("data") / "shop.sqlite", tables())


@pytest.fixture(scope="session")
def saved(trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained("dfs")[0].save(tmp_path_factory.mktemp("served") / "dfs")


class Client:
    """Sends requests to a server, each over a connection of its own."""

    def __init__(self, address: str) -> None:
        self.host, self.port = re.match(r"http://([^:]+):(\d+)", address).groups()  # type: ignore[union-attr]

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, the JSON (or text) of the answer, and its headers."""
        connection = http.client.HTTPConnection(self.host, int(self.port), timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read().decode()
            kind = answer.getheader("content-type", "")
            found = json.loads(text) if kind.startswith("application/json") else text
            return answer.status, found, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def predict(self, value: Any, **headers: str) -> tuple[int, Any, dict[str, str]]:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.ask("POST", "/predict", body, {"Content-Type": "application/json", **headers})


@contextmanager
def serving(settings: ServerSettings) -> Iterator[tuple[Client, Service]]:
    """Serve within the process."""
    addresses: list[str] = []
    opened = threading.Event()

    def announce(address: str) -> None:
        addresses.append(address)
        opened.set()

    service = Service(replace(settings, port=0, drain=0.05))
    server = GracefulServer(service, announce)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert opened.wait(60)
        yield Client(addresses[0]), service
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def command(folder: Path, *words: str) -> Iterator[tuple[Client, subprocess.Popen[str], list[str]]]:
    """Run `relselect serve` as a process; yield a client, the process and what it writes to standard error."""
    process = subprocess.Popen(
        [sys.executable, "-m", "relselect", "serve", str(folder), "--port", "0", "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[str] = []
    address: list[str] = []
    opened = threading.Event()

    def read() -> None:
        for line in process.stderr or ():
            lines.append(line)
            if match := re.search(r" on (http://\S+)", line):
                address.append(match[1])
                opened.set()
        opened.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        assert opened.wait(180)
        assert address, lines
        yield Client(address[0]), process, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        thread.join(10)


@pytest.fixture(scope="module")
def served(saved: Path, place: str) -> Iterator[tuple[Client, Service]]:
    with serving(ServerSettings(saved, database=place, max_rows=50, max_bytes=20_000)) as found:
        yield found
