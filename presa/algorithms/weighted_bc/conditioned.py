"""One policy for every cost limit: the distance of the limit from the one of the labels is an additional input of the policy.

At the labels' own limit that input is 0, so the policy is its plain MLP there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from presa.data.pairs import Data, Examples
from presa.networks.backprop import Backprop
from presa.networks.mlp import Parameters

LIMIT_WEIGHT = "limit_0"  # [H], beside weight_0 [O, H] and bias_0 [H]


def limit_input(limit: float, facts: dict[str, float]) -> float:
    """The network's input for a limit; `facts` as from `limit_facts`."""
    return (limit - facts["shift"]) / facts["scale"]


def limit_facts(data: Data) -> dict[str, float]:
    """Shift and scale of the input: the labels' own limit, and the same or at least 1."""
    return {"shift": data.cost_limit, "scale": max(data.cost_limit, 1.0)}


def limit_examples(data: Data) -> Examples:
    """Every known step once for each limit with its weight there, each limit as often as any other; the last column of the
    observations [K M, O + 1] is the limit's input."""
    steps, facts, inputs, weight = data.steps, limit_facts(data), [], []
    for limit, weights in data.weights_by_limit.items():
        column = steps.observations.new_full((len(steps), 1), limit_input(limit, facts))
        inputs.append(torch.cat([steps.observations, column], -1))
        step_weights = weights.of_steps(steps.episode)
        weight.append(torch.from_numpy(step_weights / step_weights.sum()))
    actions = steps.actions.repeat(len(inputs), 1)
    return Examples(torch.cat(inputs), actions, {}, per_pair=2 * data.length, weight=torch.cat(weight).numpy())


def with_limit_weight(parameters: Parameters) -> Parameters:
    """The same policy with zero weights for the limit's input."""
    return {**parameters, LIMIT_WEIGHT: torch.zeros_like(parameters["bias_0"])}


def describe_limits(data: Data) -> list[dict[str, Any]]:
    """Facts about the episode weights at each limit, JSON-ready."""
    names = ("effective_episodes", "estimated_cost", "estimated_return_rank", "p_safe")
    facts = {limit: weights.facts() for limit, weights in data.weights_by_limit.items()}
    return [{"cost_limit": limit, **{name: described[name] for name in names}} for limit, described in facts.items()]


@dataclass(frozen=True)
class LimitNetwork:
    """The policies of R runs in training, which read a limit in the last column of the observations."""

    policy: Backprop

    @classmethod
    def of(cls, parameters: Parameters, rows: int, dropout: float, precision: str) -> LimitNetwork:
        """As `Backprop`."""
        return cls(Backprop(joined(parameters), rows, dropout, precision))

    def draw(self, generators: Sequence[torch.Generator]) -> None:
        """Draws every run's masks."""
        self.policy.draw(generators)

    def scores(self, parameters: Parameters, observations: Tensor, actions: Tensor) -> Tensor:
        """The log-probability [R, B, ...] of actions [R, B, ..., A], given states and limits [R, B, ..., O + 1]."""
        return self.policy.scores(joined(parameters), observations, actions)


def joined(parameters: Parameters) -> Parameters:
    """The MLP's parameters with the limit as its last input, runs in front: weight_0 is [R, O + 1, H]."""
    rest = {name: value for name, value in parameters.items() if name != LIMIT_WEIGHT}
    return {**rest, "weight_0": torch.cat([rest["weight_0"], parameters[LIMIT_WEIGHT][:, None]], 1)}
