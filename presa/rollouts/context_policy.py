"""A trained sequence model as a policy: `presa.algorithms.cdt.transformer` in NumPy, and the context of an episode so far."""

from __future__ import annotations

from typing import Any

import numpy as np

from presa.rollouts.policy_repr import policy_repr

EPSILON = 1e-5  # of layer normalisation, as PyTorch's

Parameters = dict[str, np.ndarray]


class ContextPolicy:
    """Acts by the mean action, given the remaining target return and cost and the last steps.

    The remaining targets are the return and cost of `aim` minus the rewards and costs given to `observe`. If the file holds
    reward and cost models (names "reward_model/...", "cost_model/..."), their predictions are subtracted instead, and
    `observe` has no effect.

    Attributes:
        parameters: by the names of `presa.algorithms.cdt.transformer`.
        facts: what its file says: algorithm, task, cost_limit, seed; context, heads, scale, targets.
    """

    def __repr__(self) -> str:
        return policy_repr(self.facts, f"a transformer over the last {self.facts['context']} steps")

    def __init__(self, parameters: Parameters, facts: dict[str, Any]) -> None:
        self.parameters, self.facts = parameters, facts
        self.models = [_part(parameters, name) for name in ("reward_model", "cost_model")]
        self.aim(facts["cost_limit"])

    def aim(self, cost_limit: float) -> None:
        """Sets the target cost, and the return that belongs to it, from the next reset on; the return is interpolated between
        the known limits, and that of the nearest limit beyond them."""
        costs, returns = zip(*self.facts["targets"], strict=True)
        self.asked = np.array([np.interp(cost_limit, costs, returns), cost_limit], np.float64)
        self.reset(1)

    def reset(self, n: int) -> None:
        """Begins n episodes at once."""
        self.steps = 0
        self.to_go = np.tile(self.asked, (n, 1))
        self.window: list[list[np.ndarray]] = []

    def act(self, observations: np.ndarray) -> np.ndarray:
        """The action of each of n episodes: [n, O] -> float32 [n, A] in [-1, 1]."""
        states = np.asarray(observations, np.float32)
        scaled = (self.to_go * self.facts["scale"]).astype(np.float32)
        nothing = np.zeros((len(states), self.parameters["mean/bias"].shape[0]), np.float32)
        self.window = [*self.window, [scaled[:, :1], scaled[:, 1:], states, nothing]][-self.facts["context"] :]
        first = self.steps - len(self.window) + 1
        action = np.clip(mean_action(self.parameters, self.window, first, self.facts["heads"]), -1, 1)
        self.window[-1][3] = action
        self.steps += 1
        if self.models[0]:
            both = np.concatenate([states, action], 1)
            reward, cost = (step_value(model, both) for model in self.models)
            self.to_go = self.to_go - np.stack([reward, np.logaddexp(0, cost)], 1)  # a cost is its softplus
        return action

    def observe(self, rewards: np.ndarray, costs: np.ndarray) -> None:
        """The rewards and costs of the last step, [n] each."""
        if not self.models[0]:
            self.to_go = self.to_go - np.stack([rewards, costs], 1)


def mean_action(parameters: Parameters, window: list[list[np.ndarray]], first: int, heads: int) -> np.ndarray:
    """The mean action at the last of K steps, float32 [n, A], not clipped.

    Args:
        parameters: by the names of `presa.algorithms.cdt.transformer`.
        window: K steps of return to go [n, 1], cost to go [n, 1], state [n, O] and action [n, A]; the last action is not read.
        first: the timestep of the first of them.
        heads: of the attention.
    """
    table = parameters["timestep"]
    tokens = []
    for k, step in enumerate(window):
        when = table[min(first + k, len(table) - 1)]
        for name, values in zip(("return", "cost", "state", "action"), step, strict=True):
            tokens.append(_linear(parameters, name, values) + when)
    hidden = _norm(parameters, "first", np.stack(tokens[:-1], 1))  # [n, S, W]; the last action is still to come
    n, size, width = hidden.shape
    later = np.triu(np.full((size, size), -np.inf, np.float32), 1)
    layer = 0
    while f"{layer}/feed_in/weight" in parameters:
        mixed = _linear(parameters, f"{layer}/attention_in", _norm(parameters, f"{layer}/norm_1", hidden))
        query, key, value = mixed.reshape(n, size, 3, heads, -1).transpose(2, 0, 3, 1, 4)
        scores = query @ key.swapaxes(-1, -2) / np.float32((width // heads) ** 0.5) + later
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        attended = (weights / weights.sum(-1, keepdims=True)) @ value
        hidden = hidden + _linear(parameters, f"{layer}/attention_out", attended.swapaxes(1, 2).reshape(n, size, width))
        inner = _gelu(_linear(parameters, f"{layer}/feed_in", _norm(parameters, f"{layer}/norm_2", hidden)))
        hidden = hidden + _linear(parameters, f"{layer}/feed_out", inner)
        layer += 1
    return _linear(parameters, "mean", _norm(parameters, "last", hidden[:, -1]))


def step_value(model: Parameters, inputs: np.ndarray) -> np.ndarray:
    """The output of a reward or cost model for n steps [n, O + A]: float64 [n]; see `safe_rlhf.step_models`."""
    hidden, layers = inputs, sum(name.startswith("weight_") for name in model)
    for layer in range(layers):
        hidden = hidden @ model[f"weight_{layer}"] + model[f"bias_{layer}"]
        hidden = np.maximum(hidden, 0) if layer < layers - 1 else hidden
    return hidden[:, 0].astype(np.float64)


def _linear(parameters: Parameters, name: str, values: np.ndarray) -> np.ndarray:
    return values @ parameters[f"{name}/weight"] + parameters[f"{name}/bias"]


def _norm(parameters: Parameters, name: str, values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(-1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(-1, keepdims=True) + np.float32(EPSILON))
    return centred / deviation * parameters[f"{name}/weight"] + parameters[f"{name}/bias"]


def _gelu(values: np.ndarray) -> np.ndarray:
    cubic = np.float32((2 / np.pi) ** 0.5) * (values + np.float32(0.044715) * values**3)
    return np.float32(0.5) * values * (1 + np.tanh(cubic))


def _part(parameters: Parameters, name: str) -> Parameters:
    return {key.partition("/")[2]: value for key, value in parameters.items() if key.startswith(f"{name}/")}
