"""What a server is asked for: where the predictor and the data are, where it listens, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from relselect.budget import parse_seconds
from relselect.counts import check_count
from relselect.errors import BudgetError, ConfigError

__all__ = ["LOOPBACK", "ServerSettings"]

#: Names of this machine that nobody else can reach.
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class ServerSettings:
    """What a server is asked for.

    Attributes:
        folder: The bundle.
        database: Where the data are; None for where the predictor was trained.
        schema: The schemas to read; None for those of training.
        trust_source: Whether an address that the predictor names is followed.
        host: The address to listen on.
        port: The port; 0 for any free one.
        max_rows: Entities of one request at most.
        max_bytes: Bytes of the body of one request at most.
        max_waiting: Requests that wait or are predicted at one time at most; further ones are refused with status 503.
        timeout: Seconds that one request may take, its reading and its waiting included.
        reread: Seconds after which the data are read again; None for only when a new bundle is loaded.
        watch: Seconds between two looks at the bundle on disk.
        drain: Seconds after the end was asked for in which connections that were made before are still served.
    """

    folder: Path
    database: str | None = None
    schema: tuple[str, ...] | None = None
    trust_source: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    max_rows: int = 1000
    max_bytes: int = 1_000_000
    max_waiting: int = 100
    timeout: float = 30.0
    reread: float | None = None
    watch: float = 1.0
    drain: float = 0.5

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ConfigError: One of them is out of its range.
        """
        for name in ("max_rows", "max_bytes", "max_waiting"):
            check_count(f"--{name.replace('_', '-')}", getattr(self, name))
        if not 0 <= self.port <= 65535:
            raise ConfigError("--port", self.port, "must be from 0 to 65535", "Write e.g. --port 8000")

    @property
    def local(self) -> bool:
        """Whether only programs of this machine can connect."""
        return self.host in LOOPBACK

    @classmethod
    def seconds_of(cls, option: str, text: str) -> float:
        """Return the length of time that an option names, in seconds.

        Raises:
            ConfigError: It is none.
        """
        try:
            return parse_seconds(text)
        except BudgetError as error:
            raise ConfigError(option, error.value, error.rule, error.fix) from error
