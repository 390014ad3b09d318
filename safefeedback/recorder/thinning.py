"""Choosing episodes evenly over the return-cost plane."""

from __future__ import annotations

import numpy as np


def thin_evenly(returns: np.ndarray, costs: np.ndarray, count: int, rng: np.random.Generator, cells: int = 24) -> np.ndarray:
    """Selects `count` of E episodes that cover the return-cost plane as evenly as possible.

    The plane is cut into cells x cells; cells give up one episode each in turn, in random order, until enough are chosen,
    so a crowded cell fills only what sparse ones leave. The cost axis is cut evenly in its square root: the limits that
    episodes are judged by (10, 20, 40) lie at the safe end of a range that reaches 150 and more.

    Args:
        returns, costs: float [E], each episode's sums; costs are not negative.
        count: how many to keep; all are kept if there are no more than that.
        rng: the draw is a function of it and of the arrays.

    Returns:
        int64 [min(count, E)], rising indices.
    """
    total = len(returns)
    if total <= count:
        return np.arange(total)
    cell = _bin(np.asarray(returns, float), cells) * cells + _bin(np.sqrt(costs), cells)
    order = rng.permutation(total)
    turn = np.empty(total, dtype=np.int64)  # how many of its cell come before this one
    by_cell = order[np.argsort(cell[order], kind="stable")]
    sorted_cells = cell[by_cell]
    first = np.searchsorted(sorted_cells, sorted_cells, side="left")
    turn[by_cell] = np.arange(total) - first
    chosen = order[np.argsort(turn[order], kind="stable")][:count]
    return np.sort(chosen)


def _bin(values: np.ndarray, cells: int) -> np.ndarray:
    low, high = values.min(), values.max()
    if high == low:
        return np.zeros(len(values), dtype=np.int64)
    return np.minimum(((values - low) / (high - low) * cells).astype(np.int64), cells - 1)
