"""Which features: their definitions, their English, and the plans made of them. Nothing here computes values."""

__all__: list[str] = []
