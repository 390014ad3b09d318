"""Episode weights: estimates of each episode's return and cost, and the weight with which its steps are cloned.

Functions of arrays over E episodes, independent of where the estimates come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

ENOUGH = 1_000  # labels, to tell the share of flipped ones: where it is 0.2, the estimate is then 0.02 too low on average


@dataclass(frozen=True)
class EpisodeWeights:
    """E episodes with their estimates and weights.

    Attributes:
        episode: int64 [E], which episodes of the source file.
        length: float64 [E], steps of each, as recorded or assumed.
        known_steps: int64 [E], how many of these steps are known.
        returns: float64 [members, E], estimated returns; of learnt rewards, in units of their own.
        costs: float64 [members, E], estimated costs.
        safe: float64 [E], P(safe).
        rank: float64 [E], place by return in the weight of the safe episodes, 0 to 1.
        weight: float64 [E].
        held_out: float64 [K, 2], for safety labels that a member was not fitted to: the predicted P(safe), and the label;
            None if there are none.
        estimated: which of "reward" and "cost" were estimated, or known; the values of the other are zeros and mean nothing.
        assumed_lengths: how many episodes are assumed to be as long as the horizon because their length is unknown.
    """

    episode: np.ndarray
    length: np.ndarray
    known_steps: np.ndarray
    returns: np.ndarray
    costs: np.ndarray
    safe: np.ndarray
    rank: np.ndarray
    weight: np.ndarray
    assumed_lengths: int = 0
    held_out: np.ndarray | None = None
    estimated: tuple[str, ...] = ("reward", "cost")

    def of_steps(self, episode: np.ndarray) -> np.ndarray:
        """The weight of each step, given the episode of each step [M]: float64 [M]."""
        return self.weight[np.searchsorted(self.episode, episode)]

    def facts(self) -> dict[str, Any]:
        """The estimates and weights as JSON-ready values, null for what was not estimated; `episodes` has a row for each
        episode."""
        apart, unknown = self.held_out, np.full(len(self.weight), np.nan)
        rewards, costs = ("reward" in self.estimated), ("cost" in self.estimated)
        share = self.weight / self.weight.sum()
        spread = self.costs.std(0) if len(self.costs) > 1 else np.full(len(share), np.nan)
        returns = standardized(self.returns).mean(0)
        columns = {
            "episode": self.episode,
            "length": self.length,
            "known_steps": self.known_steps,
            "estimated_return": returns if rewards else unknown,
            "estimated_cost": self.costs.mean(0) if costs else unknown,
            "cost_spread": spread if costs else unknown,
            "p_safe": self.safe if costs else unknown,
            "rank": self.rank if rewards else unknown,
            "share": share,
        }
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]
        return {
            "effective_episodes": effective_number(self.weight),
            "estimated_cost": float(share @ self.costs.mean(0)) if costs else None,
            "cost_spread": float(share @ spread) if costs and len(self.costs) > 1 else None,
            "estimated_return_rank": float(share @ percentile(returns)) if rewards else None,
            "p_safe": float(share @ self.safe) if costs else None,
            "episodes_partly_known": int((self.known_steps < self.length).sum()),
            "episodes_of_supposed_length": self.assumed_lengths,
            "flipped_labels": None if apart is None or len(apart) < ENOUGH else contradicted(apart),
            "calibration": [] if apart is None else calibration(apart),
            "episodes": [{k: None if isinstance(v, float) and v != v else v for k, v in row.items()} for row in rows],
        }


def episode_sums(values: np.ndarray, episode: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The sums over whole episodes, float64 [E]; for a partly known episode, the mean over its known steps times its length.

    Args:
        values: [M], of each known step.
        episode: int64 [M], its episode as an index 0 to E - 1.
        lengths: [E], steps of each episode.
    """
    known = np.bincount(episode, minlength=len(lengths))
    sums = np.bincount(episode, np.asarray(values, np.float64), len(lengths))
    return sums / known * lengths


def standardized(values: np.ndarray) -> np.ndarray:
    """Each member's values [members, E] shifted and scaled to mean 0 and deviation 1; those that are all equal become 0."""
    centred = values - values.mean(1, keepdims=True)
    deviation = centred.std(1, keepdims=True)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)


def share_within(costs: np.ndarray, limit: float) -> np.ndarray:
    """The share of the members whose estimated costs [members, E] are within the limit, float64 [E]."""
    return (costs <= limit).mean(0)


def probability_of_safety(costs: np.ndarray, limit: float, edge: float, width: float, margin: float) -> np.ndarray:
    """P(safe) of each episode: the members' mean of sigmoid((edge - cost / limit) / width), float64 [E]; 0 where a smaller
    share of the members than `margin` puts the cost within the limit.

    Args:
        costs: [members, E].
        limit: of an episode's cost; at 0 both count one more, as in evaluation.
    """
    epsilon = 1.0 if limit == 0 else 0.0
    relative = (costs + epsilon) / (limit + epsilon)
    per_member = 1 / (1 + np.exp(np.clip((relative - edge) / width, -500, 500)))
    return np.where(share_within(costs, limit) >= margin, per_member.mean(0), 0.0)


def rank_among_safe(returns: np.ndarray, safe: np.ndarray) -> np.ndarray:
    """The share of the safe weight [E] that lies in episodes of no higher return [E]: the best safe one's is 1; float64 [E]."""
    order = np.argsort(returns, kind="stable")
    ordered = returns[order]
    cumulative = np.cumsum(safe[order])
    last_equal = np.searchsorted(ordered, returns, side="right") - 1
    return cumulative[last_equal] / cumulative[-1]


def percentile(returns: np.ndarray) -> np.ndarray:
    """The share of all episodes with no higher return, float64 [E]."""
    return rank_among_safe(returns, np.ones(len(returns)))


def effective_number(weight: np.ndarray) -> float:
    """(sum of weights)^2 / sum of their squares: how many equally weighted episodes vary as little (Kish, 1965)."""
    return float(weight.sum() ** 2 / np.square(weight).sum())


def contradicted(held_out: np.ndarray, share: float = 0.1) -> float:
    """The share of labels [K, 2] that contradict P(safe) where it is most certain: in the tenth with the lowest or the tenth
    with the highest P(safe), whichever is smaller. It estimates the flip rate if flips are independent of the cost; of few
    labels it is too low, as the smaller of two noisy shares."""
    count = max(1, round(share * len(held_out)))
    label = held_out[np.argsort(held_out[:, 0], kind="stable"), 1]
    return float(min(label[:count].mean(), 1 - label[-count:].mean()))


def calibration(held_out: np.ndarray, bins: int = 10) -> list[dict[str, Any]]:
    """For each tenth of [0, 1] that holds any labels: the mean P(safe), the share of safe labels, and their number.

    Args:
        held_out: [K, 2], P(safe) and the label, 0 or 1.
        bins: equally wide parts of [0, 1].
    """
    at = np.minimum((held_out[:, 0] * bins).astype(np.int64), bins - 1)
    return [
        {"said": float(held_out[at == b, 0].mean()), "safe": float(held_out[at == b, 1].mean()), "labels": int((at == b).sum())}
        for b in np.unique(at)
    ]
