"""A graph network that also reads the features which trees found most useful."""

from relselect.hybrid.family import Hybrid

__all__ = ["Hybrid"]
