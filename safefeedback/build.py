"""The recipe of a dataset, and how it is followed: sample, label, add noise, filter."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.filters import FILTERS, keep
from safefeedback.labels import prefer_by_return, safe_by_cost, segment_cost_limit, window_sum
from safefeedback.noise import flip
from safefeedback.randomness import stream
from safefeedback.sampling import SAMPLERS, sample
from safefeedback.tasks import Task
from safefeedback.types import Episodes, Feedback


@dataclass(frozen=True)
class Recipe:
    """Every choice that shapes a dataset, besides its source.

    Attributes:
        task: what was recorded.
        pairs: N, pairs drawn before filtering.
        length: L, steps in a segment.
        cost_limit: kappa, the limit of an episode's cost; None takes the middle one of the task's limits.
        horizon: T in `cost <= limit * L / T`: "task", "longest" (the longest recorded episode), or a number of steps.
        noise: share of the 2N safety labels that are flipped.
        preference_noise: share of the preferences that are flipped; ties are not counted.
        filters: names of filters, applied in this order.
        test_fraction: share of the episodes, and of the pairs, that is held out as the test split.
        sampler: name of the sampler.
        seed: of every random choice.

    Raises:
        InputError: if a value is out of range.
    """

    task: Task
    pairs: int
    length: int = 64
    cost_limit: float | None = None
    horizon: str | int = "task"
    noise: float = 0.0
    preference_noise: float = 0.0
    filters: tuple[str, ...] = ()
    test_fraction: float = 0.0
    sampler: str = "uniform"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.cost_limit is None:
            object.__setattr__(self, "cost_limit", self.task.default_cost_limit)
        for name in ("pairs", "length"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.limit <= 1e100:
            raise InputError(f"--cost-limit must be 0 or a positive number, not {self.cost_limit}")
        for name in ("noise", "preference_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"--{name.replace('_', '-')} must lie in [0, 1], not {getattr(self, name)}")
        if not 0 <= self.test_fraction < 1:
            raise InputError(f"--test-fraction must be at least 0 and less than 1, not {self.test_fraction}")
        if self.horizon not in ("task", "longest") and not (isinstance(self.horizon, int) and 0 < self.horizon < 2**31):
            raise InputError(f"--horizon must be task, longest or a positive number of steps, not {self.horizon}")
        for name in self.filters:
            if name not in FILTERS:
                raise InputError(f"there is no filter '{name}': choose from {', '.join(FILTERS)}")
        if len(set(self.filters)) < len(self.filters):
            raise InputError("a --filter is given twice")
        if self.sampler not in SAMPLERS:
            raise InputError(f"there is no sampler '{self.sampler}': choose from {', '.join(SAMPLERS)}")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"--seed must lie between 0 and 2^63 - 1, not {self.seed}")

    @property
    def limit(self) -> float:
        """The cost limit of an episode as a float."""
        assert self.cost_limit is not None
        return float(self.cost_limit)

    @property
    def shape(self) -> dict[str, int]:
        """L, O and A of every segment, by the names under which a dataset states them."""
        return {"length": self.length, "observation_dim": self.task.observation_dim, "action_dim": self.task.action_dim}

    def to_dict(self) -> dict[str, Any]:
        """The choices as JSON-ready values, the task by name; numbers that are equal are written alike."""
        values = {**asdict(self), "task": self.task.name, "filters": list(self.filters)}
        return {key: float(value) if key in _FLOATS else value for key, value in values.items()}


_FLOATS = ("cost_limit", "noise", "preference_noise", "test_fraction")


def resolve_horizon(recipe: Recipe, episodes: Episodes) -> int:
    """T, the number of steps to which the cost limit belongs."""
    choices = {"task": recipe.task.horizon, "longest": int(episodes.lengths.max())}
    return recipe.horizon if isinstance(recipe.horizon, int) else choices[recipe.horizon]


def build(episodes: Episodes, recipe: Recipe) -> Feedback:
    """Follows a recipe.

    Each stage draws from its own stream of the recipe's seed: noise never changes which pairs were drawn.

    Raises:
        InputError: if the recordings cannot give what the recipe asks for.
    """
    pairs = sample(episodes, recipe.pairs, recipe.length, recipe.seed, recipe.test_fraction, recipe.sampler)
    rows, horizon = pairs.rows(episodes), resolve_horizon(recipe, episodes)
    returns = window_sum(episodes.rewards, rows, recipe.length)
    costs = window_sum(episodes.costs, rows, recipe.length)
    for name, sums in (("rewards", returns), ("costs", costs)):
        if not np.isfinite(sums).all():
            raise InputError(f"{episodes.source.file}: {name} are so large that the sum over a segment is infinite")
    clean_preference = prefer_by_return(returns)
    clean_safe = safe_by_cost(costs, recipe.limit, recipe.length, horizon)
    safe, safe_flipped = flip(clean_safe, recipe.noise, stream(recipe.seed, "noise"))
    preference, preference_flipped = flip(clean_preference, recipe.preference_noise, stream(recipe.seed, "preference-noise"))
    history = (
        _source_entry(episodes, recipe),
        {"stage": "sample", "sampler": recipe.sampler, "pairs": len(pairs), "pairs_test": int(pairs.test.sum())},
        {
            "stage": "label",
            "horizon": horizon,
            "segment_cost_limit": segment_cost_limit(recipe.limit, recipe.length, horizon),
            "ties": int((clean_preference == 0.5).sum()),
            "safe": int(clean_safe.sum()),
            "segments": clean_safe.size,
        },
        {
            "stage": "noise",
            "safety_flips": int(safe_flipped.sum()),
            "preference_flips": int(preference_flipped.sum()),
        },
    )
    feedback = Feedback(pairs, returns, costs, clean_preference, clean_safe, preference, safe, history)
    return keep(feedback, recipe.filters)


def _source_entry(episodes: Episodes, recipe: Recipe) -> dict[str, Any]:
    return {
        "stage": "source",
        "steps": len(episodes.observations),
        "steps_after_last_episode": len(episodes.observations) - int(episodes.bounds[-1]),
        "episodes": len(episodes),
        "episodes_too_short": int((episodes.lengths < recipe.length).sum()),
        "converted": list(episodes.source.converted),
    }
