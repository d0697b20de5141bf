"""Training of the network: steps, early stopping, training state on disk, refit, predictions, and the loss for flatness."""

__all__: list[str] = []
