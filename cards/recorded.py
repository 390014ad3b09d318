"""The best safe recorded return, with which cards/table2 and cards/studies compare."""

from __future__ import annotations

from functools import cache

import numpy as np

from safefeedback import find_task, sources
from safefeedback.types import Episodes


@cache
def recordings(task_name: str) -> Episodes:
    """The shipped recordings of a task, read once."""
    return sources.load("recordings", find_task(task_name))


def best_safe_return(task_name: str, limit: float, among: np.ndarray | None = None) -> float:
    """The highest normalised return of a shipped episode that keeps a cost limit; `among` bool [E] leaves out the others."""
    episodes = recordings(task_name)
    returns, costs = (np.add.reduceat(values, episodes.bounds[:-1]) for values in (episodes.rewards, episodes.costs))
    kept = costs <= limit if among is None else among & (costs <= limit)
    low, high = find_task(task_name).reference_returns or (0.0, 1.0)
    return float((returns[kept].max() - low) / (high - low))
