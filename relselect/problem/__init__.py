"""A database and a task bound together: visibility, label history, schema compatibility, the artefact cache."""

from relselect.problem.cache import ArtefactCache
from relselect.problem.compatibility import Types, check_schema, declarations
from relselect.problem.frames import bind_frame
from relselect.problem.history import LABELS
from relselect.problem.problem import Problem

__all__ = [
    "LABELS",
    "ArtefactCache",
    "Problem",
    "Types",
    "bind_frame",
    "check_schema",
    "declarations",
]
