"""The part of the run record that names what gave no candidate: trials that failed or were pruned, and families without any."""

from __future__ import annotations

from typing_extensions import TypedDict  # pydantic reads the one of the standard library from Python 3.12 on

__all__ = ["FailureRecord", "PrunedRecord", "UnfinishedRecord"]


class FailureRecord(TypedDict):
    """One trial that raised an error."""

    family: str
    number: int
    error: str


class PrunedRecord(TypedDict):
    """One trial whose training was ended on the way; `reason` says at which length and why."""

    family: str
    number: int
    reason: str


class UnfinishedRecord(TypedDict):
    """One family that yielded no candidate, and why."""

    family: str
    why: str
