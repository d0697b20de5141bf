"""The passes of the network's pretraining: shuffled batches of the seed nodes of all databases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.pretraining.passes import HELD_OUT, Passes
from relselect.pretraining.reconstruction import Reconstruction
from relselect.torch_threads import one_thread

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.pretraining.corpus import PretrainingSource
    from relselect.pretraining.plan import PretrainingPlan
    from relselect.rdl.training.training_state import StateFile

__all__ = ["Pretraining"]

#: One step: the number of the database, the table, and which seed nodes.
_Step = tuple[int, str, torch.Tensor]


class Pretraining(Passes[_Step]):
    """One pretraining of the network.

    Args:
        plan: How it learns.
        sources: The databases to learn from.
        held_out: Those whose loss is measured.
        width: Entries of a language vector.
        storage: Where the state is kept.
        emit: Listener.

    Attributes:
        model: The network.
        curve: Per epoch the number, training loss, loss of each held-out database, and seconds.
    """

    name = "pretraining"

    def __init__(
        self,
        plan: PretrainingPlan,
        sources: Sequence[PretrainingSource],
        held_out: Sequence[PretrainingSource],
        width: int,
        storage: StateFile,
        emit: Emit,
    ) -> None:
        self.plan, self.sources, self.held_out = plan, sources, held_out
        torch.manual_seed(plan.seed)
        self.model = Reconstruction(width, plan)
        groups = [{"params": list(self.model.parameters()), "lr": plan.learning_rate}]
        super().__init__(
            self.model,
            groups,
            weight_decay=plan.weight_decay,
            epochs=plan.epochs,
            seed=plan.seed,
            storage=storage,
            emit=emit,
        )

    def run(self, budget: Budget) -> None:
        """Take all steps that are left; see `Passes.run`."""
        with one_thread():
            super().run(budget)

    def steps(self, epoch: int) -> list[_Step]:
        """Return the steps of an epoch: the seed nodes of every table shuffled and cut, and the parts shuffled together."""
        draw = np.random.default_rng((self.plan.seed, epoch))
        found: list[_Step] = []
        for place, source in enumerate(self.sources):
            for table in sorted(source.seeds):
                order = torch.from_numpy(draw.permutation(len(source.seeds[table])))
                found += [(place, table, part) for part in torch.split(order, self.plan.batch_size)]
        return [found[each] for each in draw.permutation(len(found))]

    def loss(self, step: _Step, draws: int) -> torch.Tensor | None:
        """Return the loss of a step; None where the draws masked no seed row."""
        source, table, index = step
        return self.model.loss(self.sources[source], table, index, draws)

    def held_out_losses(self) -> dict[str, float]:
        """Return the loss of each held-out database: the mean over the seed nodes of its tables."""
        return {each.name: self._loss_on(each) for each in self.held_out}

    def _loss_on(self, source: PretrainingSource) -> float:
        found = []
        for table in sorted(source.seeds):
            for number, index in enumerate(torch.split(torch.arange(len(source.seeds[table])), self.plan.batch_size)):
                loss = self.model.loss(source, table, index, HELD_OUT + number)
                if loss is not None:
                    found.append((float(loss), len(index)))
        total = sum(count for _, count in found)
        return sum(loss * count for loss, count in found) / total if total else math.nan
