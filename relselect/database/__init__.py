"""Tables, keys and time: what relselect reads, validated once."""

from relselect.database.database import Database, KeyCounts
from relselect.database.table import ForeignKey, SemanticType, Table

__all__ = ["Database", "ForeignKey", "KeyCounts", "SemanticType", "Table"]
