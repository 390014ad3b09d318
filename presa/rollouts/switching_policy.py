"""Two policies and the critics that choose between them at each step (CAPS, arXiv 2412.18946), in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from presa.rollouts.policy_repr import policy_repr

NETWORKS = (
    "reward-value", "cost-value", "reward-critic-0", "reward-critic-1", "cost-critic-0", "cost-critic-1",
    "reward-policy", "cost-policy",
)  # fmt: skip
VALUES, POLICIES = 2, 6  # where the critics begin, which alone read actions, and where the policies do


class SwitchingPolicy:
    """Acts by the one of two policies that earns more among those whose expected cost is within what is left of the limit.

    What is left is the limit minus the costs given to `observe`, as if spread evenly over the steps that are left. The first
    of an episode's policies is that for reward, the second that for low cost.

    Attributes:
        parameters: weight_0 [8, O, H], bias_0 [8, H], action_0 [8, A, H], weight_1 and so on; networks as in NETWORKS.
        facts: what its file says: algorithm, task, cost_limit, seed, and "switching" with discount and allowed_cost.
    """

    def __init__(self, parameters: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        self.parameters, self.facts = parameters, facts
        self.aim(facts["cost_limit"])

    def __repr__(self) -> str:
        return policy_repr(self.facts, f"one of two tanh MLPs, chosen by critics for cost limit {self.limit:g}")

    def aim(self, cost_limit: float) -> None:
        """Sets the cost limit from the next reset on."""
        self.limit = cost_limit
        self.reset(1)

    def reset(self, n: int) -> None:
        """Begins n episodes at once."""
        self.step, self.left = 0, np.full(n, self.limit, np.float64)

    def observe(self, rewards: np.ndarray, costs: np.ndarray) -> None:
        """Takes the last step's costs [n] from what is left."""
        self.left = self.left - costs

    def act(self, observations: np.ndarray) -> np.ndarray:
        """The action of each of n episodes: [n, O] -> float32 [n, A] in [-1, 1]."""
        seen = np.asarray(observations, np.float32)
        actions = np.tanh(self._outputs(slice(POLICIES, None), seen[None], None))
        critics = [self._outputs(slice(VALUES, POLICIES), seen[None], one[None])[..., 0] for one in actions]
        twins = np.stack(critics).reshape(2, 2, 2, len(seen)).min(2)  # [policy, kind, n]
        steps_left = max(self.facts["task"]["horizon"] - self.step, 1)
        share = allowed(self.left / self.facts["switching"]["allowed_cost"], steps_left, self.facts["switching"]["discount"])
        chosen = choose_policy(twins[:, 0], -twins[:, 1], share)
        self.step += 1
        return actions[chosen, np.arange(len(seen))].astype(np.float32)

    def _outputs(self, which: slice, observations: np.ndarray, actions: np.ndarray | None) -> np.ndarray:
        """The last layers' sums [K, n, A] of some networks, of states [1, n, O] and of actions [1, n, A] if they read them."""
        of = {name: value[which] for name, value in self.parameters.items()}
        hidden, layers = observations @ of["weight_0"] + of["bias_0"][:, None], (len(of) - 1) // 2
        if actions is not None:
            hidden = hidden + actions @ of["action_0"]
        for layer in range(1, layers):
            hidden = np.maximum(hidden, 0) @ of[f"weight_{layer}"] + of[f"bias_{layer}"][:, None]
        return hidden


def allowed(left: np.ndarray, steps: int, discount: float) -> np.ndarray:
    """The mean cost up to which a policy may act, [n]: what is left of the limit [n] spread evenly over that many steps, and
    discounted like the critics' means (CAPS, its budget times 1 - discount)."""
    share: np.ndarray = np.maximum(left, 0.0) * (1 - discount**steps) / steps
    return share


def choose_policy(returns: np.ndarray, costs: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Which policy acts in each of n episodes, int64 [n]: the one with the highest return [K, n] of those whose cost [K, n] is
    at most the share [n]; where none is, the one with the lowest cost."""
    within = costs <= share
    best = np.where(within, returns, -np.inf).argmax(0)
    return np.where(within.any(0), best, costs.argmin(0))
