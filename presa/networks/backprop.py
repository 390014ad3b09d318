"""The perceptron in training, that of a policy or of a step model: dropout, and a hand-written gradient.

The same function as `presa.networks.mlp.perceptron` with dropout between the layers, and the gradient that autograd gives
it. This implementation reuses the memory of its activations, derives both the mask and the ReLU's derivative from the
activations in the backward pass, and folds the factor 1 / (1 - dropout) into the weights.

With `precision` "bf16" the factors of every matrix product and the activations are bfloat16; products are summed in float32,
and parameters, the action and the gradients leave as float32. Signs and masks are then tested on the bits as int16, whose
order is that of the numbers as far as it matters here: a CPU takes a quarter of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from presa.networks.dropout import Masks
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


def best_precision(device: str) -> str:
    """The precision that `--precision auto` uses."""
    return "bf16" if has_bf16(device) else "fp32"


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
        self.hidden = [torch.empty(runs, rows, width, dtype=self.kind, device=device) for width in widths]
        self.spare = [torch.empty_like(values) for values in self.hidden]  # a layer's numbers, and later its slope
        self.masks = Masks(runs, rows, widths, dropout, 8 if precision == "bf16" else 16, device)
        self.scale = 1 / (1 - self.masks.dropout)
        # a product with ones is a sum in half the time, but only of bfloat16
        self.ones = torch.ones(runs, 1, rows, dtype=self.kind, device=device) if precision == "bf16" else None

    def draw(self, generators: Sequence[torch.Generator]) -> None:
        """Draws every run's masks."""
        self.masks.draw(generators)

    def kept(self) -> list[Tensor]:
        """Which units the latest masks keep: bool [R, M, H] of each hidden layer."""
        return [numbers > self.masks.limit for numbers in self.masks.numbers]

    def perceptron(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """The last layer's sums [R, M, A] on inputs [R, M, O] under the latest masks; gradients reach the parameters."""
        values = (parameters[f"{kind}_{layer}"] for layer in range(self.layers) for kind in ("weight", "bias"))
        return _Perceptron.apply(self, inputs, *values)  # type: ignore[no-untyped-call]

    def mean_action(self, parameters: Parameters, observations: Tensor) -> Tensor:
        """The policy's action [R, M, A] in each state [R, M, O]."""
        return self.perceptron(parameters, observations).tanh()

    def scores(self, parameters: Parameters, observations: Tensor, actions: Tensor) -> Tensor:
        """The log-probability [R, B, ...] of the actions [R, B, ..., A] in the states [R, B, ..., O]."""
        mean = self.mean_action(parameters, observations.flatten(1, -2))
        return log_probability(mean.view_as(actions), actions)

    def forward(self, observations: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
        """The last layer's sums [R, M, A]; fills `hidden`."""
        below = observations.to(self.kind)
        for layer, (weight, bias, hidden) in enumerate(zip(weights, biases, self.hidden, strict=False)):
            torch.baddbmm(bias[:, None].to(self.kind), below, self._scaled(layer, weight).to(self.kind), out=hidden)
            bits = self._bits(hidden).clamp_(min=0)
            if self.masks.numbers:
                numbers = self.masks.numbers[layer]
                numbers = numbers if bits.dtype == numbers.dtype else self.spare[layer].copy_(numbers)
                threshold(bits, numbers, self.masks.limit, grad_input=bits)
            below = hidden
        last = self._scaled(self.layers - 1, weights[-1]).to(self.kind)
        # narrow outputs are fast only in this order, on a CPU
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
            summed = torch.bmm(self.ones, slope)[:, 0].to(gradient.dtype) if self.ones is not None else slope.sum(-2)
            gradients = [self._scaled(layer, gradient), summed, *gradients]
            if layer:
                slope = torch.bmm(slope, self._scaled(layer, weights[layer]).to(self.kind).mT, out=self.spare[layer - 1])
                bits = self._bits(slope)
                threshold(bits, self._bits(below), 0, grad_input=bits)
        return gradients

    @staticmethod
    def _bits(values: Tensor) -> Tensor:
        """What to compare instead of the values."""
        return values.view(torch.int16) if values.dtype == torch.bfloat16 else values

    def _scaled(self, layer: int, weight: Tensor) -> Tensor:
        """A layer's weight, or its gradient, times the factor that compensates for the units dropped in its input."""
        return weight * self.scale if layer and self.masks.numbers else weight


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
