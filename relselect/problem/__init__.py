"""A database and a task bound together."""

from relselect.problem.asking import bind_frame
from relselect.problem.problem import LABELS, Problem, Types, check_schema, declarations, told_declarations

__all__ = ["LABELS", "Problem", "Types", "bind_frame", "check_schema", "declarations", "told_declarations"]
