"""Where tables come from: folders of files, data frames, SQL databases; one module each."""

from __future__ import annotations

__all__: list[str] = []
