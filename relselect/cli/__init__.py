"""The command line."""

from relselect.cli.main import main

__all__ = ["main"]
