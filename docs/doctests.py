"""An extension of griffe, which reads the package for the Python reference: shows the examples of docstrings as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["Doctests"]

_PARAGRAPH = re.compile(r"(?:^|(?<=\n\n))(>>> .*?)(?=\n\n|\Z)", re.DOTALL)


class Doctests(griffe.Extension):
    """Puts paragraphs that begin with the prompt of Python into a block of code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring is not None:
            obj.docstring.value = _PARAGRAPH.sub(r"```pycon\n\1\n```", obj.docstring.value)
