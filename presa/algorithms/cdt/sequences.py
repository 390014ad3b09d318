"""Training windows for sequence models: consecutive steps of an episode with their returns-to-go and costs-to-go.

A window is the last K steps up to one row of an episode; where the episode has fewer, it is padded on the left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from presa.algorithms.cdt.targets import Targets
from presa.data.pairs import Examples
from safefeedback.randomness import uniforms


@dataclass(frozen=True)
class Context:
    """B windows of K steps.

    Attributes:
        observations: float32 [B, K, O].
        actions: float32 [B, K, A], clipped to +-1.
        returns, costs: float32 [B, K], to go from each step on, that step's included; as they were recorded, not scaled.
        timesteps: int64 [B, K], counted from the episode's first step.
        step_costs: float32 [B, K], of each step alone.
        valid: bool [B, K], False where padded; the other values are then those of the episode's first step.
    """

    observations: Tensor
    actions: Tensor
    returns: Tensor
    costs: Tensor
    timesteps: Tensor
    step_costs: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Sequences(Examples):
    """M windows over T recorded steps; observations [T, O] and actions [T, A] are kept once, whatever M is.

    Attributes:
        begin: int64 [T], the row where each row's episode begins.
        to_go: float32 [T, 2], return and cost from each step to its episode's end.
        step_costs: float32 [T].
        end: int32 [M], the last row of each window.
        copy: int32 [M], which of `shifts` is added to a window's to_go.
        shifts: float32 [copies, 2]; the first is 0, the others are augmentation's.
        targets: of the task.
    """

    begin: Tensor
    to_go: Tensor
    step_costs: Tensor
    end: Tensor
    copy: Tensor
    shifts: Tensor
    targets: Targets

    def __len__(self) -> int:
        return len(self.end)

    def context(self, index: Tensor, steps: int) -> Context:
        """The windows with these indices [B], each `steps` long."""
        end = self.end[index].long()
        rows = end[:, None] + torch.arange(1 - steps, 1, device=end.device)
        begin = self.begin[end][:, None]
        valid = rows >= begin
        rows = torch.maximum(rows, begin)
        to_go = self.to_go[rows] + self.shifts[self.copy[index].long()][:, None]
        return Context(
            self.observations[rows],
            self.actions[rows].clamp(-1, 1),
            to_go[..., 0],
            to_go[..., 1],
            rows - begin,
            self.step_costs[rows],
            valid,
        )


def to_go(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The sum of values [T] from each step to its episode's end, float64 [T]; episode e is rows bounds[e] to bounds[e + 1]."""
    ends = np.repeat(bounds[1:], np.diff(bounds))
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return sums[ends] - sums[: len(values)]


def repeat_counts(costs: np.ndarray, largest_limit: float) -> np.ndarray:
    """How often each episode's windows are listed, int64 [E] from 7 for a cost of 0 to 1 from 1.5 times the largest limit on.

    OSRL draws in proportion to max(0, 70 - cost) where limits are 10, 20, 40; this is 70 - cost in steps of 10, scaled to the
    task's limits, and at least 1, so that the costliest episodes are drawn too.
    """
    return np.clip(np.ceil(7 - 4 * costs / max(largest_limit, 1.0)), 1, 7).astype(np.int64)


def augment(
    returns: np.ndarray, costs: np.ndarray, count: int, targets: Targets, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Augmented targets beyond the recorded ones, each paired with an episode (CDT, arXiv 2302.07351, section 4.2).

    Target costs are spaced evenly over the recorded range; each gets a target return drawn above the polynomial through the
    Pareto front of recorded returns. A target is paired with the nearest episode in (cost, return) among those that cost no
    more. If that episode is taken, it is replaced by a neighbour, drawn in proportion to 1 / (1 + distance) from those that
    cost no more and earn at most `max_decrease` less. (OSRL then pairs targets and episodes in another order; here each keeps
    its own.)

    Args:
        returns, costs: [E], of the episodes.
        count: how many targets.
        targets: of the task.
        rng: draws 2 x count numbers.

    Returns:
        Indices of episodes int64 [count], and their targets (return, cost) float64 [count, 2].
    """
    front = _pareto_front(returns, costs)
    degree = min(targets.degree, len(np.unique(costs[front])) - 1)
    curve = np.polynomial.Polynomial.fit(costs[front], returns[front], degree) if degree else None
    wished = np.linspace(costs.min(), costs.max(), count)
    low = (curve(wished) if curve is not None else np.full(count, returns[front].max())) + targets.min_gain
    high = np.maximum(low, targets.max_return)
    chance = uniforms(rng, 2 * count)
    wishes = np.stack([low + (high - low) * chance[:count], wished], axis=1)
    chosen = np.empty(count, np.int64)
    for k, (target, cost) in enumerate(wishes):
        distance = np.where(costs <= cost, np.hypot(costs - cost, returns - target), np.inf)
        nearest = int(np.argmin(distance))
        if nearest in chosen[:k]:
            stands_in = (costs <= costs[nearest]) & (returns >= returns[nearest] - targets.max_decrease)
            away = np.hypot(costs - costs[nearest], returns - returns[nearest])
            share = np.cumsum(stands_in / (1 + away))
            nearest = int(np.searchsorted(share, chance[count + k] * share[-1], side="right"))
        chosen[k] = nearest
    return chosen, wishes


def _pareto_front(returns: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """The Pareto-optimal episodes, by cost: no other earns as much at a lower cost, or more at the same cost."""
    order = np.lexsort((-returns, costs))
    best = np.concatenate([[-np.inf], np.maximum.accumulate(returns[order])[:-1]])
    return order[returns[order] > best]
