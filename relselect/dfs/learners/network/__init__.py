"""A tabular network: encoding of features, the network, its training, its files."""

__all__: list[str] = []
