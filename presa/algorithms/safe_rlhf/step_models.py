"""Reward and cost models of single steps, fitted to feedback on segments (Safe-RLHF, arXiv 2310.12773).

A model is an MLP of a step's observation and action [O + A] with ReLU and one output; a cost is that output's softplus, so
that no step has a negative cost. A segment's reward or cost is the sum over its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from presa.algorithms.base import Algorithm, Examples, Step, require_preferences
from presa.data.pairs import Data, Split
from presa.data.trajectories import training_episodes
from presa.losses import cost_model_loss, preference_loss
from presa.networks.backprop import Backprop
from presa.networks.mlp import Parameters, initial_parameters, perceptron
from presa.offline import preference_accuracy
from safefeedback.errors import InputError

CHUNK_STEPS = 1 << 16


@dataclass(frozen=True)
class ModelExamples(Examples):
    """Pairs, and steps with their true rewards or costs, which are used to evaluate a model and for nothing else.

    Attributes:
        limit: the segment cost above which a segment is unsafe.
        probe: float32 [P, O + A], steps of the held-out episodes, or of all if there are none.
        truth: float32 [P], their true rewards or costs.
    """

    limit: float
    probe: Tensor
    truth: Tensor


@dataclass(frozen=True)
class StepNetwork:
    """The step models of R runs in training; without dropout."""

    model: RewardModel
    layers: Backprop

    def draw(self, generators: Sequence[torch.Generator]) -> None:
        """Draws nothing."""

    def scores(self, parameters: Parameters, observations: Tensor, actions: Tensor) -> Tensor:
        """The model's output for each step: [R, B, ...] of [R, B, ..., O] and [R, B, ..., A]."""
        inputs = step_inputs(observations, actions)
        output = self.layers.perceptron(parameters, inputs.flatten(1, -2))[..., 0]
        return self.model.from_output(output).view(inputs.shape[:-1])


