"""The database as a heterogeneous temporal graph: one node per row, two edge types per foreign key, columns as tensors."""

__all__: list[str] = []
