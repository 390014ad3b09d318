"""Imperfect annotators."""

from __future__ import annotations

import numpy as np

from safefeedback.randomness import choose


def flip(labels: np.ndarray, rate: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Flips exactly round(rate * n) of the n labels that can be flipped, chosen without replacement (PreSa, Table 7).

    Unanswered labels (NaN) and ties (0.5) cannot be flipped.

    Args:
        labels: float32 of any shape, as in `safefeedback.types`.
        rate: share of labels to flip, in [0, 1].
        rng: the stream to draw from.

    Returns:
        The labels with `1 - label` where flipped, and the mask of the flips, both in the shape of `labels`.
    """
    flippable = np.flatnonzero(~np.isnan(labels) & (labels != 0.5))
    flipped = np.zeros(labels.shape, bool)
    flipped.flat[flippable[choose(rng, len(flippable), round(rate * len(flippable)))]] = True
    return np.where(flipped, 1 - labels, labels).astype(labels.dtype), flipped
