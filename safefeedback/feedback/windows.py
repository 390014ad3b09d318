"""The windows of a file, and pairs of different ones drawn without replacement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from safefeedback.errors import InputError
from safefeedback.randomness import uniforms
from safefeedback.types import Episodes

BATCH = 1 << 20  # candidates drawn at once, which bounds memory
ENUMERABLE = 1 << 24  # so many possible pairs can be listed one by one
MOST_DRAWS = 1 << 28  # without reaching the count: minutes


@dataclass(frozen=True)
class Windows:
    """The windows of `length` steps inside the episodes `among` (those long enough), numbered from 0."""

    episode: np.ndarray  # int64 [K], the usable episodes
    count: np.ndarray  # int64 [K], windows in each
    first: np.ndarray  # int64 [K + 1], the number of each episode's first window, and the number of windows

    @staticmethod
    def of(episodes: Episodes, among: np.ndarray, length: int) -> Windows:
        lengths = episodes.lengths[among]
        usable = among[lengths >= length]
        count = episodes.lengths[usable] - length + 1
        return Windows(usable, count, np.concatenate([[0], np.cumsum(count)]))

    @property
    def total(self) -> int:
        return int(self.first[-1])

    @property
    def pairs(self) -> int:
        """How many different unordered pairs of different windows there are."""
        return self.total * (self.total - 1) // 2

    def locate(self, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The episode and the start of each numbered window, in the window array's shape."""
        index = np.searchsorted(self.first, window, side="right") - 1
        return self.episode[index], window - self.first[index]

    def rows(self, episodes: Episodes) -> np.ndarray:
        """The source row where each window starts, int64 [total]."""
        return np.arange(self.total) + np.repeat(episodes.bounds[self.episode] - self.first[:-1], self.count)


@dataclass(frozen=True)
class Proposal:
    """How candidates for pairs are drawn.

    Attributes:
        propose: numbers in [0, 1), float64 [n, 2, 2] (pair, side, two a side) -> windows int64 [n, 2].
        pairs: how many different unordered pairs it can propose.
        listing: all of them, int64 [pairs, 2], and how likely each is, up to a common factor, float64 [pairs].
    """

    propose: Callable[[np.ndarray], np.ndarray]
    pairs: int
    listing: Callable[[], tuple[np.ndarray, np.ndarray]]


def weighted(windows: Windows, weight: np.ndarray) -> Proposal:
    """Both sides drawn on their own, each window with its weight, float64 [total], some of it positive."""
    cumulative = np.cumsum(weight)

    def propose(drawn: np.ndarray) -> np.ndarray:
        window = np.searchsorted(cumulative, drawn[..., 0] * cumulative[-1], side="right")
        return np.minimum(window, windows.total - 1)

    able = np.flatnonzero(weight > 0)
    return Proposal(propose, len(able) * (len(able) - 1) // 2, lambda: independent_pairs(able, weight))


def independent_pairs(window: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of the given windows, int64 [P, 2], and the product of their weights (by window number), [P]."""
    pair = window[np.stack(np.triu_indices(len(window), 1), axis=1)]
    return pair, weight[pair[:, 0]] * weight[pair[:, 1]]


def draw(windows: Windows, proposal: Proposal, count: int, rng: np.random.Generator) -> np.ndarray:
    """Pairs of different windows, no pair twice, in an order of which the first n do not depend on `count`.

    Pairs that were drawn before are rejected, which is sampling without replacement. This is slow when most of the possible
    pairs are wanted, so after 2 draws for each possible pair the remaining ones are listed and ordered by exponential keys,
    which gives the same distribution (Efraimidis and Spirakis, 2006).

    Args:
        windows: what is numbered.
        proposal: how candidates are drawn.
        count: N, pairs wanted.
        rng: the stream to draw from.

    Returns:
        Window numbers, int64 [N, 2].

    Raises:
        InputError: if N different pairs do not exist, or would take too long to find.
    """
    if count > proposal.pairs:
        raise InputError(
            f"{count:,} pairs asked for, but there are only {proposal.pairs:,} different pairs: ask for fewer pairs or "
            "shorter segments"
        )
    chosen = np.empty((0, 2), np.int64)
    drawn_keys = np.empty(0, np.int64)
    draws_left = 2 * proposal.pairs if proposal.pairs <= ENUMERABLE else MOST_DRAWS + 100 * count
    while len(chosen) < count and draws_left > 0:
        size = min(BATCH, draws_left, 2 * (count - len(chosen)) + 64)
        draws_left -= size
        window = proposal.propose(uniforms(rng, size, 2, 2))
        key = _key(window, windows.total)
        first = np.unique(key, return_index=True)[1]
        first = np.sort(first[(window[first, 0] != window[first, 1]) & ~np.isin(key[first], drawn_keys)])
        chosen = np.concatenate([chosen, window[first]])
        drawn_keys = np.concatenate([drawn_keys, key[first]])
    if len(chosen) < count and proposal.pairs > ENUMERABLE:
        raise InputError(
            f"only {len(chosen):,} of {count:,} different pairs could be drawn: most possible pairs are drawn too rarely "
            "(they lie in a few long episodes, or far from what the sampler looks for); ask for fewer pairs"
        )
    if len(chosen) < count:
        chosen = np.concatenate([chosen, _rest(windows, proposal, drawn_keys, rng)])
    return chosen[:count]


def _rest(windows: Windows, proposal: Proposal, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every pair not yet seen, in the order in which further draws would bring them."""
    pair, weight = proposal.listing()
    unseen = ~np.isin(_key(pair, windows.total), seen)
    pair, weight = pair[unseen], weight[unseen]
    drawn = uniforms(rng, len(pair), 2)
    order = np.argsort(-np.log1p(-drawn[:, 0]) / weight, kind="stable")
    return np.where(drawn[:, 1:] < 0.5, pair, pair[:, ::-1])[order]


def _key(window: np.ndarray, total: int) -> np.ndarray:
    """One number for each unordered pair of windows [n, 2]."""
    return window.min(axis=1) * total + window.max(axis=1)
