"""The passes of a pretraining: shuffled batches of all databases, AdamW under a cosine, the loss on held-out databases.

The state is written now and then; a training that was cut off goes on from there, on a CPU to the last bit, because every draw
follows from the seed and the number of the step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from relselect.events import EpochDone, Notice
from relselect.hashing import mix
from relselect.pretraining.reconstruction import Reconstruction
from relselect.rdl.training.training_state import StateFile, read_training_state, write_training_state
from relselect.serialization import number_of
from relselect.torch_threads import one_thread

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.pretraining.corpus import PretrainingSource
    from relselect.pretraining.plan import PretrainingPlan

__all__ = ["Pretraining"]

#: Seconds between two writings of the state, the largest norm of a gradient, and steps over which the rate rises.
_SAVE_SECONDS, _CLIP, _WARM_UP = 20.0, 1.0, 20
#: Draws of the masks of held-out rows are the same after every epoch.
_HELD_OUT = 1 << 40

#: One step: the number of the database, the table, and which seed nodes.
_Step = tuple[int, str, torch.Tensor]


class Pretraining:
    """One pretraining.

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
        self.storage, self.emit = storage, emit
        torch.manual_seed(plan.seed)
        self.model = Reconstruction(width, plan)
        self.curve: list[dict[str, Any]] = []
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        self._planned = plan.epochs * len(self._steps(0))
        self._done, self._into = 0, 0
        self._losses: list[float] = []
        self._spent = 0.0
        self._restore()

    def run(self, budget: Budget) -> None:
        """Take all steps that are left.

        Raises:
            BudgetExhausted: The budget ended first; the state is kept.
        """
        with one_thread():
            if not self.curve:
                self._measure(0, math.nan, 0.0)
            while self.curve[-1]["epoch"] < self.plan.epochs:
                self._epoch(self.curve[-1]["epoch"] + 1, budget)

    def _epoch(self, number: int, budget: Budget) -> None:
        begun, saved = time.monotonic() - self._spent, time.monotonic()
        for source, table, index in self._steps(number)[self._into :]:
            try:
                budget.check()
            except Exception:
                self._store()
                raise
            loss = self._step(self.sources[source], table, index)
            if loss is not None:
                self._losses.append(loss)
            self._done, self._into = self._done + 1, self._into + 1
            self._spent = time.monotonic() - begun
            if time.monotonic() - saved > _SAVE_SECONDS:
                self._store()
                saved = time.monotonic()
        loss = float(np.mean(self._losses)) if self._losses else math.nan
        self._losses, self._into, self._spent = [], 0, 0.0
        self._measure(number, loss, time.monotonic() - begun)
        self._store()

    def _steps(self, epoch: int) -> list[_Step]:
        """Return the steps of an epoch: the seed nodes of every table shuffled and cut, and the parts shuffled together."""
        draw = np.random.default_rng((self.plan.seed, epoch))
        found: list[_Step] = []
        for place, source in enumerate(self.sources):
            for table in sorted(source.seeds):
                order = torch.from_numpy(draw.permutation(len(source.seeds[table])))
                found += [(place, table, part) for part in torch.split(order, self.plan.batch_size)]
        return [found[each] for each in draw.permutation(len(found))]

    def _step(self, source: PretrainingSource, table: str, index: torch.Tensor) -> float | None:
        draws = int(mix(self.plan.seed, self._done)[0] >> np.uint64(2))
        torch.manual_seed(draws)
        for group in self._optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * self._rate()
        self._optimizer.zero_grad()
        loss = self.model.train().loss(source, table, index, draws)
        if loss is None:
            return None
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP)
        self._optimizer.step()
        return float(loss.detach())

    def _rate(self) -> float:
        warm = min(1.0, (self._done + 1) / _WARM_UP)
        return warm * 0.5 * (1 + math.cos(math.pi * self._done / max(1, self._planned)))

    def _measure(self, epoch: int, loss: float, seconds: float) -> None:
        """Measure the loss on the held-out databases and add it to the curve."""
        held_out = {each.name: self._loss_on(each) for each in self.held_out}
        self.curve.append({"epoch": epoch, "loss": loss, "held_out": held_out, "seconds": seconds})
        mean = float(np.mean(list(held_out.values()))) if held_out else math.nan
        self.emit(EpochDone("pretraining", 0, epoch, loss, -mean, seconds))
        shown = f"; held out {mean:.4f}" if held_out else ""
        self.emit(Notice("pretraining", f"epoch {epoch} of {self.plan.epochs}: loss {loss:.4f}{shown}"))

    @torch.no_grad()
    def _loss_on(self, source: PretrainingSource) -> float:
        """Return the mean loss over the tables of a database, under draws that are always the same."""
        model, found = self.model.eval(), []
        for table in sorted(source.seeds):
            for number, index in enumerate(torch.split(torch.arange(len(source.seeds[table])), self.plan.batch_size)):
                loss = model.loss(source, table, index, _HELD_OUT + number)
                if loss is not None:
                    found.append((float(loss), len(index)))
        total = sum(count for _, count in found)
        return sum(loss * count for loss, count in found) / total if total else math.nan

    def _store(self) -> None:
        tensors = {f"model.{name}": each for name, each in self.model.state_dict().items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": each for name, each in moments.items()}
        facts = {
            "curve": self.curve,
            "done": self._done,
            "into": self._into,
            "losses": self._losses,
            "spent": self._spent,
        }
        write_training_state(self.storage.path, self.storage.identity, facts, tensors)

    def _restore(self) -> None:
        stored = read_training_state(self.storage.path, self.storage.identity)
        if stored is None:
            return
        self.model.load_state_dict(stored.under("model"))
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in stored.under("optimizer").items():
            number, what = name.split(".")
            moments.setdefault(int(number), {})[what] = tensor
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self.curve = [_point_of(each) for each in stored.facts["curve"]]
        self._losses = [number_of(each) for each in stored.facts["losses"]]
        self._done, self._into, self._spent = (stored.facts[name] for name in ("done", "into", "spent"))


def _point_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point of the curve as it was before it was stored: losses that are undefined are NaN."""
    held_out = {name: number_of(value) for name, value in stored["held_out"].items()}
    return {**stored, "loss": number_of(stored["loss"]), "held_out": held_out}
