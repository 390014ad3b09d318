"""From which recorded episodes pairs are drawn: all, or recordings made poor on purpose, to see what a method does where good
behaviour is hardly recorded.

    --coverage without-best:share=0.3       without the best 30% of the good episodes
    --coverage scarce-good:share=0.01       good episodes are 1% of those left

An episode is good if its cost keeps the limit and its return is above the median of all episodes. A coverage is a frozen
dataclass of its settings, called as `coverage(returns, good, rng) -> kept`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from safefeedback.errors import InputError
from safefeedback.feedback.variants import check_share
from safefeedback.randomness import choose
from safefeedback.types import Episodes


@dataclass(frozen=True)
class Everything:
    """Every episode."""

    def __call__(self, returns: np.ndarray, good: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.ones(len(good), bool)


@dataclass(frozen=True)
class WithoutBest:
    """All but the best: of the good episodes, the `share` with the highest returns is left out."""

    share: float = 0.1

    def __post_init__(self) -> None:
        check_share("share", self.share)

    def __call__(self, returns: np.ndarray, good: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        ranked = np.flatnonzero(good)[np.argsort(-returns[good], kind="stable")]
        kept = np.ones(len(good), bool)
        kept[ranked[: round(self.share * len(ranked))]] = False
        return kept


@dataclass(frozen=True)
class ScarceGood:
    """So few random good episodes are left that they are at most `share` of all that are left, but at least one of them."""

    share: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InputError(f"share must lie between 0 and 1, not {self.share}")

    def __call__(self, returns: np.ndarray, good: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        good_episodes, others = np.flatnonzero(good), int((~good).sum())
        count = min(len(good_episodes), max(1, int(self.share / (1 - self.share) * others)))
        kept = ~good
        kept[good_episodes[choose(rng, len(good_episodes), count)]] = True
        return kept


Coverage = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
COVERAGE: dict[str, Coverage] = {"all": Everything(), "without-best": WithoutBest(), "scarce-good": ScarceGood()}


def kept_episodes(episodes: Episodes, coverage: Coverage, cost_limit: float, rng: np.random.Generator) -> np.ndarray:
    """Which episodes are left, bool [E]; their numbers stay those of the file.

    Raises:
        InputError: if none is good, so that nothing could be left out.
    """
    if isinstance(coverage, Everything):
        return np.ones(len(episodes), bool)
    spans = list(itertools.pairwise(episodes.bounds.tolist()))
    returns, costs = (
        np.array([math.fsum(values[begin:end].tolist()) for begin, end in spans])  # exact: the same on every processor
        for values in (episodes.rewards, episodes.costs)
    )
    good = (costs <= cost_limit) & (returns > np.median(returns))
    if not good.any():
        raise InputError(
            f"{episodes.source.file}: no episode both keeps cost limit {cost_limit:g} and earns more than the median: "
            "leave --coverage out, or take another --cost-limit"
        )
    return coverage(returns, good, rng)
