"""Chooses the next pair for a person. All functions here are pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from safefeedback.annotate.material import Truth
from safefeedback.annotate.study import Study
from safefeedback.randomness import stream, uniforms

APART = 8  # a pair is repeated after at least this many others
AT_RANDOM = 0.2  # share of the draws of the order "uncertain" that ignore it
CLEAR = 0.75  # gold and practice pairs have margins above this quantile


@dataclass(frozen=True)
class DrawnPair:
    """The next item.

    Attributes:
        row: of the pair, in the dataset's order.
        kind: "ordinary", "gold" or "repeat".
        order: the name of the order by which it was drawn.
        probability: with which this pair was drawn, of those that could have been.
    """

    row: int
    kind: str
    order: str
    probability: float


@dataclass(frozen=True)
class Pools:
    """What a study's pairs are used for: bool [N] each; no pair has two uses."""

    ordinary: np.ndarray
    gold: np.ndarray
    practice: np.ndarray


def pools(study: Study, truth: Truth, cost_limit: float, seed: int) -> Pools:
    """Selects the gold and practice pairs: those with clear right answers, by wide margins of return and costs far from the
    limit.

    Args:
        truth: about all pairs.
        cost_limit: of an episode, as the question has it.
        seed: of the study.
    """
    count, rng = len(truth.pair_id), stream(seed, "annotate pools")
    practice = 0 if study.quick else min(study.practice, count // 10)
    gold = min(int(np.ceil(study.gold * count)), count // 2)
    order = np.argsort(uniforms(rng, count), kind="stable")
    clear = clearness(study, truth, cost_limit)[order]
    best = order[np.argsort(clear < np.quantile(clear, CLEAR), kind="stable")]  # the clear ones first, in random order
    if gold + practice > (clear >= np.quantile(clear, CLEAR)).sum():
        best = order[np.argsort(-clear, kind="stable")]
    chosen = np.zeros((3, count), bool)
    chosen[1, best[:gold]] = True
    chosen[2, best[gold : gold + practice]] = True
    chosen[0] = ~chosen[1] & ~chosen[2]
    return Pools(*chosen)


def clearness(study: Study, truth: Truth, cost_limit: float) -> np.ndarray:
    """How clear the right answers to a pair are: the lower of the ranks, from 0 to 1, of its margin and of the distance of
    its costs from the limit, of those that the study asks about; float64 [N]."""
    margin = np.abs(truth.returns[:, 1] - truth.returns[:, 0])
    limit = truth.limit(cost_limit) if study.safety_question != "any" else 0.0
    distance = np.abs(truth.costs - (limit + 0.5)).min(axis=1)
    ranked_by = {"preference": [margin], "safety": [distance], "both": [margin, distance]}[study.ask]
    return np.min([_ranks(values) for values in ranked_by], axis=0)


def weights(order: str, truth: Truth, cost_limit: float, asked: dict[int, float] | None = None) -> np.ndarray:
    """How likely each pair is to come first, float64 [N], up to a common factor; all positive.

    Args:
        asked: for "uncertain", by pair_id, what `presa ask` gives; without it all are equal.
    """
    count = len(truth.pair_id)
    if order == "near-limit":
        distance = np.abs(truth.costs - truth.limit(cost_limit)).min(axis=1)
        return np.exp(-np.minimum(distance / max(1.0, truth.limit(cost_limit) / 4), 20))
    if order == "stratified":
        unsafe = (truth.costs > truth.limit(cost_limit)).any(axis=1)
        return np.where(unsafe, 1 / max(1, unsafe.sum()), 1 / max(1, (~unsafe).sum()))
    if order == "uncertain" and asked:
        priority = np.array([max(0.0, asked.get(int(pair), 0.0)) for pair in truth.pair_id])
        return (1 - AT_RANDOM) * priority / (priority.sum() or 1.0) + AT_RANDOM / count
    return np.ones(count)


def keys(weight: np.ndarray, seed: int) -> np.ndarray:
    """Draws without replacement: the pairs in the order of rising keys, the same for everybody, so that they overlap
    (Efraimidis and Spirakis, 2006); float64 [N]."""
    return -np.log1p(-uniforms(stream(seed, "annotate order"), len(weight))) / weight


def draw(
    study: Study,
    pools: Pools,
    weight: np.ndarray,
    key: np.ndarray,
    taken: np.ndarray,
    seen: set[int],
    repeatable: list[int],
    rng: random.Random,
) -> DrawnPair | None:
    """The next item of a person, or None where nothing is left.

    Args:
        weight, key: of each pair, [N].
        taken: how many persons have answered each pair or are assigned it, int [N].
        seen: rows that this person has had.
        repeatable: rows that this person answered exactly once, long enough ago.
        rng: of the choice between ordinary, gold and repeat.
    """
    had = np.zeros(len(key), bool)
    had[list(seen)] = True
    free = np.flatnonzero(pools.ordinary & ~had & (taken < study.overlap))
    if not len(free):
        return None
    chance = rng.random()
    golden = np.flatnonzero(pools.gold & ~had)
    if chance < study.gold and len(golden):
        return DrawnPair(int(golden[rng.randrange(len(golden))]), "gold", "gold", 1 / len(golden))
    if study.gold <= chance < study.gold + study.repeat and repeatable:
        return DrawnPair(repeatable[rng.randrange(len(repeatable))], "repeat", "repeat", 1 / len(repeatable))
    row = free[np.argmin(key[free])]
    return DrawnPair(int(row), "ordinary", study.order, float(weight[row] / weight[free].sum()))


def _ranks(values: np.ndarray) -> np.ndarray:
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(len(values)) / max(1, len(values) - 1)
    return ranks
