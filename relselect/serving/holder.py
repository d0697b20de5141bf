"""Holds the predictor that answers, and replaces it when its bundle is replaced on disk.

The old one answers until the new one is loaded and has predicted once. A bundle that cannot be loaded is refused, and the old one
stays; the reason is kept for `GET /health`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from relselect.errors import BundleError, RelSelectError
from relselect.serving.predictor import ServedPredictor, bundle_signature
from relselect.untrusted import brief

if TYPE_CHECKING:
    from relselect.serving.settings import ServerSettings

__all__ = ["PredictorHolder", "Reload"]

_LOGGER = logging.getLogger("relselect.serving")
#: Attempts at one bundle, and the seconds between them: it may be replaced while it is read.
_ATTEMPTS, _PAUSE = 3, 0.3
#: Seconds after which a refused bundle is tried again: its data may have been out of reach.
_AGAIN = 60.0


@dataclass(frozen=True)
class Reload:
    """The last attempt to replace the predictor.

    Attributes:
        state: "none" before any, then "loading", "done" or "refused".
        when: The moment.
        why: Why the new one was refused.
    """

    state: Literal["none", "loading", "done", "refused"]
    when: datetime
    why: str = ""


class PredictorHolder:
    """Holds the predictor that answers.

    Args:
        settings: What the server was asked for.
        run: Runs a function where predictions are made, and returns when it is done.

    Attributes:
        current: The predictor that answers.
        reload: The last attempt to replace it.
        loads: Numbers of attempts that succeeded and that were refused, the first load left out.

    Raises:
        UserError: The bundle cannot be loaded.
    """

    def __init__(self, settings: ServerSettings, run: Callable[[Callable[[], None]], None]) -> None:
        self._settings, self._run = settings, run
        self._signature = bundle_signature(settings.folder)
        self.current = ServedPredictor.of(settings)
        run(self.current.warm_up)
        self.reload = Reload("none", datetime.now(UTC))
        self.loads = {"done": 0, "refused": 0}
        self._tried = time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="relselect bundle", daemon=True)

    def start(self) -> None:
        """Look for a new bundle from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a load that is going on ends by itself."""
        self._ending.set()

    def _watch(self) -> None:
        while not self._ending.wait(self._settings.watch):
            self.check()

    def check(self) -> None:
        """Look at the bundle once, and replace the predictor where it has changed or its data are due."""
        found = bundle_signature(self._settings.folder)
        since = time.monotonic() - self._tried
        again = self.reload.state == "refused" and since >= _AGAIN
        due = self._settings.reread is not None and since >= self._settings.reread
        if found == self._signature and not again and not due:
            return
        self.reload = Reload("loading", datetime.now(UTC))
        try:
            new = self._loaded()
        except Exception as error:
            if not self._ending.is_set():  # at the end nothing is loaded any more
                self._refuse(error)
        else:
            self.current = new
            self.loads["done"] += 1
            self.reload = Reload("done", datetime.now(UTC))
            _LOGGER.info("bundle %s is loaded", new.name)
        self._tried = time.monotonic()

    def _loaded(self) -> ServedPredictor:
        """Load the bundle and predict once.

        Raises:
            BundleError: It was replaced during each attempt.
            Exception: Whatever the last attempt raised.
        """
        for left in reversed(range(_ATTEMPTS)):
            self._signature = bundle_signature(self._settings.folder)
            try:
                new = ServedPredictor.of(self._settings)
                self._run(new.warm_up)
                if bundle_signature(self._settings.folder) == self._signature:
                    return new
            except Exception:
                if not left:
                    raise
            if self._ending.wait(_PAUSE):
                break
        rule = "was replaced again while it was read"
        raise BundleError("path", str(self._settings.folder), rule, "Replace it once, by Fitted.save")

    def _refuse(self, error: Exception) -> None:
        self.loads["refused"] += 1
        why = brief(error) if isinstance(error, RelSelectError) else f"{type(error).__name__}: {brief(error)}"
        self.reload = Reload("refused", datetime.now(UTC), why)
        _LOGGER.warning(
            "a new bundle is refused, the former one stays: %s", why, exc_info=not isinstance(error, RelSelectError)
        )
