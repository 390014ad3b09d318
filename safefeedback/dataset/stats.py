"""Statistics of a dataset, and helpers for shares and quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from safefeedback.types import Feedback

QUARTILES = {"min": 0, "q25": 25, "median": 50, "q75": 75, "max": 100}  # name -> per cent


def statistics(feedback: Feedback, episodes_in_source: int) -> dict[str, Any]:
    """The statistics of a dataset, as JSON-ready values.

    Shares are of the published labels that were answered; None where there is nothing to count.
    """
    safe, preference = feedback.safe, feedback.preference
    decided = preference[~np.isnan(preference) & (preference != 0.5)]
    used = np.unique(feedback.pairs.episode)
    return {
        "pairs": len(feedback),
        "segments_safe": share(safe[~np.isnan(safe)] == 1),
        "pairs_both_safe": share((safe == 1).all(axis=1)),
        "pairs_one_safe": share((safe == 1).sum(axis=1) == 1),
        "pairs_both_unsafe": share((safe == 0).all(axis=1)),
        "preferred_segment_1": share(decided > 0.5),
        "preferred_is_unsafe": share(_preferred(feedback) == 0),
        "ties": int((preference == 0.5).sum()),
        "unanswered_preferences": int(np.isnan(preference).sum()),
        "unanswered_safety": int(np.isnan(safe).sum()),
        "preferences_flipped": int(feedback.preference_flipped.sum()),
        "safety_flipped": int(feedback.safe_flipped.sum()),
        "episodes_used": len(used),
        "episodes_in_source": episodes_in_source,
        "segment_return": quantiles(feedback.returns),
        "segment_cost": quantiles(feedback.costs),
    }


def _preferred(feedback: Feedback) -> np.ndarray:
    """The safety label of each decided pair's preferred segment."""
    decided = ~np.isnan(feedback.preference) & (feedback.preference != 0.5)
    side = (feedback.preference[decided] > 0.5).astype(np.int64)
    return feedback.safe[decided, side]


def share(mask: np.ndarray) -> float | None:
    """The share of a mask that is true; None of an empty one."""
    return round(int(mask.sum()) / mask.size, 6) if mask.size else None


def percent(share: float | None, digits: int = 1) -> str:
    """A share for people to read; "-" where there was nothing to count."""
    return "-" if share is None else f"{100 * share:.{digits}f}%"


def quantiles(values: np.ndarray, parts: dict[str, int] = QUARTILES) -> dict[str, float]:
    """Quantiles by name, each one of the values themselves, and so the same on every machine; `values` must not be empty."""
    ordered = np.sort(values, axis=None)
    return {name: float(ordered[(len(ordered) - 1) * part // 100]) for name, part in parts.items()}
