"""The passes of a training without labels: AdamW under a cosine, the loss on held-out databases, and a state that goes on.

The state is written now and then; a training that was cut off goes on from there, on a CPU to the last bit, because every draw
follows from the seed and the number of the step. What a step computes is said by the classes that inherit.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch

from relselect.events import EpochDone, Notice
from relselect.hashing import mix
from relselect.rdl.training.training_state import StateFile, read_training_state, write_training_state
from relselect.serialization import number_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from relselect.budget import Budget
    from relselect.events import Emit

__all__ = ["HELD_OUT", "Passes"]

#: The largest norm of a gradient, and steps over which the rate rises.
_CLIP, _WARM_UP = 1.0, 20
#: Draws of the masks of held-out rows are the same after every epoch.
HELD_OUT = 1 << 40

Step = TypeVar("Step")


class Passes(ABC, Generic[Step]):
    """The passes of one training; a subclass says what a step is and what its loss is.

    Args:
        model: What is trained.
        groups: The groups of parameters of AdamW, each with its `lr`; they hold every parameter that changes.
        weight_decay: Weight decay of AdamW.
        epochs: Number of passes.
        seed: The one seed.
        storage: Where the state is kept.
        emit: Listener.

    Attributes:
        curve: Per epoch the number, training loss, loss of each held-out database, and seconds.
    """

    #: The name in events, and the seconds between two writings of the state.
    name: str
    save_seconds = 20.0

    def __init__(
        self,
        model: nn.Module,
        groups: Sequence[dict[str, Any]],
        *,
        weight_decay: float,
        epochs: int,
        seed: int,
        storage: StateFile,
        emit: Emit,
    ) -> None:
        self._trained, self._epochs, self._seed = model, epochs, seed
        self.storage, self.emit = storage, emit
        self.curve: list[dict[str, Any]] = []
        self._optimizer = torch.optim.AdamW(groups, weight_decay=weight_decay)
        self._rates = [float(group["lr"]) for group in self._optimizer.param_groups]
        self._planned = epochs * len(self.steps(0))
        self._done, self._into = 0, 0
        self._losses: list[float] = []
        self._spent = 0.0
        self._restore()

    @abstractmethod
    def steps(self, epoch: int) -> Sequence[Step]:
        """Return the steps of an epoch, as many in each."""

    @abstractmethod
    def loss(self, step: Step, draws: int) -> Tensor | None:
        """Return the loss of a step, a scalar; None where there is nothing to learn from.

        Args:
            step: The step.
            draws: Seed of its draws.
        """

    @abstractmethod
    def held_out_losses(self) -> dict[str, float]:
        """Return the loss of each held-out database, under draws that are always the same."""

    def run(self, budget: Budget) -> None:
        """Take all steps that are left.

        Raises:
            BudgetExhausted: The budget ended first; the state is kept.
        """
        if not self.curve:
            self._measure(0, math.nan, 0.0)
        while self.curve[-1]["epoch"] < self._epochs:
            self._epoch(self.curve[-1]["epoch"] + 1, budget)

    def _epoch(self, number: int, budget: Budget) -> None:
        begun, saved = time.monotonic() - self._spent, time.monotonic()
        for step in self.steps(number)[self._into :]:
            try:
                budget.check()
            except Exception:
                self._store()
                raise
            loss = self._step(step)
            if loss is not None:
                self._losses.append(loss)
            self._done, self._into = self._done + 1, self._into + 1
            self._spent = time.monotonic() - begun
            if time.monotonic() - saved > self.save_seconds:
                self._store()
                saved = time.monotonic()
        loss = float(np.mean(self._losses)) if self._losses else math.nan
        self._losses, self._into, self._spent = [], 0, 0.0
        self._measure(number, loss, time.monotonic() - begun)
        self._store()

    def _step(self, step: Step) -> float | None:
        draws = int(mix(self._seed, self._done)[0] >> np.uint64(2))
        torch.manual_seed(draws)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * self._rate()
        self._optimizer.zero_grad()
        self._trained.train()
        loss = self.loss(step, draws)
        if loss is None:
            return None
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._trained.parameters(), _CLIP)
        self._optimizer.step()
        return float(loss.detach())

    def _rate(self) -> float:
        warm = min(1.0, (self._done + 1) / _WARM_UP)
        return warm * 0.5 * (1 + math.cos(math.pi * self._done / max(1, self._planned)))

    @torch.no_grad()
    def _measure(self, epoch: int, loss: float, seconds: float) -> None:
        """Measure the loss on the held-out databases and add it to the curve."""
        self._trained.eval()
        held_out = self.held_out_losses()
        self.curve.append({"epoch": epoch, "loss": loss, "held_out": held_out, "seconds": seconds})
        mean = float(np.mean(list(held_out.values()))) if held_out else math.nan
        self.emit(EpochDone(self.name, 0, epoch, loss, -mean, seconds))
        shown = f"; held out {mean:.4f}" if held_out else ""
        self.emit(Notice(self.name, f"epoch {epoch} of {self._epochs}: loss {loss:.4f}{shown}"))

    def _changing(self) -> dict[str, Tensor]:
        """Return the tensors of the model that the state holds: what is frozen is read from where it came from."""
        frozen = {name for name, each in self._trained.named_parameters() if not each.requires_grad}
        return {name: each for name, each in self._trained.state_dict().items() if name not in frozen}

    def _store(self) -> None:
        tensors = {f"model.{name}": each for name, each in self._changing().items()}
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
        self._trained.load_state_dict({**self._trained.state_dict(), **stored.under("model")})
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
