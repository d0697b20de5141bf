"""The network: batches, row encoders, message passing layers, and the ensemble of networks."""

__all__: list[str] = []
