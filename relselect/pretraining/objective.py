"""The objective: rows are masked, and the network restores the language vectors of masked seed rows from what is around."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from relselect.rdl.network.batch import Batch

__all__ = ["mask_rows", "reconstruction_loss"]


def mask_rows(
    batch: Batch, entity: str, share: float, share_of_seeds: float, generator: Generator
) -> tuple[Batch, Tensor]:
    """Mask rows of a batch wherever they stand in it: a seed row that comes up again in its own tree would give itself away.

    Args:
        batch: b trees over tables whose first text is the sentence, with the mask's vector at position 0.
        entity: The table of the seed rows.
        share: Share of the distinct rows around the seeds that are masked.
        share_of_seeds: Share of the seed rows that are masked.
        generator: The source of the draws.

    Returns:
        The batch, and int64 (k,), the positions of the masked seed rows.
    """
    roots = batch.trees.rows[entity][: len(batch.index)]
    chosen = roots[torch.rand(len(roots), generator=generator) < share_of_seeds]
    nodes, positions = {}, torch.empty(0, dtype=torch.int64)
    for name, part in batch.nodes.items():
        drawn = part.rows[torch.rand(len(part.rows), generator=generator) < share]
        masked = torch.cat([drawn, chosen]) if name == entity else drawn
        sentences = part.table.texts[0]
        code = sentences.code.index_fill(0, masked[masked >= 0], 0)
        nodes[name] = replace(part, table=replace(part.table, texts=(replace(sentences, code=code),)))
        if name == entity:
            positions = torch.nonzero(code[roots] == 0)[:, 0]
    return replace(batch, nodes=nodes), positions


def reconstruction_loss(restored: Tensor, wanted: Tensor, gamma: float, mse_weight: float) -> Tensor:
    """Return the scaled cosine error plus the weighted mean squared error.

    With x the wanted and z the restored vectors it is mean((1 - cos(x, z))^gamma) + mse_weight mean((x - z)^2): the scaled cosine
    error of GraphMAE (Hou et al., KDD 2022) beside the error in length, which a cosine does not see.

    Args:
        restored: (k, width).
        wanted: (k, width).
        gamma: At least 1; greater values give vectors that are nearly right less weight.
        mse_weight: At least 0.

    Example:
        >>> x = torch.eye(2)
        >>> float(reconstruction_loss(x, x, 2.0, 0.7)), float(reconstruction_loss(-x, x, 2.0, 0.5))
        (0.0, 5.0)
    """
    cosine = functional.cosine_similarity(restored, wanted, dim=1)
    scaled = (1 - cosine).clamp(min=0.0).pow(gamma).mean()
    return scaled + mse_weight * functional.mse_loss(restored, wanted)
