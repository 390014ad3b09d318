"""Interquartile means over runs and tasks with stratified bootstrap intervals (Agarwal et al., arXiv 2108.13264).

Implemented here because their library, rliable, does not work with current versions of pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from safefeedback.randomness import stream

REPETITIONS = 2_000
CONFIDENCE = 0.95


class Interval(NamedTuple):
    """An estimate and the ends of its interval."""

    value: float
    low: float
    high: float


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """The mean without the lowest and the highest quarter: [..., N] -> [...].

    floor(N / 4) values are left out at either end, as scipy.stats.trim_mean does.
    """
    ordered, cut = np.sort(values, axis=-1), values.shape[-1] // 4
    return ordered[..., cut : values.shape[-1] - cut].mean(axis=-1)


def mean(values: np.ndarray) -> np.ndarray:
    """The mean: [..., N] -> [...]."""
    return values.mean(axis=-1)


def stratified_interval(
    strata: Sequence[np.ndarray], average: Callable[[np.ndarray], np.ndarray] = interquartile_mean
) -> Interval:
    """An average of all values, with a 95% percentile bootstrap interval.

    Args:
        strata: of each task the values of its runs, [runs], or [policies, K] where one policy has K of them, which are drawn
            together; runs are drawn anew within each task, tasks are not. With one run a task there is nothing to draw from:
            the interval is NaN.
    """
    whole = float(average(np.concatenate([values.ravel() for values in strata])))
    if max(map(len, strata)) < 2:
        return Interval(whole, float("nan"), float("nan"))
    low, high = np.quantile(resampled(strata, average), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(whole, float(low), float(high))


def resampled(strata: Sequence[np.ndarray], average: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The average over runs drawn anew within each task, [REPETITIONS]; strata as in `stratified_interval`."""
    rng = stream(0, "bootstrap")
    drawn = [values[_integers(rng, len(values), (REPETITIONS, len(values)))].reshape(REPETITIONS, -1) for values in strata]
    return average(np.concatenate(drawn, axis=1))


def _integers(rng: np.random.Generator, below: int, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform integers from raw words, the same in every version of NumPy; the bias is below 1e-15."""
    words = rng.bit_generator.random_raw(int(np.prod(shape)))
    return (words % np.uint64(below)).astype(np.int64).reshape(shape)
