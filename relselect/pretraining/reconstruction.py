"""The network that is pretrained: shared layers over the trees of any database, and a decoder that restores language vectors.

The shared layers are placed in an ordinary relational network per table of seed nodes, as a later network begins with them
(`relselect.rdl.network.shared_layers`); nothing of these networks is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.func import functional_call

from relselect.pretraining.objective import mask_rows, reconstruction_loss
from relselect.rdl.graph.table_encoding import TableEncoding
from relselect.rdl.network.model import Blueprint, RelationalNetwork
from relselect.rdl.network.shared_layers import SharedLayers, placed_weights
from relselect.rdl.network.target import Target
from relselect.rdl.settings import NetworkSettings

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.pretraining.corpus import PretrainingSource
    from relselect.pretraining.plan import PretrainingPlan
    from relselect.rdl.network.batch import Batch

__all__ = ["Reconstruction"]

_NO_TARGET = Target("regression", 1, 0.0, 1.0, False, (0.0,))


class Reconstruction(nn.Module):
    """Shared layers and the decoder: a network with one hidden layer from a root's vector to the standardised language vector.

    Args:
        width: Entries of a language vector.
        plan: Width, layers and the objective.

    Attributes:
        shared: The shared layers, which are what pretraining is for.
    """

    def __init__(self, width: int, plan: PretrainingPlan) -> None:
        super().__init__()
        self.plan = plan
        self.shared = SharedLayers(width, plan.channels, plan.layers)
        self.decoder = nn.Sequential(
            nn.Linear(plan.channels, plan.channels), nn.ReLU(), nn.Linear(plan.channels, width)
        )
        self._frames: dict[tuple[str, str], _Roots] = {}

    def loss(self, source: PretrainingSource, table: str, index: Tensor, draws: int) -> Tensor | None:
        """Return the loss of restoring masked seed rows.

        Args:
            source: The database.
            table: The table of the seed nodes.
            index: int64 (b,), which seed nodes.
            draws: Seed of the masks.

        Returns:
            A scalar; None where the draws masked no seed row.
        """
        plan, at = self.plan, source.statistics[table]
        whole = source.batchers[table].batch(source.seeds[table], index)
        generator = torch.Generator().manual_seed(draws)
        batch, masked = mask_rows(whole, table, plan.mask, plan.mask_seeds, generator)
        if not len(masked):
            return None
        sentences = source.tables[table].texts[0]
        rows = whole.trees.rows[table][masked]
        wanted = (sentences.vectors[sentences.code[rows]].float() - at.mean) / at.spread
        restored = self.decoder(self.roots(source, table, batch)[masked])
        return reconstruction_loss(restored, wanted, plan.gamma, plan.mse_weight)

    def roots(self, source: PretrainingSource, table: str, batch: Batch) -> Tensor:
        """Return the vectors of the roots of a batch, (b, channels)."""
        frame = self._frame(source, table)
        weights = placed_weights(self.shared, frame.network, source.statistics)
        named = {f"network.{name}": value for name, value in weights.items()}
        found: Tensor = functional_call(frame, named, (batch,))
        return found

    def _frame(self, source: PretrainingSource, table: str) -> _Roots:
        """Return the network into which the shared layers are placed, built once; the placed parameters hold no memory."""
        key = (source.name, table)
        if key not in self._frames:
            settings = NetworkSettings(
                channels=self.plan.channels,
                layers=self.plan.layers,
                convolution="sage",
                aggregation="mean",
                dropout=0.0,
                mark=False,
                rows="language",
                level=False,
            )
            blueprint = Blueprint(
                table, source.graph.edge_types, source.encodings, TableEncoding(), _NO_TARGET, settings
            )
            with torch.random.fork_rng(devices=[]):  # when a frame is built must change no draw of a step
                frame = _Roots(RelationalNetwork(blueprint))
            placed = placed_weights(self.shared, frame.network, source.statistics)
            for name, parameter in frame.network.named_parameters():
                if name in placed:
                    parameter.data = torch.empty(0)
            self._frames[key] = frame.requires_grad_(False)
        return self._frames[key].train(self.training)


class _Roots(nn.Module):
    """A relational network of which only the vectors of the roots are asked for."""

    def __init__(self, network: RelationalNetwork) -> None:
        super().__init__()
        self.network, self.channels = network, network.context.out_features

    def forward(self, batch: Batch) -> Tensor:
        """Return (b, channels)."""
        return self.network.embed(batch)[:, : self.channels]
