"""The policy network as pure functions of a dict of tensors.

A policy is tanh of a multi-layer perceptron with ReLU. Its parameters are `weight_0` [..., in, out], `bias_0`
[..., out], `weight_1` and so on; axes in front, such as one of many runs trained at once, pass through.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor

from safefeedback.randomness import derived_seed

Parameters = dict[str, Tensor]
CHUNK_STEPS = 1 << 12  # steps of segments evaluated in one go outside of training, so that they fit the cache
ACTION_BOUND = 1 - 1e-5  # targets are clipped to +- this, as a tanh reaches no further (CPL, TraC)


def initial_parameters(observation_dim: int, action_dim: int, hidden: tuple[int, ...], seed: int) -> Parameters:
    """Orthogonal weights and zero biases (as CPL and TraC), float32 on the CPU, the same for the same seed."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "initial-parameters"))
    widths = (observation_dim, *hidden, action_dim)
    parameters = {}
    for layer, (wide_in, wide_out) in enumerate(itertools.pairwise(widths)):
        high, low = max(wide_in, wide_out), min(wide_in, wide_out)
        matrix, triangle = torch.linalg.qr(torch.randn(high, low, generator=generator, dtype=torch.float64))
        matrix = matrix * triangle.diagonal().sign()  # uniform over the orthogonal matrices
        parameters[f"weight_{layer}"] = (matrix if wide_in >= wide_out else matrix.T).to(torch.float32).contiguous()
        parameters[f"bias_{layer}"] = torch.zeros(wide_out)
    return parameters


def mean_action(parameters: Parameters, observations: Tensor) -> Tensor:
    """The policy's action in each state; `presa.networks.backprop` has the same with dropout, for training.

    Args:
        parameters: of the policy.
        observations: float32 [..., M, O].

    Returns:
        float32 [..., M, A] in (-1, 1).
    """
    return perceptron(parameters, observations).tanh()


def perceptron(parameters: Parameters, inputs: Tensor) -> Tensor:
    """The last layer's sums [..., M, A] of a multi-layer perceptron with ReLU on inputs [..., M, O]."""
    layers = len(parameters) // 2
    hidden = inputs
    for layer in range(layers):
        bias = parameters[f"bias_{layer}"]
        hidden = torch.matmul(hidden, parameters[f"weight_{layer}"]).add_(bias if bias.ndim == 1 else bias[..., None, :])
        if layer < layers - 1:
            hidden = hidden.relu_()
    return hidden


def log_probability(mean: Tensor, action: Tensor) -> Tensor:
    """-sum over action dims of (pi(s) - a)^2: a Gaussian of fixed variance without its constants (appendix B).

    Args:
        mean, action: [..., A]; actions beyond +-(1 - 1e-5) are clipped to it.

    Returns:
        [...].
    """
    return -(mean - action.clamp(-ACTION_BOUND, ACTION_BOUND)).square().sum(-1)


def fold_normalization(
    parameters: Parameters, shift: Tensor, scale: Tensor, layer: tuple[str, str] = ("weight_0", "bias_0")
) -> Parameters:
    """The same policy for raw observations, given one that was trained on (observation - shift) / scale; both [O].

    `layer` names the weight [O, ...] and the bias that read the observations.
    """
    weight = parameters[layer[0]] / scale[:, None]
    return {**parameters, layer[0]: weight, layer[1]: parameters[layer[1]] - shift @ weight}


def to_numpy(parameters: Parameters) -> dict[str, np.ndarray]:
    """The parameters as arrays on the CPU."""
    return {name: value.detach().cpu().numpy() for name, value in parameters.items()}


@torch.no_grad()
def segment_log_probability(parameters: Parameters, observations: Tensor, actions: Tensor) -> Tensor:
    """log pi of every recorded action, without dropout: [M, ...] of [M, ..., O] and [M, ..., A]."""
    size = max(1, CHUNK_STEPS // max(1, observations[0, ..., 0].numel()))
    pieces = zip(observations.split(size), actions.split(size), strict=True)
    return torch.cat([log_probability(mean_action(parameters, states), act) for states, act in pieces])
