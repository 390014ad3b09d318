"""Verifies that the rows of a dataset are pairs that could have been drawn."""

from __future__ import annotations

import numpy as np

from safefeedback.dataset.manifest import Manifest
from safefeedback.types import Episodes, Feedback


def row_problems(stored: Feedback, manifest: Manifest, episodes: Episodes | None) -> list[str]:
    """Missing, repeated and unknown pairs, windows outside their episodes, episodes in both splits.

    Args:
        stored: every pair of the dataset, in the order of pair_id.
        manifest: of the dataset.
        episodes: the recordings themselves, if they are at hand.
    """
    recipe = manifest.recipe
    pairs, pair_id, problems = stored.pairs, stored.pairs.pair_id, []
    twice = pair_id[1:][np.diff(pair_id) == 0]
    if len(twice):
        problems.append(f"pair {twice[0]} is there more than once")
    unknown = pair_id[(pair_id < 0) | (pair_id >= recipe.pairs)]
    if len(unknown):
        problems.append(f"pair {unknown[0]} is not one of the {recipe.pairs:,} that were drawn")
    if not recipe.filters and not len(unknown):
        present = np.unique(pair_id)  # and never as many as a forged recipe asks for
        lost, gaps = recipe.pairs - len(present), np.flatnonzero(present != np.arange(len(present)))
        first = gaps[0] if len(gaps) else len(present)
        problems += [f"{lost:,} pairs are lost, the first is pair {first}"] if lost else []
    count = manifest.episodes
    strange = (pairs.episode < 0) | (pairs.episode >= count)
    ends = np.full(pairs.episode.shape, manifest.longest_episode)
    if episodes is not None and len(episodes) == count:
        ends = episodes.lengths[np.where(strange, 0, pairs.episode)]
    for bad, words in ((strange, "is not in the recordings"), (_outside(stored, ends) & ~strange, "is not that long")):
        if bad.any():
            row, side = np.argwhere(bad)[0]
            window = f"steps {pairs.start[row, side]} to {pairs.start[row, side] + pairs.length - 1}"
            problems.append(
                f"pair {pair_id[row]}, segment {side}: {window} of episode {pairs.episode[row, side]}, which {words}"
            )
    both = np.intersect1d(pairs.episode[pairs.test], pairs.episode[~pairs.test])
    problems += [f"episode {both[0]} is in both splits"] if len(both) else []
    return problems


def _outside(stored: Feedback, ends: np.ndarray) -> np.ndarray:
    """Which windows start before their episode or end after it, bool [N, 2]."""
    return (stored.pairs.start < 0) | (stored.pairs.start + stored.pairs.length > ends)
