"""AdamW in PyTorch's fused kernel, with groups of weights that have learning rates of their own.

`torch.optim.AdamW(fused=True)` calls the same kernel and gives the same bits, but every optimiser of `torch.optim` imports
PyTorch's compiler when it is made, hundreds of modules that no training on a CPU needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

__all__ = ["AdamW"]

#: What the first step makes for each weight: the steps it took, the running means of its gradient and of its square.
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019, algorithm 2).

    For a gradient g at step t, m = b1 m + (1 - b1) g and v = b2 v + (1 - b2) g^2, element by element; then
    w = (1 - lr decay) w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).

    Args:
        groups: Each holds "params", its weights, and may hold anything else, which is kept.
        lr: Learning rate of groups that have no "lr".
        weight_decay: The decay of all groups.
        betas: b1 and b2.
        eps: Added to the denominator.

    Attributes:
        param_groups: The groups; "lr" may be changed between steps.

    >>> weight = torch.ones(1, requires_grad=True)
    >>> optimizer = AdamW([{"params": [weight]}], lr=0.1, weight_decay=0.0)
    >>> (2 * weight).sum().backward()
    >>> optimizer.step()
    >>> weight
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        groups: Sequence[Mapping[str, Any]],
        *,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.param_groups: list[dict[str, Any]] = [
            {"lr": lr, **each, "params": list(each["params"])} for each in groups
        ]
        self._weight_decay, self._betas, self._eps = weight_decay, betas, eps
        self._weights: list[Tensor] = [weight for group in self.param_groups for weight in group["params"]]
        self._number = {id(weight): number for number, weight in enumerate(self._weights)}
        self._moments: dict[int, dict[str, Tensor]] = {}

    @property
    def moments(self) -> Mapping[int, Mapping[str, Tensor]]:
        """The state of each weight that has had a gradient, by its number in the order of the groups."""
        return self._moments

    def restore(self, moments: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Take up the moments of an earlier optimiser of the same groups; they are copied to the device of each weight."""
        self._moments = {
            number: {name: each[name].to(self._weights[number].device, torch.float32, copy=True) for name in _MOMENTS}
            for number, each in moments.items()
        }

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change every weight that has a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            states = [self._state(weight) for weight in weights]
            steps, means, squares = ([state[name] for state in states] for name in _MOMENTS)
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                weights,
                [weight.grad for weight in weights],
                means,
                squares,
                [],
                steps,
                amsgrad=False,
                lr=group["lr"],
                beta1=self._betas[0],
                beta2=self._betas[1],
                weight_decay=self._weight_decay,
                eps=self._eps,
                maximize=False,
            )

    def _state(self, weight: Tensor) -> dict[str, Tensor]:
        number = self._number[id(weight)]
        if number not in self._moments:
            self._moments[number] = {
                "step": torch.zeros((), dtype=torch.float32, device=weight.device),
                "exp_avg": torch.zeros_like(weight, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(weight, memory_format=torch.preserve_format),
            }
        return self._moments[number]
