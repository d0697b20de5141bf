"""Relational deep learning: the database as a graph, sampled in time, read by a graph neural network.

This package is imported lazily: it needs torch and torch-geometric.
"""

from relselect.rdl.family import RDL

__all__ = ["RDL"]
