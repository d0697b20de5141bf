"""Feature plans: definitions of features, their descriptions in English, and the choice of a default plan.

No feature values are computed here; see `relselect.dfs.prefix` and `relselect.dfs.sql`.
"""

__all__: list[str] = []
