"""A small network as a probe, with a dense Hessian to compare with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.func import functional_call


class SmallProbe:
    """The squared error of a network of two layers on fixed rows; checkpoint k has its weights multiplied by 1 + k / 2."""

    architecture = "small"

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        for weight in self.model.parameters():
            weight.data = torch.randn(weight.shape, generator=generator) * 0.5
        self.x = torch.randn(20, 3, generator=generator)
        self.y = torch.randn(20, 1, generator=generator)

    def parameters(self, checkpoint: int) -> dict[str, torch.Tensor]:
        return {name: weight.detach() * (1 + checkpoint / 2) for name, weight in self.model.named_parameters()} | {
            "steps": torch.tensor([3])
        }

    def loss(self, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        weights = {name: each for name, each in parameters.items() if name != "steps"}
        return (functional_call(self.model, weights, (self.x,)) - self.y).square().mean()

    def hessian(self, checkpoint: int, relative: bool = False) -> torch.Tensor:
        """Return the dense Hessian in float64, in the order of the sorted names."""
        theta = {name: each for name, each in self.parameters(checkpoint).items() if name != "steps"}
        names = [name for name in sorted(theta) if not relative or theta[name].ndim >= 2]
        sizes = [theta[name].numel() for name in names]

        def flat(vector: torch.Tensor) -> torch.Tensor:
            parts = torch.split(vector, sizes)
            moved = {name: part.reshape(theta[name].shape) for name, part in zip(names, parts, strict=True)}
            return self.loss({**theta, **moved})

        start = torch.cat([theta[name].reshape(-1) for name in names])
        dense = torch.autograd.functional.hessian(flat, start).double()
        if relative:
            lengths = torch.cat(
                [theta[name].double().norm(dim=1, keepdim=True).expand(theta[name].shape).reshape(-1) for name in names]
            )
            dense = lengths[:, None] * dense * lengths[None, :]
        return dense
