"""Predictive queries: one line that says what is predicted, for whom and when, as the two SQL queries of a task."""

from relselect.queries.explain import explain_query
from relselect.queries.naming import task_name
from relselect.queries.parser import parse_query
from relselect.queries.plan import QueryPlan
from relselect.queries.syntax import PredictiveQuery

__all__ = ["PredictiveQuery", "QueryPlan", "explain_query", "parse_query", "task_name"]
