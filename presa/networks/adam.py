"""Adam over one vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from presa.networks.mlp import Parameters

DECAYS, EPSILON = (0.9, 0.999), 1e-8


class Adam:
    """Adam (arXiv 1412.6980, algorithm 1) over one vector of all parameters, of which `parameters` and `moments` are views.

    Written out because `torch.optim` takes seconds to load and steps tensor by tensor.
    """

    def __init__(self, parameters: Parameters, moments: dict[str, Tensor]) -> None:
        """Copies the parameters, and the moments "first/weight_0" and so on; {} for those before the first step."""
        self.vector, self.first, self.second = (torch.cat([p.flatten() for p in parameters.values()]) for _ in range(3))
        self.spare, self.gradient = torch.empty_like(self.vector), torch.empty_like(self.vector)
        self.parameters = views(self.vector, parameters)
        self.moments = {
            f"{moment}/{name}": view
            for moment in ("first", "second")
            for name, view in views(getattr(self, moment), parameters).items()
        }
        for name, view in self.moments.items():
            view.copy_(moments[name]) if moments else view.zero_()

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float, step: int, decay: float = 0.0) -> None:
        """One step, counted from 1, along the gradients of the parameters in their order; changes parameters and moments.

        `decay` is the share of every parameter that is taken off first (AdamW, arXiv 1711.05101).
        """
        first_scale, second_scale = (1 - share**step for share in DECAYS)
        torch.cat([gradient.flatten() for gradient in gradients], out=self.gradient)
        self.first.lerp_(self.gradient, 1 - DECAYS[0])
        self.second.mul_(DECAYS[1]).addcmul_(self.gradient, self.gradient, value=1 - DECAYS[1])
        if decay:
            self.vector.mul_(1 - decay)
        torch.sqrt(self.second, out=self.spare).mul_(second_scale**-0.5).add_(EPSILON).mul_(first_scale)
        self.vector.addcdiv_(self.first, self.spare, value=-rate)


def views(vector: Tensor, like: Parameters) -> Parameters:
    """Views of a vector with the names and shapes of the parameters."""
    parts = vector.split([value.numel() for value in like.values()])
    return {name: part.view_as(value) for part, (name, value) in zip(parts, like.items(), strict=True)}
