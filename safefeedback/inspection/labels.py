"""Numbers about labels; shares are None where there is nothing to count. Conventions as in `safefeedback.types`."""

from __future__ import annotations

from typing import Any

import numpy as np

from safefeedback.dataset.stats import quantiles, share

CLASSES = {
    "preference": {"segment_0": 0.0, "segment_1": 1.0, "tie": 0.5},
    "safety": {"safe": 1.0, "unsafe": 0.0},
}
NEAR = 0.1  # of the RMS: margins below it are near-ties
QUANTILES = {"min": 0, "q05": 5, "q25": 25, "median": 50, "q75": 75, "q95": 95, "max": 100}


def quantiles_of(values: np.ndarray) -> dict[str, float] | None:
    """The quantiles of QUANTILES; None where there are no values."""
    return quantiles(values, QUANTILES) if values.size else None


def safety(safe: np.ndarray) -> dict[str, Any]:
    """Safety labels [N, 2]: shares of the answered segments, and of the pairs."""
    answered = ~np.isnan(safe)
    return {
        "segments_safe": share(safe[answered] == 1),
        "pairs_both_safe": share((safe == 1).all(axis=1)),
        "pairs_one_safe": share((safe == 1).any(axis=1) & (safe == 0).any(axis=1)),
        "pairs_both_unsafe": share((safe == 0).all(axis=1)),
        "unanswered": int((~answered).sum()),
    }


def preferences(preference: np.ndarray) -> dict[str, Any]:
    """Preferences [N]: which side is preferred, ties, soft and unanswered ones."""
    return {
        "preferred_segment_1": share(preference[decided(preference)] > 0.5),
        "ties": int((preference == 0.5).sum()),
        "soft": int((~np.isnan(preference) & ~np.isin(preference, (0.0, 0.5, 1.0))).sum()),
        "unanswered": int(np.isnan(preference).sum()),
    }


def agreement(published: np.ndarray, clean: np.ndarray, classes: dict[str, float]) -> dict[str, Any]:
    """How often a published label is the clean one, in all and for each clean class; a soft label counts as its side.
    Those that contradict name the opposite; a tie neither does, nor is it contradicted.

    Args:
        published, clean: labels of one shape; where either is unanswered there is nothing to compare.
        classes: the name and value of each class.
    """
    both = ~np.isnan(published) & ~np.isnan(clean)
    same = (np.sign(published - 0.5) == np.sign(clean - 0.5))[both]
    return {
        "compared": int(both.sum()),
        "agree": share(same),
        "contradict": int(((published - 0.5) * (clean - 0.5) < 0).sum()),
        "agree_by_class": {name: share(same[clean[both] == value]) for name, value in classes.items()},
    }


def margins(returns: np.ndarray) -> dict[str, Any]:
    """|difference of the two returns| of each pair [N, 2], in return units and in units of its root mean square."""
    margin = np.abs(returns[:, 1] - returns[:, 0])
    largest = float(margin.max(initial=0.0))
    scale = largest * float(np.sqrt(np.mean((margin / largest) ** 2))) if largest else 0.0  # a square alone may be infinite
    statistics = quantiles_of(margin)
    return {
        "rms": scale,
        "quantiles": statistics,
        "quantiles_relative": {name: value / scale for name, value in statistics.items()} if statistics and scale else None,
        "near_ties": share(margin < NEAR * scale),
    }


def conflict(preference: np.ndarray, safe: np.ndarray, costs: np.ndarray | None) -> dict[str, Any]:
    """How the preference and safety of a pair go together.

    Args:
        preference: [N]; only decided ones count.
        safe: [N, 2].
        costs: [N, 2], or None where the truth is not at hand.
    """
    rows = np.flatnonzero(decided(preference))
    better = (preference[rows] > 0.5).astype(np.int64)
    chosen, other = safe[rows, better], safe[rows, 1 - better]
    result = {
        "preferred_is_unsafe": share(chosen[~np.isnan(chosen)] == 0),
        "safe_one_is_preferred": share(chosen[(chosen + other) == 1] == 1),
        "lower_cost_is_preferred": None,
    }
    if costs is not None:
        cheaper = costs[rows, better] - costs[rows, 1 - better]
        result["lower_cost_is_preferred"] = share(cheaper[cheaper != 0] < 0)
    return result


def decided(preference: np.ndarray) -> np.ndarray:
    """Where a preference names a better segment, bool [N]."""
    return ~np.isnan(preference) & (preference != 0.5)
