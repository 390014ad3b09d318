"""Agreement of answers: between annotators, with their own repeats, and with the truth. Implemented here because the
maintained libraries are under the GPL. Answers are float arrays [M, K], M items and K persons, NaN where person k gave no
answer to item m."""

from __future__ import annotations

import math

import numpy as np


def krippendorff_alpha(answers: np.ndarray) -> float | None:
    """Krippendorff's alpha for nominal data: 1 - observed / expected disagreement (Krippendorff, 2011, Computing
    Krippendorff's Alpha-Reliability, section C); None where nobody shares an item, or all answers are equal.

    Args:
        answers: [M, K].
    """
    classes, counts = _counts(answers)
    counts = counts[counts.sum(axis=1) >= 2]
    answers_per_item = counts.sum(axis=1)
    total = float(answers_per_item.sum())
    by_class = counts.sum(axis=0)
    expected = total**2 - float((by_class**2).sum())
    if len(classes) < 2 or expected == 0:
        return None
    observed = float(((answers_per_item[:, None] - counts) * counts / np.maximum(answers_per_item - 1, 1)[:, None]).sum())
    return 1 - (total - 1) * observed / expected


def raw_agreement(answers: np.ndarray) -> float | None:
    """The share of the pairs of answers to one item that are equal; None where there are none.

    Args:
        answers: [M, K].
    """
    _, counts = _counts(answers)
    answers_per_item = counts.sum(axis=1)
    pairs = float((answers_per_item * (answers_per_item - 1)).sum())
    return float((counts * (counts - 1)).sum()) / pairs if pairs else None


def agreement_with_others(answers: np.ndarray, person: int) -> tuple[int, int]:
    """How often a person's answer is that of most others, and the number of items that others answered as well."""
    own, others = answers[:, person], np.delete(answers, person, axis=1)
    classes, counts = _counts(others)
    shared = np.flatnonzero(~np.isnan(own) & (counts.sum(axis=1) > 0))
    index = {value: at for at, value in enumerate(classes.tolist())}
    agreed = sum(
        float(own[item]) in index and counts[item, index[float(own[item])]] == counts[item].max() for item in shared.tolist()
    )
    return int(agreed), len(shared)


def binomial_tail(successes: int, trials: int, chance: float = 0.5) -> float:
    """The probability of this many successes or more by chance alone (the binomial's upper tail)."""
    log_counts = (
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) for k in range(successes, trials + 1)
    )
    logs = (
        way + k * math.log(chance) + (trials - k) * math.log1p(-chance) for k, way in enumerate(log_counts, start=successes)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def best_limit(costs: np.ndarray, safe: np.ndarray) -> tuple[float, float] | None:
    """The limit of a segment's cost that explains safety answers best, and the share of them that it explains.

    Args:
        costs, safe: [n], the true cost of each judged segment and whether it was called safe.

    Returns:
        The lowest such limit, one of the costs (below all of them: -1); None without an answer.
    """
    if not len(costs):
        return None
    order = np.argsort(costs, kind="stable")
    ordered, called = costs[order], safe[order] == 1
    right = np.concatenate([[0], np.cumsum(called)]) + (~called).sum() - np.concatenate([[0], np.cumsum(~called)])
    ends = np.flatnonzero(np.append(np.diff(ordered) > 0, True))  # a limit cannot separate equal costs
    right = np.concatenate([right[:1], right[ends + 1]])
    limits = np.concatenate([[-1.0], ordered[ends]])
    best = int(right.argmax())
    return float(limits[best]), float(right[best]) / len(costs)


def _counts(answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different answers, [C], and how many gave each to each item, float64 [M, C]."""
    classes = np.unique(answers[~np.isnan(answers)])
    return classes, (answers[:, :, None] == classes).sum(axis=1).astype(np.float64)
