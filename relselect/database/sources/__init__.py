"""Sources of tables: folders of files, data frames, SQL databases; one module each.

`open.py` chooses the source of an address, `reading.py` reads it; none of them builds or validates a `Database`.
"""

from __future__ import annotations

__all__: list[str] = []
