"""The recipe of a dataset, and its steps: sample, label, teach, add noise, filter."""

from __future__ import annotations

from dataclasses import KW_ONLY, asdict, dataclass, fields
from typing import Any, TypeVar

import numpy as np

from safefeedback.errors import InputError
from safefeedback.feedback.annotators import ANNOTATORS
from safefeedback.feedback.coverage import COVERAGE, kept_episodes
from safefeedback.feedback.filters import FILTERS, apply_filters
from safefeedback.feedback.labels import prefer_by_return, safe_by_cost, segment_cost_limit, window_sum
from safefeedback.feedback.noise import flip
from safefeedback.feedback.sampling import SAMPLERS, sample
from safefeedback.feedback.teachers import TEACHERS, Teacher
from safefeedback.feedback.variants import canonical, parse
from safefeedback.randomness import stream
from safefeedback.tasks import Task
from safefeedback.types import Episodes, Feedback, Pairs
from safefeedback.values import convert_fields

Chosen = TypeVar("Chosen", bound="Labelling")


@dataclass(frozen=True)
class Labelling:
    """Every choice that shapes the labels of given pairs.

    Attributes:
        task: what was recorded.
        cost_limit: kappa, the limit of an episode's cost; None takes the middle one of the task's limits.
        horizon: T in `cost <= limit * L / T`: "task", "longest" (the longest recorded episode), or a number of steps.
        teacher: who gives preferences, one of `safefeedback.feedback.teachers`.
        advantages: sha256 of the file of advantages that the teacher "regret" judges by; else empty.
        safety_noise: who gives safety labels, one of `safefeedback.feedback.annotators`.
        noise: share of the answered safety labels that are flipped, after the annotators.
        preference_noise: share of the decided preferences that are flipped, after the teacher.
        filters: names of filters, applied in this order.
        seed: of every random choice.

    Raises:
        InputError: if a value is out of range.
    """

    task: Task
    _: KW_ONLY
    cost_limit: float | None = None
    horizon: str | int = "task"
    teacher: str = "oracle"
    advantages: str = ""
    safety_noise: str = "none"
    noise: float = 0.0
    preference_noise: float = 0.0
    filters: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        convert_fields(self)
        if self.cost_limit is None:
            object.__setattr__(self, "cost_limit", self.task.default_cost_limit)
        if not 0 <= self.limit <= 1e100:
            raise InputError(f"--cost-limit must be 0 or a positive number, not {self.cost_limit}")
        for name in ("noise", "preference_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"--{name.replace('_', '-')} must lie in [0, 1], not {getattr(self, name)}")
        if self.horizon not in ("task", "longest") and not (isinstance(self.horizon, int) and 0 < self.horizon < 2**31):
            raise InputError(f"--horizon must be task, longest or a positive number of steps, not {self.horizon}")
        object.__setattr__(self, "teacher", canonical(self.teacher, TEACHERS, "--teacher"))
        object.__setattr__(self, "safety_noise", canonical(self.safety_noise, ANNOTATORS, "--safety-noise"))
        if self.teacher_settings.needs_advantages != bool(self.advantages):
            raise InputError("--teacher regret and --advantages FILE belong together: its scores are those advantages")
        for name in self.filters:
            if name not in FILTERS:
                raise InputError(f"there is no filter '{name}': choose from {', '.join(FILTERS)}")
        if len(set(self.filters)) < len(self.filters):
            raise InputError("a --filter is given twice")
        if not _is_whole(self.seed) or not 0 <= self.seed < 2**63:
            raise InputError(f"--seed must lie between 0 and 2^63 - 1, not {self.seed}")

    @property
    def limit(self) -> float:
        """The cost limit of an episode as a float."""
        assert self.cost_limit is not None
        return float(self.cost_limit)

    @property
    def teacher_settings(self) -> Teacher:
        """The teacher's settings."""
        return parse(self.teacher, TEACHERS, "--teacher")

    def horizon_steps(self, longest: int) -> int:
        """T, the number of steps to which the cost limit belongs; `longest` is the length of the longest recorded episode."""
        if isinstance(self.horizon, int):
            return self.horizon
        return self.task.horizon if self.horizon == "task" else longest

    def to_dict(self) -> dict[str, Any]:
        """The choices as JSON-ready values, the task by name; numbers that are equal are written alike."""
        values = {**asdict(self), "task": self.task.name, "filters": list(self.filters)}
        return {key: float(value) if key in _FLOATS else value for key, value in values.items()}

    @classmethod
    def from_dict(cls: type[Chosen], values: dict[str, Any], task: Task) -> Chosen:
        """The opposite of `to_dict`; choices that are absent take their default, those of another kind are passed over."""
        known = {field.name for field in fields(cls)} - {"task"}
        chosen = {key: value for key, value in values.items() if key in known}
        return cls(task, **{**chosen, "filters": tuple(chosen.get("filters", ()))})


@dataclass(frozen=True, kw_only=True)
class Recipe(Labelling):
    """Every choice that shapes a dataset, besides its source: which pairs are drawn, and their labelling.

    Attributes:
        pairs: N, pairs drawn before filtering.
        length: L, steps in a segment.
        test_fraction: share of the episodes, and of the pairs, that is held out as the test split.
        sampler: how they are drawn, one of `safefeedback.feedback.sampling`; "file" if they are given.
        coverage: from which episodes they are drawn, one of `safefeedback.feedback.coverage`.
        pairs_from: sha256 of the file that gives the pairs, in place of a sampler; else empty.

    Raises:
        InputError: if a value is out of range.
    """

    pairs: int
    length: int = 64
    test_fraction: float = 0.0
    sampler: str = "uniform"
    coverage: str = "all"
    pairs_from: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pairs_from:
            self._check_given()
        for name in ("pairs", "length"):
            if not _is_whole(getattr(self, name)):
                raise InputError(f"--{name} must be a whole number, not {getattr(self, name)}")
            if getattr(self, name) < 1:
                raise InputError(f"--{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.test_fraction < 1:
            raise InputError(f"--test-fraction must be at least 0 and less than 1, not {self.test_fraction}")
        object.__setattr__(self, "coverage", canonical(self.coverage, COVERAGE, "--coverage"))
        if not self.pairs_from:
            object.__setattr__(self, "sampler", canonical(self.sampler, SAMPLERS, "--sampler"))

    def _check_given(self) -> None:
        """Refuses what would change which pairs there are, where a file says that."""
        others = {
            "sampler": self.sampler not in ("uniform", "file"),
            "coverage": self.coverage != "all",
            "test-fraction": self.test_fraction,
            "filter": self.filters,
        }
        for name, is_given in others.items():
            if is_given:
                raise InputError(f"--pairs-from builds exactly the pairs of its file: leave --{name} out")
        object.__setattr__(self, "sampler", "file")

    def to_dict(self) -> dict[str, Any]:
        """As of the labelling; `pairs_from` and `coverage` only where they are given, so that older recipes stay."""
        usual = {"pairs_from": "", "coverage": "all"}
        return {key: value for key, value in super().to_dict().items() if key not in usual or value != usual[key]}

    @property
    def shape(self) -> dict[str, int]:
        """L, O and A of every segment, by the names under which a dataset states them."""
        return {"length": self.length, "observation_dim": self.task.observation_dim, "action_dim": self.task.action_dim}


def _is_whole(value: Any) -> bool:
    """Whether a choice, which a recipe.json may hold in any form, is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


_FLOATS = ("cost_limit", "noise", "preference_noise", "test_fraction")


def build(episodes: Episodes, recipe: Recipe, given: Pairs | None = None) -> Feedback:
    """Follows a recipe.

    Each stage draws from its own stream of the recipe's seed: noise never changes which pairs were drawn.

    Args:
        episodes: the recordings.
        recipe: every choice.
        given: the pairs, where the recipe's come from a file.

    Raises:
        InputError: if the recordings cannot give what the recipe asks for.
    """
    if (given is not None) != bool(recipe.pairs_from):
        raise InputError("a recipe with pairs_from needs the pairs of that file, and no other recipe takes any")
    longest = int(episodes.lengths.max())
    segment_limit = segment_cost_limit(recipe.limit, recipe.length, recipe.horizon_steps(longest))
    coverage = parse(recipe.coverage, COVERAGE, "--coverage")
    kept = kept_episodes(episodes, coverage, recipe.limit, stream(recipe.seed, "coverage"))
    pairs = given or sample(
        episodes, recipe.pairs, recipe.length, recipe.seed, recipe.test_fraction, recipe.sampler, segment_limit, kept
    )
    rows = pairs.rows(episodes)
    returns = window_sum(episodes.rewards, rows, recipe.length)
    costs = window_sum(episodes.costs, rows, recipe.length)
    for name, sums in (("rewards", returns), ("costs", costs)):
        if not np.isfinite(sums).all():
            raise InputError(f"{episodes.source.file}: {name} are so large that the sum over a segment is infinite")
    drawn = {"stage": "sample", "sampler": recipe.sampler, "pairs": len(pairs), "pairs_test": int(pairs.test.sum())}
    drawn |= {} if recipe.coverage == "all" else {"coverage": recipe.coverage, "episodes_left_out": int((~kept).sum())}
    history = (_source_entry(episodes, recipe), drawn)
    return label(pairs, returns, costs, recipe, longest, recipe.teacher_settings.scores(episodes, pairs), history)


def label(
    pairs: Pairs,
    returns: np.ndarray,
    costs: np.ndarray,
    labelling: Labelling,
    longest: int,
    scores: np.ndarray | None = None,
    history: tuple[dict, ...] = (),
) -> Feedback:
    """Labels pairs: the true labels, the teacher's and annotators' answers, flips, filters.

    Args:
        pairs: the N pairs.
        returns, costs: float64 [N, 2], of each segment.
        labelling: every choice.
        longest: steps of the longest recorded episode.
        scores: the teacher's scores, as from `Teacher.scores`.
        history: what was done so far.

    Raises:
        InputError: if the teacher needs scores and has none, or the filters leave nothing.
    """
    teacher, seed, horizon = labelling.teacher_settings, labelling.seed, labelling.horizon_steps(longest)
    segment_limit = segment_cost_limit(labelling.limit, pairs.length, horizon)
    clean_preference, clean_safe = prefer_by_return(returns), safe_by_cost(costs, segment_limit)
    entry = {
        "stage": "label",
        "horizon": horizon,
        "segment_cost_limit": segment_limit,
        "ties": int((clean_preference == 0.5).sum()),
        "safe": int(clean_safe.sum()),
        "segments": clean_safe.size,
    }
    history, preference, safe = (*history, entry), clean_preference, clean_safe
    marks: dict[str, np.ndarray] = {}
    if labelling.teacher != "oracle":
        if scores is None and teacher.needs_steps:
            raise InputError(
                f"--teacher {labelling.teacher} judges by single steps, so the recordings are needed: --source FILE"
            )
        judged = returns if scores is None else scores
        preference, marks, facts = teacher(judged, returns, stream(seed, "teacher"), clean_safe)
        history = (*history, {"stage": "teach", "teacher": labelling.teacher, **facts})
    if labelling.safety_noise != "none":
        annotator = parse(labelling.safety_noise, ANNOTATORS, "--safety-noise")
        safe, more = annotator(clean_safe, costs, segment_limit, stream(seed, "safety-noise"))
        marks = {**marks, **more}
        history = (
            *history,
            {
                "stage": "annotate",
                "safety_noise": labelling.safety_noise,
                "misses": int(((safe == 1) & (clean_safe == 0)).sum()),
                "false_alarms": int(((safe == 0) & (clean_safe == 1)).sum()),
                "unanswered": int(np.isnan(safe).sum()),
            },
        )
    safe, safe_flipped = flip(safe, labelling.noise, stream(seed, "noise"))
    preference, preference_flipped = flip(preference, labelling.preference_noise, stream(seed, "preference-noise"))
    flips = {
        "stage": "noise",
        "safety_flips": int(safe_flipped.sum()),
        "preference_flips": int(preference_flipped.sum()),
    }
    feedback = Feedback(
        pairs, returns, costs, clean_preference, clean_safe, preference, safe, history=(*history, flips), marks=marks
    )
    return apply_filters(feedback, labelling.filters)


def _source_entry(episodes: Episodes, recipe: Recipe) -> dict[str, Any]:
    return {
        "stage": "source",
        "steps": len(episodes.observations),
        "steps_after_last_episode": len(episodes.observations) - int(episodes.bounds[-1]),
        "episodes": len(episodes),
        "episodes_too_short": int((episodes.lengths < recipe.length).sum()),
        "longest_episode": int(episodes.lengths.max()),
        "converted": list(episodes.source.converted),
    }
