"""Ensemble of networks that are trained on the same batches from different initial weights; their outputs are averaged.

The members share the sampled trees and use the cores that one small network leaves idle. They share no weights and no gradients.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from relselect.rdl.network.draws import thread_generator
from relselect.rdl.network.model import RelationalNetwork
from relselect.rdl.network.stacked_encoder import StackedEncoder
from relselect.torch_threads import set_threads_here

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.network.batch import Batch
    from relselect.rdl.network.model import Blueprint

__all__ = ["NetworkEnsemble", "ParallelMembers"]

T = TypeVar("T")


class NetworkEnsemble(nn.Module):
    """M networks of one blueprint and different initial weights, with the output f(x) = (1 / M) sum over m of f_m(x).

    The result of a small network depends on its initial weights; averages of independent ones vary less (Lakshminarayanan,
    Pritzel and Blundell, NeurIPS 2017).

    Args:
        blueprint: What to build; `settings.members` is M.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__()
        self.outputs = blueprint.target.outputs
        self.members = nn.ModuleList(RelationalNetwork(blueprint) for _ in range(blueprint.settings.members))
        for part in self.modules():
            if isinstance(part, StackedEncoder):
                part.zero_category_embeddings()

    def forward(self, batch: Batch) -> Tensor:
        """Return the mean outputs of a batch of b task rows, (b, outputs)."""
        return torch.stack([member(batch) for member in self.members]).mean(0)

    def language_parameters(self) -> list[nn.Parameter]:
        """Return the weights of language models that the members train."""
        members = [member for member in self.members if isinstance(member, RelationalNetwork)]
        return [each for member in members for each in member.language_parameters()]


class ParallelMembers:
    """Applies a function to every member: in parallel threads on a CPU with several cores, otherwise one after another.

    On a CPU each member draws from its own generator, so that the result does not depend on the order of the threads.

    Args:
        network: The ensemble.
        device: Its device.
    """

    def __init__(self, network: NetworkEnsemble, device: torch.device) -> None:
        self.members = [member for member in network.members if isinstance(member, RelationalNetwork)]
        self._own_draws = device.type == "cpu"
        # an encoder of another library draws from the global generator, which threads would share
        alike = all(isinstance(encoder, StackedEncoder) for member in self.members for encoder in member.encoders)
        workers = min(len(self.members), torch.get_num_threads()) if self._own_draws and alike else 1
        self._pool = None
        if workers > 1:
            each = max(1, torch.get_num_threads() // workers)
            self._pool = ThreadPoolExecutor(workers, "member", initializer=set_threads_here, initargs=(each,))
            # every thread starts here: a limit that is set later could be read by a thread that starts at that moment
            together = threading.Barrier(workers, timeout=60)
            wait([self._pool.submit(together.wait) for _ in range(workers)])

    def draw_seeds(self, parts: int = 1) -> list[list[int]]:
        """Draw a seed per member for each of some calls of `map`."""
        if not self._own_draws:
            return [[] for _ in range(parts)]
        found: list[list[int]] = torch.randint(2**62, (parts, len(self.members))).tolist()
        return found

    def map(self, work: Callable[[RelationalNetwork], T], seeds: list[int] | None = None) -> list[T]:
        """Return the results of `work` for every member, in the order of the members.

        Args:
            work: What to do with a member.
            seeds: Seeds of the members' draws, see `draw_seeds`; None draws them.
        """
        if not self._own_draws:
            return [work(member) for member in self.members]
        seeds = self.draw_seeds()[0] if seeds is None else seeds

        def with_own_generator(member: RelationalNetwork, seed: int) -> T:
            with thread_generator(seed):
                return work(member)

        if self._pool is not None:
            return list(self._pool.map(with_own_generator, self.members, seeds))
        return [with_own_generator(member, seed) for member, seed in zip(self.members, seeds, strict=True)]
