"""Ensembles of step models: each member is fitted without one fold of the labels, and evaluated on that fold.

As in Safe-RLHF's step models, with observations shifted and scaled over the known steps, and a model of cost that knows that
some safety labels may be flipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import finalize

import numpy as np
import torch
from torch import Tensor

from presa.algorithms.base import Algorithm, Examples, Range, Step, require_preferences, scheduled_rate
from presa.algorithms.ranges import AT_LEAST_ONE, POSITIVE
from presa.algorithms.safe_rlhf.step_models import BinaryCostModel, ModelExamples, RewardModel, step_inputs
from presa.data.pairs import Data, Split
from presa.losses import flipped_cost_loss, surest_contradicted
from presa.networks.mlp import Parameters
from safefeedback.errors import InputError
from safefeedback.randomness import choose, derived_seed, stream

FOLDS = 10  # each member is fitted without one of this many parts of the answers
MOST_FLIPS = 0.4
FLIPS_RATE = 0.02  # of the running means of the share of wrong labels where the model is most certain


@dataclass(frozen=True)
class MemberExamples(ModelExamples):
    """Pairs with their answers, observations normalised.

    Attributes:
        shift, scale: float32 [O], of the observations.
        left_out: int64 [K], the pairs whose answers the member does without: in `labels` they are unanswered.
        answers: name -> [K, ...], these answers.
    """

    shift: Tensor
    scale: Tensor
    left_out: Tensor
    answers: dict[str, Tensor]


@dataclass(frozen=True)
class RewardMember(RewardModel):
    """One of several models of reward.

    Attributes:
        member: its number, which determines its initial parameters and the answers it is not fitted to.
        shuffled: whether the answers are given to other pairs than they are about: a control.
    """

    learning_rate: float = 1e-3
    dropout: float = 0.0
    member: int = 0
    shuffled: bool = False

    def examples(self, data: Data) -> MemberExamples:
        require_preferences(data.train.preference)
        return self._answers(data, "preference")

    def _answers(self, data: Data, label: str) -> MemberExamples:
        """The pairs whose label is answered, in part or whole, without the member's own fold."""
        values = getattr(data.train, label)
        if self.shuffled:
            drawn = stream(0, f"shuffled-{label}-{data.identity['labels_sha256']}").bit_generator.random_raw(len(values))
            values = values[torch.from_numpy(np.argsort(drawn, kind="stable")).to(values.device)]
        answered = np.flatnonzero((~values.isnan()).cpu().numpy().reshape(len(values), -1).any(1))
        chosen = answered[choose(stream(self.member, "left-out"), len(answered), len(answered) // FOLDS)]
        left_out = torch.from_numpy(chosen).to(values.device)
        labels = {label: values.index_fill(0, left_out, torch.nan)}
        normal, nothing = normalized_segments(data), values.new_empty(0)
        return MemberExamples(normal.observations, data.train.actions, labels, 1, data.segment_limit, nothing, nothing,
                       normal.shift, normal.scale, left_out, {label: values[left_out]})  # fmt: skip

    def initial_parameters(self, data: Data, seed: int) -> Parameters:
        return super().initial_parameters(data, derived_seed(seed, f"member-{self.member}"))

    def rate(self, step: int) -> float:
        return scheduled_rate(self.learning_rate, "linear", step, self.steps)

    @torch.no_grad()
    def report(
        self, parameters: Parameters, examples: Examples, train: Split, test: Split | None, reference: Tensor | None
    ) -> dict[str, float]:
        """Accuracy on the answers the member was not fitted to, and on the held-out pairs."""
        assert isinstance(examples, MemberExamples)
        numbers = {}
        if len(examples.left_out):
            observations, actions = (values[examples.left_out] for values in (examples.observations, examples.actions))
            none = observations.new_full(observations.shape[:2], torch.nan)
            apart = Split(
                observations, actions, examples.answers.get("preference", none[:, 0]), examples.answers.get("safe", none)
            )
            accuracies = self.accuracy(self.segment_scores(parameters, observations, actions), apart, examples.limit)
            numbers = {name.replace("test_", "left_out_"): value for name, value in accuracies.items()}
        if test is not None:
            score = self.segment_scores(parameters, (test.observations - examples.shift) / examples.scale, test.actions)
            numbers |= self.accuracy(score, test, examples.limit)
        return numbers

    @torch.no_grad()
    def segment_scores(self, parameters: Parameters, observations: Tensor, actions: Tensor) -> Tensor:
        """The model's sums over segments [N, 2, L, ...]: [N, 2]; observations are normalised."""
        pairs = zip(observations.split(256), actions.split(256), strict=True)
        return torch.cat([self.values(parameters, step_inputs(*pair)).sum(-1) for pair in pairs])


@dataclass(frozen=True)
class CostMember(RewardMember, BinaryCostModel):
    """One of several models of cost; the share of flipped safety labels is estimated along with it.

    A model that predicts every segment to be near the limit explains flips as well as one with a flip rate, so the likelihood
    says little: expectation maximisation estimated 0.08 where the truth was 0.2. The rate is therefore estimated on the
    segments of which the model is most certain: the share of labels that contradict it there, on the side of the limit where
    that share is smaller, since errors of the model can only add to it.

    Attributes:
        flips: the share to begin with; 0 takes every label as true.
    """

    ranges: ClassVar[dict[str, Range]] = {
        **Algorithm.ranges,
        "flips": ("at least 0 and at most 0.4", lambda value: 0 <= value <= MOST_FLIPS),
    }

    flips: float = 0.05

    def examples(self, data: Data) -> MemberExamples:
        if not bool((~data.train.safe.isnan()).any()):
            raise InputError("no training segment has an answered safety label")
        return self._answers(data, "safe")

    def state(self, examples: Examples) -> dict[str, Tensor]:
        state = super().state(examples)
        first = torch.full_like(state["limit"], self.flips)
        return {**state, "flips": first, "contradicted": first.repeat(2)}

    def held_out(self, parameters: Parameters, examples: MemberExamples) -> tuple[np.ndarray, np.ndarray]:
        """P(safe) = sigmoid(limit - cost) of segments whose labels the member was not fitted to, and the labels, [2 K] each."""
        observations, actions = (values[examples.left_out] for values in (examples.observations, examples.actions))
        if not len(observations):
            return np.empty(0), np.empty(0)
        probability = torch.sigmoid(examples.limit - self.segment_scores(parameters, observations, actions).double())
        return probability.flatten().cpu().numpy(), examples.answers["safe"].double().flatten().cpu().numpy()

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        cost, flips, before = log_probability.sum(-1), state["flips"], state["contradicted"]
        loss = flipped_cost_loss(cost, batch["safe"], state["limit"], flips)
        shares = surest_contradicted(cost, batch["safe"])
        contradicted = torch.where(shares.isnan(), before, torch.lerp(before, shares, FLIPS_RATE))
        after = contradicted.amin(-1).clamp(max=MOST_FLIPS) if self.flips else flips
        return loss, {"flips": flips}, {**state, "flips": after, "contradicted": contradicted}


RANGES: dict[str, Range] = {  # of the settings that `ensemble` takes
    "model_steps": AT_LEAST_ONE,
    "members": AT_LEAST_ONE,
    "model_batch_size": AT_LEAST_ONE,
    "model_learning_rate": POSITIVE,
    "flips": (f"at least 0 and at most {MOST_FLIPS}", lambda value: 0 <= value <= MOST_FLIPS),
}
MODELS = {"reward": RewardMember, "cost": CostMember}


def check_members(steps: int, count: int) -> None:
    """Raises InputError if there are fewer steps than members that share them."""
    if steps < count:
        raise InputError(f"model_steps are divided among {count} members: give at least as many")


def ensemble(kinds: Sequence[str], count: int, flips: float, steps: int, **settings: Any) -> dict[str, RewardMember]:
    """The models to fit, as "reward_0": `count` of each kind, among which `steps` are divided; `settings` are fields of
    `RewardMember`."""
    own: dict[str, dict[str, Any]] = {"reward": {}, "cost": {"flips": flips}}
    return {
        f"{kind}_{member}": MODELS[kind](steps=steps // count, **settings, **own[kind], member=member)
        for kind in kinds
        for member in range(count)
    }


@torch.no_grad()
def step_estimates(
    data: Data, models: dict[str, RewardMember], results: dict[str, Parameters], kinds: Sequence[str]
) -> dict[str, Tensor]:
    """The rewards or costs of each known step by each member, kind -> float64 [members, M].

    A preference does not depend on a constant added to the reward of every step, which matters where episodes differ in
    length: rewards are shifted so that their mean over steps is 0.
    """
    shift, scale = observation_moments(data)
    inputs = step_inputs((data.steps.observations - shift) / scale, data.steps.actions)
    estimates = {}
    for kind in kinds:
        fitted = [(model, results[name]) for name, model in models.items() if name.startswith(kind)]
        values = torch.stack([model.all_values(parameters, inputs).double() for model, parameters in fitted])
        estimates[kind] = values - values.mean(1, keepdim=True) if kind == "reward" else values
    return estimates


@dataclass(frozen=True)
class NormalizedSegments:
    """The training pairs' observations [N, 2, L, O], shifted and scaled by [O] each."""

    observations: Tensor
    shift: Tensor
    scale: Tensor


_NORMAL: dict[int, NormalizedSegments] = {}  # by the id of the segments, as long as these are in memory


def normalized_segments(data: Data) -> NormalizedSegments:
    """The training pairs' observations over the mean and deviation of the known steps; made once for all that share them."""
    shift, scale = observation_moments(data)
    segments = data.train.observations
    kept = _NORMAL.get(id(segments))
    if kept is None or not torch.equal(kept.shift, shift):
        if kept is None:
            finalize(segments, _NORMAL.pop, id(segments), None)
        kept = _NORMAL[id(segments)] = NormalizedSegments((segments - shift) / scale, shift, scale)
    return kept


def observation_moments(data: Data) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the known steps' observations, [O] each."""
    observations = data.steps.observations
    return observations.mean(0), observations.std(0).clamp(min=1e-3)
