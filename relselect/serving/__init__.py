"""`relselect serve`: predictions of a saved predictor over HTTP; needs the extra `serve`."""

from __future__ import annotations

from relselect.serving.settings import ServerSettings

__all__ = ["ServerSettings"]
