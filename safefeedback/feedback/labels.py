"""Returns and costs of segments, and the labels that follow from them."""

from __future__ import annotations

import numpy as np


def window_sum(values: np.ndarray, rows: np.ndarray, length: int, gamma: float = 1.0) -> np.ndarray:
    """The sum of `length` consecutive values from each row on, added first to last in float64.

    The order of the additions is fixed, so that the result equals a naive loop's to the bit on any machine.

    Args:
        values: [T], one number a step.
        rows: int64 of any shape, the row where each window starts.
        length: L, steps in a window.
        gamma: the value k steps before a window's last counts gamma^k.

    Returns:
        float64 in the shape of `rows`.
    """
    total = np.zeros(rows.shape, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is infinite or NaN, for the caller to see
        for step in range(length):
            total = total * gamma + values[rows + step]
    return total


def prefer_by_return(returns: np.ndarray) -> np.ndarray:
    """The segment with the larger return is preferred, equal returns are a tie (PreSa, section 4, arXiv 2512.20173).

    Args:
        returns: float64 [N, 2].

    Returns:
        float32 [N]: 0.0 or 1.0, the index of the better segment, or 0.5 for a tie.
    """
    first, second = returns[:, 0], returns[:, 1]
    return np.where(first == second, 0.5, second > first).astype(np.float32)


def segment_cost_limit(cost_limit: float, length: int, horizon: int) -> float:
    """The cost limit of a segment: the episode's limit scaled to its length, limit * L / T.

    Args:
        cost_limit: the limit of a whole episode's cost.
        length: L, steps in a segment.
        horizon: T, steps in a full episode.
    """
    return cost_limit * length / horizon


def safe_by_cost(costs: np.ndarray, segment_limit: float) -> np.ndarray:
    """A segment is safe if its cost is at most limit * L / T, inclusive (PreSa, section 5, arXiv 2512.20173).

    Args:
        costs: float64 of any shape, the cost of each segment.
        segment_limit: as from `segment_cost_limit`.

    Returns:
        float32 in the shape of `costs`: 1.0 safe, 0.0 unsafe.
    """
    return (costs <= segment_limit).astype(np.float32)


def one_sided_warning(preference: np.ndarray) -> str | None:
    """A warning about preferences without information, all ties or all in one direction; else None.

    Fewer than eight give no warning: the order within a pair is random, so a few agree by chance.

    Args:
        preference: float32 [N], NaN where unanswered.
    """
    answers = preference[~np.isnan(preference)]
    if len(answers) < 8:
        return None
    if (answers == 0.5).all():
        return f"all {len(answers):,} preferences are ties: there is no better segment to learn from"
    for side, better in (("first", answers < 0.5), ("second", answers > 0.5)):
        if better.all():
            return (
                f"all {len(answers):,} preferences are for the {side} segment, though which comes first is drawn: "
                "is the column what it should be?"
            )
    return None
