"""The Constrained Decision Transformer as pure functions of a dict of parameters, on PyTorch's own attention.

Four tokens a step - return to go, cost to go, state, action - pass a causal pre-norm transformer (CDT, arXiv 2302.07351). The
action of a step is read at its state token, which sees nothing later; whether a step costs is read at its action token.

Weights are [in, out]. Attention weights are not dropped, unlike in OSRL: PyTorch draws that mask from a global generator,
which a run that was interrupted could not repeat.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

from presa.networks.mlp import Parameters
from safefeedback.randomness import derived_seed

TOKENS = 4  # a step: return, cost, state, action
LOG_DEVIATION = (-5.0, 2.0)  # bounds of the Gaussian's log standard deviation


@dataclass(frozen=True)
class Prediction:
    """What is predicted at each of K steps.

    Attributes:
        mean, log_deviation: [B, K, A], of the action; not bounded, and within LOG_DEVIATION.
        cost: [B, K], the logit that the step costs.
    """

    mean: Tensor
    log_deviation: Tensor
    cost: Tensor


def initial_transformer(
    observation_dim: int, action_dim: int, width: int, layers: int, timesteps: int, seed: int
) -> Parameters:
    """Weights from a normal of deviation 0.02, biases 0 (as OSRL), float32 on the CPU, the same for the same seed."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "initial-parameters"))
    sizes = {"return": (1, width), "cost": (1, width), "state": (observation_dim, width), "action": (action_dim, width)}
    for layer in range(layers):
        sizes |= {f"{layer}/attention_in": (width, 3 * width), f"{layer}/attention_out": (width, width)}
        sizes |= {f"{layer}/feed_in": (width, 4 * width), f"{layer}/feed_out": (4 * width, width)}
    sizes |= {"mean": (width, action_dim), "log_deviation": (width, action_dim), "step_cost": (width, 1)}
    parameters = {"timestep": 0.02 * torch.randn(timesteps, width, generator=generator)}
    for name, size in sizes.items():
        parameters[f"{name}/weight"] = 0.02 * torch.randn(size, generator=generator)
        parameters[f"{name}/bias"] = torch.zeros(size[1])
    for norm in ("first", "last", *(f"{layer}/{part}" for layer in range(layers) for part in ("norm_1", "norm_2"))):
        parameters[f"{norm}/weight"], parameters[f"{norm}/bias"] = torch.ones(width), torch.zeros(width)
    return parameters


def predict(
    parameters: Parameters,
    returns: Tensor,
    costs: Tensor,
    observations: Tensor,
    actions: Tensor,
    timesteps: Tensor,
    valid: Tensor,
    heads: int,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Prediction:
    """The predictions at every step of B windows.

    Args:
        parameters: as of `initial_transformer`.
        returns, costs: float32 [B, K], to go, scaled.
        observations, actions: float32 [B, K, O] and [B, K, A].
        timesteps: int64 [B, K]; those beyond the table are taken as its last.
        valid: bool [B, K]; padded steps, on the left, are masked, and their predictions are meaningless.
        heads: of the attention.
        dropout: share of the embeddings and of each layer's outputs dropped in training.
        generator: where that is drawn from.
    """

    def linear(name: str, values: Tensor) -> Tensor:
        return torch.addmm(
            parameters[f"{name}/bias"], values.flatten(0, -2), parameters[f"{name}/weight"]
        ).view(*values.shape[:-1], -1)  # fmt: skip

    def norm(name: str, values: Tensor) -> Tensor:
        return layer_norm(values, values.shape[-1:], parameters[f"{name}/weight"], parameters[f"{name}/bias"])

    def drop(values: Tensor) -> Tensor:
        if dropout == 0:
            return values
        return values * (keep_mask(values.shape, dropout, generator, values.device) / (1 - dropout))

    batch, steps = valid.shape
    table = parameters["timestep"]
    when = table[timesteps.clamp(max=len(table) - 1)]
    inputs = {"return": returns[..., None], "cost": costs[..., None], "state": observations, "action": actions}
    tokens = torch.stack([linear(name, values) + when for name, values in inputs.items()], 2).flatten(1, 2)
    mask = attention_mask(valid)
    width = tokens.shape[-1]
    hidden = drop(norm("first", tokens))
    for layer in range(sum(name.endswith("/feed_in/weight") for name in parameters)):
        mixed = linear(f"{layer}/attention_in", norm(f"{layer}/norm_1", hidden))
        query, key, value = mixed.view(batch, TOKENS * steps, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=mask)
        hidden = hidden + drop(linear(f"{layer}/attention_out", attended.transpose(1, 2).flatten(2)))
        inner = gelu(linear(f"{layer}/feed_in", norm(f"{layer}/norm_2", hidden)), approximate="tanh")
        hidden = hidden + drop(linear(f"{layer}/feed_out", inner))
    features = norm("last", hidden).view(batch, steps, TOKENS, width)
    at_state, at_action = features[:, :, 2], features[:, :, 3]
    low, high = LOG_DEVIATION
    log_deviation = low + (high - low) / 2 * (linear("log_deviation", at_state).tanh() + 1)
    return Prediction(linear("mean", at_state), log_deviation, linear("step_cost", at_action)[..., 0])


def attention_mask(valid: Tensor) -> Tensor:
    """The attention mask: bool [B, 1, 4 K, 4 K] of bool [B, K].

    A token attends to itself and to earlier tokens that are not padding; padding attends to itself, since a row must not be
    empty.
    """
    size = TOKENS * valid.shape[1]
    past = torch.ones(size, size, dtype=torch.bool, device=valid.device).tril()
    itself = torch.eye(size, dtype=torch.bool, device=valid.device)
    return past & (valid.repeat_interleave(TOKENS, 1)[:, None, None] | itself)


def keep_mask(shape: torch.Size, dropout: float, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """True where a unit stays, independently with probability 1 - dropout (to 1/65536); bool [shape].

    Four masks' numbers are cut from one 64-bit draw, which takes a fifth of the time of `bernoulli_` on a CPU.
    """
    count = shape.numel()
    words = torch.empty((count + 3) // 4, dtype=torch.int64, device=device).random_(-(2**63), None, generator=generator)
    return (words.view(torch.int16)[:count] >= round(dropout * 65536) - 32768).view(shape)
