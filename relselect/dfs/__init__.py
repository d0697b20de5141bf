"""Deep feature synthesis: a plan of features, the prefix engine that computes them, and the trees that read them."""

from relselect.dfs.family import DFS

__all__ = ["DFS"]
