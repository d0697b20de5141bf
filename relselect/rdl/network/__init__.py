"""The network: row encoders, message passing layers, and their ensemble."""

__all__: list[str] = []
