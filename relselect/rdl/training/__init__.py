"""Training a network: steps, early stopping, the state on disk, the last training, and the loss that flatness is measured on."""

__all__: list[str] = []
