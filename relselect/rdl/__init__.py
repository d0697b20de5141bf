"""Relational deep learning: the database as a graph, sampled in time, read by a graph neural network.

The packages build on each other in this order: `graph` (nodes, edges, column tensors), `sampling` (one tree per task row),
`network` (batches, encoders, message passing), `training`. This package needs torch and torch-geometric and is imported
only where a network is trained or used.
"""

from relselect.rdl.family import RDL

__all__ = ["RDL"]
