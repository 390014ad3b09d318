"""Target returns of the Constrained Decision Transformer and the ranges of its augmentation, for each task (targets.toml)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from safefeedback.tasks import Task, tasks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Targets:
    """Of one task.

    Attributes:
        returns: the return to ask for at each of the task's cost limits, in their order.
        degree: of the polynomial through the front of highest returns over costs.
        max_return: the highest return that augmentation asks for.
        max_decrease: how much lower than the nearest episode's return that of its replacement may be.
        min_gain: how far above the front, at least, augmentation asks.
    """

    returns: tuple[float, ...]
    degree: int
    max_return: float
    max_decrease: float
    min_gain: float


def find_targets(task: Task, returns: np.ndarray, costs: np.ndarray) -> Targets:
    """DSRL's task's targets as OSRL set them; for any other task, or relabelled episodes, see `from_episodes`.

    Args:
        task: what was recorded.
        returns, costs: [E], of the training episodes.
    """
    known = tasks().get(task.name)
    if known is not None and known.cost_limits == task.cost_limits:
        return _table()[task.name]
    return from_episodes(task, returns, costs)


def from_episodes(task: Task, returns: np.ndarray, costs: np.ndarray, quantile: float = 0.9) -> Targets:
    """Targets taken from the episodes: a high quantile of the returns within each limit (of the cheapest tenth, where no
    episode is within it), and augmentation up to a tenth of the range above the best; our own choice."""
    targets, span = [], max(float(np.ptp(returns)), 1e-6)
    for limit in task.cost_limits:
        within = costs <= max(limit, float(np.quantile(costs, 0.1)))
        targets.append(float(np.quantile(returns[within], quantile)))
    return Targets(tuple(targets), 2, float(returns.max()) + 0.1 * span, 0.2 * span, 0.001 * span)


@cache
def _table() -> dict[str, Targets]:
    with Path(__file__).with_name("targets.toml").open("rb") as file:
        entries = tomllib.load(file)
    return {name: Targets(**{**values, "returns": tuple(values["returns"])}) for name, values in entries.items()}
