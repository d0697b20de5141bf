"""What learns from a feature matrix."""

__all__: list[str] = []
