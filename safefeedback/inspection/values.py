"""Statistics of observations and actions, accumulated in pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SATURATED = 0.99


@dataclass(frozen=True)
class Values:
    """Statistics of some steps.

    Attributes:
        steps: how many.
        saturated, beyond: steps whose action's size is above 0.99, and above 1, int64 [A].
        actions, observations: lowest and highest value of each dim, float32 [2, A] and [2, O].
    """

    steps: int
    saturated: np.ndarray
    beyond: np.ndarray
    actions: np.ndarray
    observations: np.ndarray

    def plus(self, other: Values) -> Values:
        """The statistics of the steps of both."""
        return Values(
            self.steps + other.steps,
            self.saturated + other.saturated,
            self.beyond + other.beyond,
            _hull(self.actions, other.actions),
            _hull(self.observations, other.observations),
        )


def values_of(observations: np.ndarray, actions: np.ndarray) -> Values:
    """Looks at the steps of [..., O] observations and [..., A] actions."""
    observations, actions = observations.reshape(-1, observations.shape[-1]), actions.reshape(-1, actions.shape[-1])
    size = np.abs(actions)
    return Values(
        len(actions),
        (size > SATURATED).sum(axis=0),
        (size > 1).sum(axis=0),
        np.stack([actions.min(axis=0), actions.max(axis=0)]),
        np.stack([observations.min(axis=0), observations.max(axis=0)]),
    )


def report(values: Values, names: tuple[str, ...] = (), action_names: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """The numbers as JSON-ready values, with what the dims of observations and actions are called where that is known."""
    steps, (low, high) = values.steps, values.observations
    return {
        "actions": {
            "saturated": round(float(values.saturated.mean()) / steps, 6),
            "saturated_by_dim": [round(int(count) / steps, 6) for count in values.saturated],
            "beyond_one": round(float(values.beyond.mean()) / steps, 6),
            "lowest": [float(value) for value in values.actions[0]],
            "highest": [float(value) for value in values.actions[1]],
            **({"names": list(action_names)} if action_names else {}),
        },
        "observations": {
            "dims": len(low),
            "constant_dims": [int(dim) for dim in np.flatnonzero(low == high)],
            "lowest": float(low.min()),
            "highest": float(high.max()),
            **({"names": list(names)} if names else {}),
        },
    }


def _hull(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.stack([np.minimum(one[0], other[0]), np.maximum(one[1], other[1])])
