"""The rules that weight episodes: by the feedback, by parts of it, equally, or by the truth. All but the first are controls.

All train the same network, for the same steps, on the same observations, so a difference between two of them is the value of
the feedback that only one of them uses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from presa.data.episode_weights import rank_among_safe
from safefeedback.randomness import choose, stream


@dataclass(frozen=True)
class EpisodeEstimates:
    """The inputs of a rule.

    Attributes:
        returns, safe: float64 [E], standardised mean return and P(safe); of the models, or of the true sums.
        within: float64 [E], the share of the members that put the cost within the limit; of true costs 0 or 1.
        temperature: of the ranks.
        identity: names the labels, for rules that draw.
    """

    returns: np.ndarray
    safe: np.ndarray
    within: np.ndarray
    temperature: float
    identity: str


@dataclass(frozen=True)
class WeightRule:
    """How episodes are weighted.

    Attributes:
        weight: float64 [E] for the estimates of the episodes.
        fits: the kinds of models that are fitted first: "reward", "cost".
        truth: whether it reads true rewards and costs in place of models.
        shuffled: whether the labels that the models are fitted to are shuffled.
        note: what every result must say; "" for nothing.
    """

    weight: Callable[[EpisodeEstimates], np.ndarray]
    fits: tuple[str, ...] = ("reward", "cost")
    truth: bool = False
    shuffled: bool = False
    note: str = ""


def feedback(estimates: EpisodeEstimates) -> np.ndarray:
    """P(safe) exp((rank - 1) / temperature)."""
    return estimates.safe * np.exp((rank_among_safe(estimates.returns, estimates.safe) - 1) / estimates.temperature)


def equal(estimates: EpisodeEstimates) -> np.ndarray:
    """1 for each."""
    return np.ones(len(estimates.safe))


def randomly(estimates: EpisodeEstimates) -> np.ndarray:
    """1 for as many random episodes as the feedback's weights are worth, 0 for the others."""
    weight = feedback(estimates)
    count = int(np.clip(round(weight.sum() ** 2 / np.square(weight).sum()), 1, len(weight)))
    chosen = np.zeros(len(weight))
    chosen[choose(stream(0, f"random-episodes-{estimates.identity}"), len(weight), count)] = 1.0
    return chosen


def upper_fifth(estimates: EpisodeEstimates) -> np.ndarray:
    """1 for the fifth of the safe episodes with the highest returns."""
    safe = np.flatnonzero(estimates.within >= 0.5)
    chosen = np.zeros(len(estimates.safe))
    chosen[safe[np.argsort(-estimates.returns[safe], kind="stable")[: -(-len(safe) // 5)]]] = 1.0
    return chosen


TRUE = "A control: its episodes were weighted by true rewards and costs, which no method from feedback sees"
RULES: dict[str, WeightRule] = {
    "feedback": WeightRule(feedback),
    "none": WeightRule(equal, (), note="A control: every step was cloned alike, no answer was used"),
    "shuffled": WeightRule(feedback, shuffled=True, note="A control: its answers were shuffled among the pairs"),
    "random": WeightRule(randomly, note="A control: random episodes, as many as the feedback's weights are worth"),
    "safety": WeightRule(lambda estimates: estimates.safe, ("cost",), note="A control: no preference was used"),
    "preferences": WeightRule(
        lambda estimates: np.exp(
            (rank_among_safe(estimates.returns, np.ones(len(estimates.safe))) - 1) / estimates.temperature
        ),
        ("reward",),
        note="A control: no safety label was used",
    ),
    "true-sums": WeightRule(feedback, (), truth=True, note=TRUE),
    "true-safe": WeightRule(lambda estimates: (estimates.within >= 0.5).astype(np.float64), (), truth=True, note=TRUE),
    "true-upper-fifth": WeightRule(upper_fifth, (), truth=True, note=TRUE),
}
