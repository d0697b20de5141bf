"""Databases in memory: tables with keys, time columns, foreign keys and masks, validated together once."""

from relselect.database.database import Database
from relselect.database.key_counts import KeyCounts
from relselect.database.table import ForeignKey, SemanticType, Table

__all__ = ["Database", "ForeignKey", "KeyCounts", "SemanticType", "Table"]
