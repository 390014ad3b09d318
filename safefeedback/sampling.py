"""Which windows are compared.

A sampler is `sampler(episodes, among, count, length, rng) -> (episode [count, 2], start [count, 2])`, and its first n
pairs do not depend on `count`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from safefeedback.errors import InputError
from safefeedback.randomness import choose, stream, uniforms
from safefeedback.types import Episodes, Pairs

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


def uniform(
    episodes: Episodes, among: np.ndarray, count: int, length: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of different windows: episode uniform, start uniform, each side on its own, no pair twice.

    Drawing again what was drawn before and leaving it out is sampling without replacement. It gets slow when most of the
    possible pairs are wanted, so that after 2 draws for each possible pair the rest are listed and put in the same
    random order by exponential keys (Efraimidis and Spirakis, 2006).

    Args:
        episodes: the recordings.
        among: int64 [K], the episodes to draw from; those shorter than `length` are passed over.
        count: N, pairs wanted.
        length: L, steps in a window.
        rng: the stream to draw from.

    Returns:
        episode int64 [N, 2] and start int64 [N, 2].

    Raises:
        InputError: if N different pairs do not exist.
    """
    windows = Windows.of(episodes, among, length)
    if count > windows.pairs:
        raise InputError(
            f"{count:,} pairs of {length} steps asked for, but {len(windows.episode):,} episodes that long hold only "
            f"{windows.pairs:,} different pairs"
        )
    chosen = np.empty((0, 2), np.int64)
    seen = np.empty(0, np.int64)
    draws_left = 2 * windows.pairs if windows.pairs <= ENUMERABLE else MOST_DRAWS + 100 * count
    while len(chosen) < count and draws_left > 0:
        size = min(BATCH, draws_left, 2 * (count - len(chosen)) + 64)
        draws_left -= size
        drawn = uniforms(rng, size, 2, 2)
        index = (drawn[..., 0] * len(windows.episode)).astype(np.int64)
        window = windows.first[index] + (drawn[..., 1] * windows.count[index]).astype(np.int64)
        key = _key(window, windows.total)
        first = np.unique(key, return_index=True)[1]
        first = np.sort(first[(window[first, 0] != window[first, 1]) & ~np.isin(key[first], seen)])
        chosen = np.concatenate([chosen, window[first]])
        seen = np.concatenate([seen, key[first]])
    if len(chosen) < count and windows.pairs > ENUMERABLE:
        raise InputError(
            f"only {len(chosen):,} of {count:,} different pairs could be drawn: most possible pairs lie in a few long "
            "episodes, which are drawn no more often than short ones; ask for fewer pairs"
        )
    if len(chosen) < count:
        chosen = np.concatenate([chosen, _rest(windows, seen, rng)])
    return windows.locate(chosen[:count])


def _rest(windows: Windows, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every pair not yet seen, in the order in which further draws would bring them."""
    pair = np.stack(np.triu_indices(windows.total, 1), axis=1)
    pair = pair[~np.isin(_key(pair, windows.total), seen)]
    weight = np.repeat(1.0 / windows.count, windows.count)
    drawn = uniforms(rng, len(pair), 2)
    order = np.argsort(-np.log1p(-drawn[:, 0]) / (weight[pair[:, 0]] * weight[pair[:, 1]]), kind="stable")
    return np.where(drawn[:, 1:] < 0.5, pair, pair[:, ::-1])[order]


def _key(window: np.ndarray, total: int) -> np.ndarray:
    """One number for each unordered pair of windows [n, 2]."""
    return window.min(axis=1) * total + window.max(axis=1)


SAMPLERS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {"uniform": uniform}


def held_out_episodes(episodes: Episodes, length: int, fraction: float, seed: int) -> np.ndarray:
    """Which episodes are kept for the test split, bool [E]: round(fraction * usable) of those at least `length` long.

    Raises:
        InputError: if either split would be left without an episode.
    """
    held_out = np.zeros(len(episodes), bool)
    if fraction > 0:
        usable = np.flatnonzero(episodes.lengths >= length)
        count = round(fraction * len(usable))
        if not 0 < count < len(usable):
            raise InputError(
                f"--test-fraction {fraction:g} of {len(usable)} episodes of at least {length} steps leaves one split "
                "without an episode"
            )
        held_out[usable[choose(stream(seed, "split"), len(usable), count)]] = True
    return held_out


def sample(episodes: Episodes, count: int, length: int, seed: int, test_fraction: float, sampler: str) -> Pairs:
    """N pairs, of which floor(N * test_fraction) lie in held-out episodes, spread evenly over the draw order.

    Raises:
        InputError: if no episode is long enough, N different pairs do not exist, or a split would be empty.
    """
    file = episodes.source.file
    if not (episodes.lengths >= length).any():
        raise InputError(
            f"{file}: no episode has {length} steps; the longest of {len(episodes):,} has {episodes.lengths.max()}: "
            "ask for shorter segments with --length"
        )
    held_out = held_out_episodes(episodes, length, test_fraction, seed)
    counts = {"test": math.floor(count * test_fraction)}
    counts["train"] = count - counts["test"]
    among = {"train": np.flatnonzero(~held_out), "test": np.flatnonzero(held_out)}
    for split, wanted in counts.items():
        if test_fraction > 0 and wanted == 0:
            raise InputError(f"--test-fraction {test_fraction:g} of {count} pairs leaves the {split} split without a pair")
        there_are = Windows.of(episodes, among[split], length).pairs
        if wanted > there_are:
            raise InputError(
                f"{file}: {wanted:,} pairs of {length} steps asked for in the {split} split, but there are only "
                f"{there_are:,} different pairs: ask for fewer pairs or shorter segments"
            )
    turn = np.floor(np.arange(count + 1) * test_fraction)
    test = turn[1:] > turn[:-1]
    episode, start = np.empty((count, 2), np.int64), np.empty((count, 2), np.int64)
    for split, name in (("train", "pairs"), ("test", "test-pairs")):
        if counts[split]:
            drawn = SAMPLERS[sampler](episodes, among[split], counts[split], length, stream(seed, name))
            rows = test == (split == "test")
            episode[rows], start[rows] = drawn
    return Pairs(episode, start, length, np.arange(count), test)
