"""Which features a model reads: matrices of a problem's splits, and the selection among their columns."""

__all__: list[str] = []
