"""Text columns as features: what a text says about the label, as a number per task row.

`sources` finds the texts of a task row, `scores` learns from training rows what they say. Nothing else of a text than its length
is read elsewhere in feature synthesis.
"""

__all__: list[str] = []
