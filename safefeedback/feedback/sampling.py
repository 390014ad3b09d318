"""Samplers: which windows are compared.

A sampler is a frozen dataclass of its settings, called as `sampler(windows, episodes, length, segment_limit)`; it returns how
candidate pairs are drawn. Whatever it is, no pair comes twice and the first n pairs do not depend on how many are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from safefeedback.errors import InputError
from safefeedback.feedback.labels import window_sum
from safefeedback.feedback.variants import check_share, parse
from safefeedback.feedback.windows import Proposal, Windows, draw, independent_pairs, weighted
from safefeedback.randomness import choose, stream
from safefeedback.types import Episodes, Pairs


@dataclass(frozen=True)
class Uniform:
    """Episode uniform, start uniform (PreSa's appendix does not say; CPL and TraC draw so)."""

    def __call__(self, windows: Windows, episodes: Episodes, length: int, segment_limit: float) -> Proposal:
        def propose(drawn: np.ndarray) -> np.ndarray:
            index = (drawn[..., 0] * len(windows.episode)).astype(np.int64)
            return windows.first[index] + (drawn[..., 1] * windows.count[index]).astype(np.int64)

        weight = np.repeat(1.0 / windows.count, windows.count)
        return Proposal(propose, windows.pairs, lambda: independent_pairs(np.arange(windows.total), weight))


@dataclass(frozen=True)
class EveryWindow:
    """Every window equally likely, so that long episodes are drawn more often."""

    def __call__(self, windows: Windows, episodes: Episodes, length: int, segment_limit: float) -> Proposal:
        return weighted(windows, np.ones(windows.total))


@dataclass(frozen=True)
class Stratified:
    """A segment is safe with probability `safe`; among the safe and among the unsafe, every window is equally likely."""

    safe: float = 0.5

    def __post_init__(self) -> None:
        check_share("safe", self.safe)

    def __call__(self, windows: Windows, episodes: Episodes, length: int, segment_limit: float) -> Proposal:
        is_safe = window_sum(episodes.costs, windows.rows(episodes), length) <= segment_limit
        count = int(is_safe.sum())
        for share, available, name in ((self.safe, count, "safe"), (1 - self.safe, windows.total - count, "unsafe")):
            if share > 0 and available == 0:
                raise InputError(
                    f"the recordings hold no {name} segment at a cost limit of {segment_limit:g} a segment, so --sampler "
                    f"stratified cannot draw a share of {share:g}: choose another --cost-limit or another sampler"
                )
        weight = np.where(is_safe, self.safe / max(count, 1), (1 - self.safe) / max(windows.total - count, 1))
        return weighted(windows, weight)


@dataclass(frozen=True)
class NearLimit:
    """A segment whose cost is d away from its limit has weight 1 / (1 + (d / scale)^2); `scale` in units of cost."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf:
            raise InputError(f"scale must be positive, not {self.scale}")

    def __call__(self, windows: Windows, episodes: Episodes, length: int, segment_limit: float) -> Proposal:
        distance = (window_sum(episodes.costs, windows.rows(episodes), length) - segment_limit) / self.scale
        return weighted(windows, 1 / (1 + distance * distance))


@dataclass(frozen=True)
class Cover:
    """The plane of return and cost is cut into `bins` x `bins` cells; every cell that holds a window is equally likely."""

    bins: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.bins <= 1000:
            raise InputError(f"bins must lie between 1 and 1000, not {self.bins}")

    def __call__(self, windows: Windows, episodes: Episodes, length: int, segment_limit: float) -> Proposal:
        rows = windows.rows(episodes)
        cell = np.zeros(windows.total, np.int64)
        for values in (episodes.rewards, episodes.costs):
            sums = window_sum(values, rows, length)
            low, high = sums.min(), sums.max()
            place = (sums - low) / (high - low) if high > low else np.zeros(windows.total)
            cell = cell * self.bins + np.minimum((place * self.bins).astype(np.int64), self.bins - 1)
        return weighted(windows, 1 / np.bincount(cell)[cell])


@dataclass(frozen=True)
class SameStart:
    """Both segments start in the same observation, equal to the bit; every window that has a partner is equally likely."""

    def __call__(self, windows: Windows, episodes: Episodes, length: int, segment_limit: float) -> Proposal:
        states = np.ascontiguousarray(episodes.observations[windows.rows(episodes)] + np.float32(0))  # -0.0 becomes 0.0
        key = states.view(np.dtype((np.void, states.itemsize * states.shape[1]))).ravel()
        group, size = np.unique(key, return_inverse=True, return_counts=True)[1:]
        order = np.argsort(group, kind="stable")
        order = order[size[group[order]] > 1]  # windows with a partner, group by group
        if not len(order):
            raise InputError("no two windows of the recordings start in the same state: choose another --sampler")
        members = size[size > 1]
        first = np.concatenate([[0], np.cumsum(members)])

        def propose(drawn: np.ndarray) -> np.ndarray:
            chosen = (drawn[:, 0, 0] * len(order)).astype(np.int64)
            home = np.searchsorted(first, chosen, side="right") - 1
            step = 1 + (drawn[:, 1, 0] * (members[home] - 1)).astype(np.int64)
            other = first[home] + (chosen - first[home] + step) % members[home]
            return np.stack([order[chosen], order[other]], axis=1)

        def listing() -> tuple[np.ndarray, np.ndarray]:
            lists = [independent_pairs(part, np.ones(windows.total))[0] for part in np.split(order, first[1:-1])]
            weight = np.repeat(1 / (members - 1), [len(pairs) for pairs in lists])
            return np.concatenate(lists), weight

        return Proposal(propose, int((members * (members - 1) // 2).sum()), listing)


Sampler = Callable[[Windows, Episodes, int, float], Proposal]
SAMPLERS: dict[str, Sampler] = {
    "uniform": Uniform(),
    "windows": EveryWindow(),
    "stratified": Stratified(),
    "near-limit": NearLimit(),
    "cover": Cover(),
    "same-start": SameStart(),
}


def held_out_episodes(
    episodes: Episodes, length: int, fraction: float, seed: int, kept: np.ndarray | None = None
) -> np.ndarray:
    """Which episodes are held out for the test split, bool [E]: round(fraction * usable) of those at least `length` long, and
    among `kept`, bool [E], where that is given.

    Raises:
        InputError: if either split would be left without an episode.
    """
    held_out = np.zeros(len(episodes), bool)
    if fraction > 0:
        usable = np.flatnonzero((episodes.lengths >= length) & (True if kept is None else kept))
        count = round(fraction * len(usable))
        if not 0 < count < len(usable):
            raise InputError(
                f"--test-fraction {fraction:g} of {len(usable)} episodes of at least {length} steps leaves one split "
                "without an episode"
            )
        held_out[usable[choose(stream(seed, "split"), len(usable), count)]] = True
    return held_out


def sample(
    episodes: Episodes,
    count: int,
    length: int,
    seed: int,
    test_fraction: float,
    sampler: str,
    segment_limit: float = math.inf,
    kept: np.ndarray | None = None,
) -> Pairs:
    """N pairs, of which floor(N * test_fraction) lie in held-out episodes, spread evenly over the draw order.

    Args:
        episodes: the recordings.
        count: N.
        length: L, steps in a segment.
        seed: of every draw.
        test_fraction: share of the episodes and of the pairs that is held out.
        sampler: one of SAMPLERS, with settings, as in `safefeedback.feedback.variants`.
        segment_limit: the highest cost of a safe segment, for samplers that use it.
        kept: bool [E], the episodes that pairs may be drawn from; None for all.

    Raises:
        InputError: if no episode is long enough, N different pairs do not exist, or a split would be empty.
    """
    file, allowed = episodes.source.file, np.ones(len(episodes), bool) if kept is None else kept
    if not (episodes.lengths[allowed] >= length).any():
        raise InputError(
            f"{file}: no episode has {length} steps; the longest of {allowed.sum():,} has {episodes.lengths[allowed].max()}: "
            "ask for shorter segments with --length"
        )
    chosen: Sampler = parse(sampler, SAMPLERS, "--sampler")
    held_out = held_out_episodes(episodes, length, test_fraction, seed, allowed)
    counts = {"test": math.floor(count * test_fraction)}
    counts["train"] = count - counts["test"]
    among = {"train": np.flatnonzero(allowed & ~held_out), "test": np.flatnonzero(held_out)}
    for split, requested in counts.items():
        if test_fraction > 0 and requested == 0:
            raise InputError(f"--test-fraction {test_fraction:g} of {count} pairs leaves the {split} split without a pair")
        available = Windows.of(episodes, among[split], length).pairs
        if requested > available:  # before arrays of that size are made
            raise InputError(
                f"{file}: {requested:,} pairs of {length} steps asked for in the {split} split, but there are only "
                f"{available:,} different pairs: ask for fewer pairs or shorter segments"
            )
    turn = np.floor(np.arange(count + 1) * test_fraction)
    test = turn[1:] > turn[:-1]
    episode, start = np.empty((count, 2), np.int64), np.empty((count, 2), np.int64)
    for split, name in (("train", "pairs"), ("test", "test-pairs")):
        if counts[split]:
            windows = Windows.of(episodes, among[split], length)
            rows = test == (split == "test")
            try:
                drawn = draw(windows, chosen(windows, episodes, length, segment_limit), counts[split], stream(seed, name))
            except InputError as error:
                raise InputError(f"{file}, {split} split, segments of {length} steps: {error}") from None
            episode[rows], start[rows] = windows.locate(drawn)
    return Pairs(episode, start, length, np.arange(count), test)