@dataclass(frozen=True)
class RewardModel(Algorithm):
    """Bradley-Terry on the preferences: -log sigmoid of the difference of the segments' rewards."""

    stacks_tasks: ClassVar[bool] = False  # as an action's weights come after those of the observation

    def examples(self, data: Data) -> ModelExamples:
        require_preferences(data.train.preference)
        return model_examples(data, "rewards", preference=data.train.preference)

    def initial_parameters(self, data: Data, seed: int) -> Parameters:
        return initial_parameters(data.task.observation_dim + data.task.action_dim, 1, self.hidden, seed)

    def state(self, examples: Examples) -> dict[str, Tensor]:
        assert isinstance(examples, ModelExamples)
        return {"limit": examples.observations.new_full((), examples.limit)}

    def network(self, parameters: Parameters, rows: int) -> StepNetwork:
        return StepNetwork(self, Backprop(parameters, rows, 0.0, self.precision))

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        """The loss, given the model's output for every step [B, 2, L]."""
        return self.score_loss(log_probability.sum(-1), batch, state["limit"]), {}, state

    def values(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """The model's reward or cost of each step: [...] of [..., O + A]."""
        return self.from_output(perceptron(parameters, inputs)[..., 0])

    def from_output(self, output: Tensor) -> Tensor:
        """The reward or cost, given what the last layer sums up."""
        return output

    @torch.no_grad()
    def all_values(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """The same of many steps, [P] of [P, O + A], part by part."""
        return torch.cat([self.values(parameters, part) for part in inputs.split(CHUNK_STEPS)])

    def score_loss(self, score: Tensor, batch: dict[str, Tensor], limit: Tensor) -> Tensor:
        """The loss of a batch of pairs' scores [B, 2], given the cost up to which a segment is safe."""
        return preference_loss(score, batch["preference"])

    @torch.no_grad()
    def report(
        self, parameters: Parameters, examples: Examples, train: Split, test: Split | None, reference: Tensor | None
    ) -> dict[str, float]:
        """Correlation with the truth over steps, and accuracy on held-out labels."""
        assert isinstance(examples, ModelExamples)
        numbers = {"true_correlation": correlation(self.all_values(parameters, examples.probe), examples.truth)}
        if test is None:
            return numbers
        pairs = zip(test.observations.split(256), test.actions.split(256), strict=True)
        scores = torch.cat([self.values(parameters, step_inputs(*pair)).sum(-1) for pair in pairs])
        return numbers | self.accuracy(scores, test, examples.limit)

    def accuracy(self, score: Tensor, split: Split, limit: float) -> dict[str, float]:
        """Shares of held-out answers that the segments' scores [N, 2] agree with."""
        return {"test_preference_accuracy": preference_accuracy(score, split.preference)}


@dataclass(frozen=True)
class BinaryCostModel(RewardModel):
    """Costs from the safety labels alone: -log sigmoid(s (C - limit)), s = +1 for unsafe and -1 for safe segments."""

    def examples(self, data: Data) -> ModelExamples:
        if not bool((~data.train.safe.isnan()).any()):
            raise InputError("no training segment has an answered safety label")
        return model_examples(data, "costs", safe=data.train.safe)

    def initial_parameters(self, data: Data, seed: int) -> Parameters:
        """Initialised so that a segment's predicted cost is about the limit."""
        parameters, last = super().initial_parameters(data, seed), f"bias_{len(self.hidden)}"
        per_step = max(data.segment_limit / data.length, 1e-3)
        return parameters | {last: torch.full((1,), float(np.log(np.expm1(per_step))))}

    def from_output(self, output: Tensor) -> Tensor:
        return softplus(output)

    def score_loss(self, score: Tensor, batch: dict[str, Tensor], limit: Tensor) -> Tensor:
        return cost_model_loss(score, batch["safe"], limit, batch.get("costlier"))

    def accuracy(self, score: Tensor, split: Split, limit: float) -> dict[str, float]:
        answered = ~split.safe.isnan()
        agree = (score <= limit)[answered] == (split.safe == 1)[answered]
        return {"test_safety_accuracy": float(agree.float().mean())}


@dataclass(frozen=True)
class CostModel(BinaryCostModel):
    """The same, and Bradley-Terry on which of two segments costs more, which only the oracle knows."""

    def examples(self, data: Data) -> ModelExamples:
        if data.train.costs is None:
            raise InputError("cost preferences come from the oracle: read the dataset with load_data(..., oracle=True)")
        examples = super().examples(data)
        return model_examples(data, "costs", safe=examples.labels["safe"], costlier=costlier_segment(data.train.costs))

    def accuracy(self, score: Tensor, split: Split, limit: float) -> dict[str, float]:
        numbers = super().accuracy(score, split, limit)
        if split.costs is None:
            return numbers
        return numbers | {"test_cost_preference_accuracy": preference_accuracy(score, costlier_segment(split.costs))}


def model_examples(data: Data, truth: str, **labels: Tensor) -> ModelExamples:
    """Every training pair with those labels, and the true "rewards" or "costs" of held-out steps, for evaluation."""
    kept = set(training_episodes(data))
    episodes = data.episodes
    assert episodes is not None, "training_episodes says so first"
    judged = [e for e in range(len(episodes)) if e not in kept] or sorted(kept)
    rows = np.concatenate([np.arange(*episodes.bounds[e : e + 2]) for e in judged])
    device = data.train.observations.device
    arrays = (episodes.observations[rows], episodes.actions[rows], getattr(episodes, truth)[rows].astype(np.float32))
    observations, actions, values = (torch.from_numpy(array).to(device) for array in arrays)
    probe = step_inputs(observations, actions)
    return ModelExamples(data.train.observations, data.train.actions, labels, 1, data.segment_limit, probe, values)


def costlier_segment(costs: Tensor) -> Tensor:
    """The index of the segment that costs more, 0.5 where both cost the same: float32 [N] of [N, 2]."""
    return (torch.sign(costs[:, 1] - costs[:, 0]) + 1) / 2


def step_inputs(observations: Tensor, actions: Tensor) -> Tensor:
    """The model's input for steps: [..., O + A], actions clipped to +-1."""
    return torch.cat([observations, actions.clamp(-1, 1)], -1)


def correlation(one: Tensor, other: Tensor) -> float:
    """Pearson's, of two [P]; NaN where either is constant."""
    one, other = one.double() - one.double().mean(), other.double() - other.double().mean()
    return float((one * other).sum() / (one.square().sum() * other.square().sum()).sqrt())
