"""The database as a heterogeneous temporal graph: a node per row, two relations per foreign key, columns as tensors."""

__all__: list[str] = []
