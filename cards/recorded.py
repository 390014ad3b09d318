"""The best safe recorded return, with which cards/table2 and cards/studies compare."""

from __future__ import annotations

import numpy as np

from safefeedback import find_task, sources


def best_safe_return(task_name: str, limit: float, among: np.ndarray | None = None) -> float:
    """The highest normalised return of a shipped episode that keeps a cost limit; `among` bool [E] leaves out the others."""
    task = find_task(task_name)
    episodes = sources.load("recordings", task)
    returns, costs = (np.add.reduceat(values, episodes.bounds[:-1]) for values in (episodes.rewards, episodes.costs))
    kept = costs <= limit if among is None else among & (costs <= limit)
    low, high = task.reference_returns or (0.0, 1.0)
    return float((returns[kept].max() - low) / (high - low))
