"""Numbers about the recorded steps that the segments cover, and about their safety at several cost limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from safefeedback.dataset.stats import share
from safefeedback.feedback.labels import safe_by_cost, segment_cost_limit


def coverage(episode: np.ndarray, in_source: int | None) -> dict[str, Any]:
    """How many episodes were used, and how many segments come from each of those; `episode` is int64 [N, 2]."""
    uses = np.sort(np.unique(episode, return_counts=True)[1])
    return {
        "in_source": in_source,
        "used": len(uses),
        "segments_per_episode": {
            "min": int(uses[0]),
            "median": int(uses[(len(uses) - 1) // 2]),
            "max": int(uses[-1]),
        }
        if len(uses)
        else None,
    }


def repetition(episode: np.ndarray, start: np.ndarray, length: int) -> dict[str, Any]:
    """How often the same recorded steps are shown.

    Args:
        episode, start: int64 [N, 2].
        length: L, steps in a segment.

    Returns:
        segments: 2N. distinct_windows: how many of them differ. most_used: segments that show the most frequent window.
        overlapping: share of the distinct windows that share a step with another one. distinct_steps: recorded steps shown.
    """
    order = np.lexsort((start.ravel(), episode.ravel()))
    episodes, starts = episode.ravel()[order], start.ravel()[order]
    if not len(starts):
        return {"segments": 0, "distinct_windows": 0, "most_used": 0, "overlapping": None, "distinct_steps": 0}
    first = np.r_[True, (np.diff(episodes) != 0) | (np.diff(starts) != 0)]
    counts = np.diff(np.r_[np.flatnonzero(first), len(first)])
    episodes, starts = episodes[first], starts[first]
    gap = np.where(np.diff(episodes) == 0, np.diff(starts), length)
    touches = gap < length
    return {
        "segments": int(episode.size),
        "distinct_windows": len(starts),
        "most_used": int(counts.max()),
        "overlapping": share(np.r_[touches, False] | np.r_[False, touches]),
        "distinct_steps": int(np.minimum(gap, length).sum()) + length,
    }


def limits_around(cost_limits: Sequence[float], own: float | None) -> list[float]:
    """The limits to look at: the task's, half and double of the outermost, none at all, and the dataset's own."""
    limits = {0.0, cost_limits[0] / 2, *cost_limits, 2 * cost_limits[-1]}
    return sorted(limits | ({own} if own is not None else set()))


def safe_per_limit(costs: np.ndarray, length: int, horizon: int, limits: Sequence[float]) -> list[dict[str, Any]]:
    """The share of segments whose cost keeps within each episode limit; `costs` of any shape."""
    return [
        {
            "cost_limit": float(limit),
            "segment_cost_limit": segment_cost_limit(limit, length, horizon),
            "segments_safe": share(safe_by_cost(costs, segment_cost_limit(limit, length, horizon)) == 1),
        }
        for limit in limits
    ]
