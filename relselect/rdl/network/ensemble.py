"""Several networks as one: trained on the same batches from different starting weights, their outputs averaged.

How a small network ends depends on where it starts; averages of independently started ones spread less (Lakshminarayanan et al.
2017). They share the sampled trees, and use the cores that one small network leaves idle.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from relselect.rdl.network.draws import drawing_from
from relselect.rdl.network.encoders import StackedEncoder
from relselect.rdl.network.model import RelationalNetwork

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.network.model import Blueprint
    from relselect.rdl.sampling.batch import Batch

__all__ = ["Crew", "NetworkEnsemble"]

T = TypeVar("T")


class NetworkEnsemble(nn.Module):
    """Networks of one blueprint and different starting weights.

    Args:
        blueprint: What to build; `settings.members` says how many.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__()
        self.outputs = blueprint.target.outputs
        self.members = nn.ModuleList(RelationalNetwork(blueprint) for _ in range(blueprint.settings.members))
        for part in self.modules():
            if isinstance(part, StackedEncoder):
                part.forget_categories()

    def forward(self, batch: Batch) -> Tensor:
        """Return the mean outputs of a batch of b task rows, (b, outputs)."""
        return torch.stack([member(batch) for member in self.members]).mean(0)


class Crew:
    """Does the same for every member: in threads on a CPU with several cores, one after another elsewhere.

    Each member draws from a generator of its own there, so that the result does not depend on which thread is faster.

    Args:
        network: The members.
        device: Where they are.
    """

    def __init__(self, network: NetworkEnsemble, device: torch.device) -> None:
        self.members = [member for member in network.members if isinstance(member, RelationalNetwork)]
        self._own_draws = device.type == "cpu"
        # an encoder of another library draws from the global generator
        alike = all(isinstance(encoder, StackedEncoder) for member in self.members for encoder in member.encoders)
        workers = min(len(self.members), torch.get_num_threads()) if self._own_draws and alike else 1
        self._pool = None
        if workers > 1:
            each = max(1, torch.get_num_threads() // workers)
            self._pool = ThreadPoolExecutor(workers, "member", initializer=torch.set_num_threads, initargs=(each,))

    def each(self, work: Callable[[RelationalNetwork], T]) -> list[T]:
        """Return what `work` returns for every member, in their order."""
        if not self._own_draws:
            return [work(member) for member in self.members]
        seeds = torch.randint(2**62, (len(self.members),)).tolist()

        def alone(member: RelationalNetwork, seed: int) -> T:
            with drawing_from(seed):
                return work(member)

        run = map if self._pool is None else self._pool.map
        return list(run(alone, self.members, seeds))
