"""The prefix engine: child rows sorted once by (key, time); every aggregate over a window takes two binary searches."""

__all__: list[str] = []
