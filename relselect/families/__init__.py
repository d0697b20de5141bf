"""Families of models: the protocol that each follows, what a fit returns, and the registry of them all."""

__all__: list[str] = []
