"""Numbers about a dataset."""

from __future__ import annotations

from typing import Any

import numpy as np

from safefeedback.types import Feedback


def statistics(feedback: Feedback, episodes_in_source: int) -> dict[str, Any]:
    """What a person needs to judge a dataset, as JSON-ready values.

    Shares are of the published labels that were answered; None where there is nothing to count.
    """
    safe, preference = feedback.safe, feedback.preference
    decided = preference[~np.isnan(preference) & (preference != 0.5)]
    used = np.unique(feedback.pairs.episode)
    return {
        "pairs": len(feedback),
        "segments_safe": _share(safe[~np.isnan(safe)] == 1),
        "pairs_both_safe": _share((safe == 1).all(axis=1)),
        "pairs_one_safe": _share((safe == 1).sum(axis=1) == 1),
        "pairs_both_unsafe": _share((safe == 0).all(axis=1)),
        "preferred_segment_1": _share(decided > 0.5),
        "preferred_is_unsafe": _share(_preferred(feedback) == 0),
        "ties": int((preference == 0.5).sum()),
        "unanswered_preferences": int(np.isnan(preference).sum()),
        "unanswered_safety": int(np.isnan(safe).sum()),
        "preferences_flipped": int(feedback.preference_flipped.sum()),
        "safety_flipped": int(feedback.safe_flipped.sum()),
        "episodes_used": len(used),
        "episodes_in_source": episodes_in_source,
        "segment_return": _quantiles(feedback.returns),
        "segment_cost": _quantiles(feedback.costs),
    }


def _preferred(feedback: Feedback) -> np.ndarray:
    """The safety label of each decided pair's preferred segment."""
    decided = ~np.isnan(feedback.preference) & (feedback.preference != 0.5)
    side = (feedback.preference[decided] > 0.5).astype(np.int64)
    return feedback.safe[decided, side]


def _share(mask: np.ndarray) -> float | None:
    return round(int(mask.sum()) / len(mask), 6) if len(mask) else None


def _quantiles(values: np.ndarray) -> dict[str, float]:
    """Lowest, quartiles and highest, each one of the values themselves, and so the same on every machine."""
    ordered = np.sort(values, axis=None)
    last = len(ordered) - 1
    return {name: float(ordered[last * part // 4]) for part, name in enumerate(("min", "q25", "median", "q75", "max"))}
