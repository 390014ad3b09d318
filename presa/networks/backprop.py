"""The policy network in training: dropout, and a hand-written gradient.

The same function as `presa.networks.mlp.mean_action` with dropout between the layers, and the gradient that autograd gives
it. This implementation reuses the memory of its activations, draws all masks from one stream of raw words, derives both the
mask and the ReLU's derivative from the activations in the backward pass, and folds the factor 1 / (1 - dropout) into the
weights.

With `precision` "bf16" the factors of every matrix product and the activations are bfloat16; products are summed in float32,
and parameters, the action and the gradients leave as float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from presa.networks.mlp import Parameters, log_probability
from safefeedback.errors import InputError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
threshold = torch.ops.aten.threshold_backward.grad_input  # (values, by, limit): values where by > limit, else 0


def has_bf16(device: str) -> bool:
    """Whether the device has matrix products of bfloat16 in hardware."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported()
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16", False))


def require_precision(precision: str, device: str) -> None:
    """Raises InputError if the device has no matrix products of that precision in hardware."""
    if precision != "fp32" and not has_bf16(device):
        raise InputError(f"precision {precision}: {device} has no matrix products of bfloat16 here; leave it at fp32")


class Backprop:
    """The network of R runs at once, on M states each. It keeps the activations of the last forward pass."""

    def __init__(self, parameters: Parameters, rows: int, dropout: float, precision: str = "fp32") -> None:
        """`parameters` are stacked, weight_0 [R, O, H] and so on; rows is M; dropout the share of hidden units dropped."""
        self.kind = PRECISIONS[precision]
        self.layers = len(parameters) // 2
        weights = [parameters[f"weight_{layer}"] for layer in range(self.layers)]
        runs, device = len(weights[0]), weights[0].device
        widths = [weight.shape[-1] for weight in weights[:-1]]
        self.scale = 1 / (1 - dropout)
        limit = round(dropout * 65536) - 32768 - 0.5  # the unit stays if its number, in -32768..32767, is above
        self.limit = float(torch.tensor(limit, dtype=self.kind))
        self.hidden = [torch.empty(runs, rows, width, dtype=self.kind, device=device) for width in widths]
        self.spare = [torch.empty_like(values) for values in self.hidden]  # a layer's numbers, and later its slope
        units = [rows * width for width in widths]
        self.words = torch.empty(runs, (sum(units) + 3) // 4, dtype=torch.int64, device=device) if dropout > 0 else None
        self.numbers: list[Tensor] = []
        if self.words is not None:
            cut = self.words.view(torch.int16)[:, : sum(units)].split(units, 1)
            self.numbers = [part.unflatten(1, (rows, width)) for part, width in zip(cut, widths, strict=True)]

    def draw(self, generators: Sequence[torch.Generator]) -> None:
        """Draws every run's masks from its generator: a hidden unit is dropped with its probability, to 1/65536 (bf16: 1/512).

        Four units' numbers are cut from each 64-bit word: `bernoulli_` takes seven times as long on a CPU.
        """
        if self.words is not None:
            for words, generator in zip(self.words, generators, strict=True):
                words.random_(-(2**63), None, generator=generator)

    def kept(self) -> list[Tensor]:
        """Which units the masks drawn last keep: bool [R, M, H] of each hidden layer."""
        return [number.to(self.kind) > self.limit for number in self.numbers]

    def mean_action(self, parameters: Parameters, observations: Tensor) -> Tensor:
        """The policy's action [R, M, A] in each state [R, M, O] under the masks drawn last; gradients reach the parameters."""
        values = (parameters[f"{kind}_{layer}"] for layer in range(self.layers) for kind in ("weight", "bias"))
        return _Perceptron.apply(self, observations, *values).tanh()  # type: ignore[no-untyped-call]

    def scores(self, parameters: Parameters, observations: Tensor, actions: Tensor) -> Tensor:
        """The log-probability [R, B, ...] of the actions [R, B, ..., A] in the states [R, B, ..., O]."""
        mean = self.mean_action(parameters, observations.flatten(1, -2))
        return log_probability(mean.view_as(actions), actions)

    def forward(self, observations: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
        """The last layer's sums [R, M, A]; fills `hidden`."""
        below = observations.to(self.kind)
        for layer, (weight, bias, hidden) in enumerate(zip(weights, biases, self.hidden, strict=False)):
            torch.baddbmm(bias[:, None].to(self.kind), below, self._scaled(layer, weight).to(self.kind), out=hidden)
            hidden.relu_()
            if self.numbers:
                threshold(hidden, self.spare[layer].copy_(self.numbers[layer]), self.limit, grad_input=hidden)
            below = hidden
        last = self._scaled(self.layers - 1, weights[-1]).to(self.kind)
        # narrow outputs are quick only this way round, on a CPU
        return torch.bmm(last.mT.contiguous(), below.mT).mT.to(biases[-1].dtype) + biases[-1][:, None]

    def backward(self, slope: Tensor, observations: Tensor, weights: Sequence[Tensor]) -> list[Tensor]:
        """The gradients of weight_0, bias_0, weight_1, ..., given that of the last layer's sums, [R, M, A]."""
        gradients: list[Tensor] = []
        slope = slope.to(self.kind)
        for layer in reversed(range(self.layers)):
            below = self.hidden[layer - 1] if layer else observations.to(self.kind)
            narrow = slope.shape[-1] < below.shape[-1]
            gradient = torch.bmm(slope.mT, below).mT if narrow else torch.bmm(below.mT, slope)
            gradient = gradient.to(weights[layer].dtype)
            gradients = [self._scaled(layer, gradient), slope.sum(-2, dtype=gradient.dtype), *gradients]
            if layer:
                slope = torch.bmm(slope, self._scaled(layer, weights[layer]).to(self.kind).mT, out=self.spare[layer - 1])
                threshold(slope, below, 0.0, grad_input=slope)
        return gradients

    def _scaled(self, layer: int, weight: Tensor) -> Tensor:
        """A layer's weight, or its gradient, times the factor that compensates for the units dropped in its input."""
        return weight * self.scale if layer and self.numbers else weight


class _Perceptron(torch.autograd.Function):
    """Connects `Backprop` to autograd."""

    @staticmethod
    def forward(ctx: Any, network: Backprop, observations: Tensor, *parameters: Tensor) -> Tensor:
        ctx.network = network
        ctx.save_for_backward(observations, *parameters[::2])
        return network.forward(observations, parameters[::2], parameters[1::2])

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        observations, *weights = ctx.saved_tensors
        return None, None, *ctx.network.backward(slope, observations, weights)
