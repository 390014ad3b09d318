"""Behaviour cloning of whole recorded episodes, weighted by their safety and return as estimated from feedback on segments.

Step-wise reward and cost models are fitted to the preferences and the safety labels, and summed over whole episodes. The
policy clones every known step, and then the steps of each episode in proportion to

    P(safe) exp((rank among the safe - 1) / temperature).

Its relatives clone the best episodes by true returns (percentile BC: Chen et al., arXiv 2106.01345; filtered BC: Emmons et al.,
arXiv 2112.10751), or weight steps by advantages (MARWIL: Wang et al., 2018). Ranks of episodes from comparisons of parts of
them: Brown et al., arXiv 1904.06387.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from presa.algorithms.base import Examples, FromCloning, Network, Step, scheduled_rate, step_examples
from presa.algorithms.ranges import NOT_NEGATIVE, POSITIVE, Range
from presa.algorithms.weighted_bc.conditioned import (
    LimitNetwork,
    describe_limits,
    limit_examples,
    limit_facts,
    with_limit_weight,
)
from presa.algorithms.weighted_bc.controls import RULES, EpisodeEstimates, WeightRule
from presa.algorithms.weighted_bc.members import MODELS, CostMember, RewardMember, check_members, ensemble, step_estimates
from presa.algorithms.weighted_bc.members import RANGES as MEMBER_RANGES
from presa.data.episode_weights import (
    EpisodeWeights,
    episode_sums,
    probability_of_safety,
    rank_among_safe,
    share_within,
    standardized,
)
from presa.data.pairs import Data
from presa.networks.mlp import Parameters
from safefeedback.errors import InputError


@dataclass(frozen=True)
class WeightedBC(FromCloning):
    """Least squares on the actions of every known step first, then of the episodes in proportion to their weights.

    Attributes:
        schedule: of the learning rate on the weighted steps: "flat", or "linear" towards 0.
        model_steps: how many of `steps` fit the models of reward, and as many those of cost, divided among the members; a
            control that needs no models leaves them out.
        members: models of each kind; they differ in their initial parameters, their batches, and the tenth of the answers
            left out.
        model_batch_size: pairs in a batch of theirs.
        model_hidden: widths of their hidden layers.
        model_learning_rate: of Adam for them, falling to 0.
        flips: share of flipped safety labels that the models of cost begin with and then estimate; 0 takes all as true.
        edge, width: P(safe) = sigmoid((edge - cost / limit) / width), averaged over the members.
        margin: share of the members that must put an episode's cost within the limit; else its weight is 0.
        temperature: of the rank among the safe.
        judge_limits: cost limits that one policy is trained for, any of which can be set when it is evaluated; none for the
            limit of the labels alone. Episodes are weighted at each of them by the same estimated costs.
        weights: what the weights are made of: "feedback", or one of the controls of `presa.algorithms.weighted_bc.controls`.
    """

    takes_presets: ClassVar[bool] = False
    compares_with_reference: ClassVar[bool] = False
    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        **FromCloning.choices,
        "cloning": ("steps",),
        "schedule": ("flat", "linear"),
        "weights": tuple(RULES),
    }
    ranges: ClassVar[dict[str, Range]] = {
        **FromCloning.ranges,
        **MEMBER_RANGES,
        "edge": POSITIVE,
        "width": POSITIVE,
        "margin": ("between 0 and 1", lambda value: 0 <= value <= 1),
        "temperature": POSITIVE,
        "bc_steps": NOT_NEGATIVE,
    }

    steps: int = 10_600
    bc_steps: int = 3_000
    batch_size: int = 4
    learning_rate: float = 3e-4
    bc_learning_rate: float | None = 1e-3
    bc_schedule: str = "linear"
    schedule: str = "linear"
    normalize_observations: bool = True
    model_steps: int = 1_800
    members: int = 3
    model_batch_size: int = 64
    model_hidden: tuple[int, ...] = (128, 128)
    model_learning_rate: float = 1e-3
    flips: float = 0.05
    edge: float = 0.9
    width: float = 0.03
    margin: float = 0.5
    temperature: float = 0.3
    judge_limits: tuple[float, ...] = ()
    weights: str = "feedback"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.judge_limits)) < len(self.judge_limits) or not all(0 <= limit <= 1e100 for limit in self.judge_limits):
            raise InputError(f"judge_limits must be different numbers, 0 or more, not {self.judge_limits}")
        check_members(self.model_steps, self.members)
        if self.own_steps < 1:
            raise InputError(
                f"cloning takes {self.bc_steps:,} and the models 2 x {self.model_steps:,} of the {self.steps:,} steps: "
                "none is left"
            )

    @property
    def rule(self) -> WeightRule:
        """What the weights are made of."""
        return RULES[self.weights]

    @property
    def stacks_tasks(self) -> bool:  # type: ignore[override]
        """Not with a limit as input, which comes after the observation."""
        return not self.judge_limits

    @property
    def needs_trajectories(self) -> bool:  # type: ignore[override]
        """Whether true rewards and costs are read."""
        return self.rule.truth

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What every result must say."""
        return (self.rule.note,) if self.rule.note else ()

    @property
    def own_steps(self) -> int:
        return self.steps - self.bc_steps - 2 * self.model_steps

    def rate(self, step: int) -> float:
        return scheduled_rate(self.learning_rate, self.schedule, step, self.own_steps)

    def preparations(self) -> dict[str, RewardMember]:  # type: ignore[override]
        return ensemble(
            self.rule.fits,
            self.members,
            self.flips,
            self.model_steps,
            batch_size=self.model_batch_size,
            hidden=self.model_hidden,
            learning_rate=self.model_learning_rate,
            precision=self.precision,
            shuffled=self.rule.shuffled,
        )

    def prepared(self, data: Data, results: dict[str, Parameters]) -> Data:
        """The data with a weight for every episode."""
        weights = self.weigh(data, results)
        return data.with_weights(weights, {limit: self._weights_at(limit, weights, data) for limit in self.judge_limits})

    def weigh(self, data: Data, results: dict[str, Parameters]) -> EpisodeWeights:
        """The weight of each episode, from the fitted models or, for some controls, from the truth.

        Raises:
            InputError: if no episode counts.
        """
        episode, index = np.unique(data.steps.episode, return_inverse=True)
        known_steps = np.bincount(index)
        lengths = np.array([data.steps.lengths.get(int(number), data.task.horizon) for number in episode], np.float64)
        lengths = np.maximum(lengths, known_steps)
        if self.rule.truth:
            returns, costs = self._true_sums(data, episode)
        else:
            returns, costs = self._estimates(data, results, index, lengths)
        assumed_lengths = sum(int(number) not in data.steps.lengths for number in episode)
        nothing, apart = np.zeros(len(episode)), self._held_out(data, results)
        estimated_kinds = tuple(MODELS) if self.rule.truth else self.rule.fits
        estimated = EpisodeWeights(
            episode, lengths, known_steps, returns, costs, nothing, nothing, nothing, assumed_lengths, apart, estimated_kinds
        )
        own = data.cost_limit
        limit = min(self.judge_limits, key=lambda one: abs(one - own)) if self.judge_limits else own
        return self._weights_at(limit, estimated, data)

    def _weights_at(self, limit: float, estimated: EpisodeWeights, data: Data) -> EpisodeWeights:
        """The episode weights at another cost limit, from the same estimates of returns and costs."""
        costs, score = estimated.costs, standardized(estimated.returns).mean(0)
        safe = probability_of_safety(costs, limit, self.edge, self.width, self.margin)
        if not safe.any():
            raise InputError(
                f"no recorded episode seems to keep cost limit {limit:g} (margin {self.margin:g} of the members): "
                "there is nothing safe to clone"
            )
        within, identity = share_within(costs, limit), str(data.identity["labels_sha256"])
        weight = self.rule.weight(EpisodeEstimates(score, safe, within, self.temperature, identity))
        return replace(estimated, safe=safe, rank=rank_among_safe(score, safe), weight=weight)

    def _estimates(
        self, data: Data, results: dict[str, Parameters], index: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns and costs of each episode by each member, float64 [members, E]; zeros where no such model was fitted."""
        sums = {kind: np.zeros((1, len(lengths))) for kind in MODELS}
        for kind, values in step_estimates(data, self.preparations(), results, self.rule.fits).items():
            sums[kind] = np.stack([episode_sums(member, index, lengths) for member in values.cpu().numpy()])
        return sums["reward"], sums["cost"]

    @torch.no_grad()
    def _held_out(self, data: Data, results: dict[str, Parameters]) -> np.ndarray | None:
        """P(safe) of segments whose labels a model of cost was not fitted to, and the labels, [K, 2]; None without any."""
        parts = []
        for name, model in self.preparations().items():
            if isinstance(model, CostMember):
                probability, safe = model.held_out(results[name], model.examples(data))
                parts.append(np.stack([probability, safe], -1)[~np.isnan(safe)])
        return np.concatenate(parts) if sum(map(len, parts)) else None

    def _true_sums(self, data: Data, episode: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The true return and cost of each episode, float64 [1, E].

        Raises:
            InputError: if the recordings are not those the dataset was cut from, or steps of others are known as well.
        """
        if data.episodes is None or data.episodes.source.fingerprint != data.identity["source_sha256"]:
            raise InputError(f"weights={self.weights} needs the recordings the dataset was cut from, with rewards and costs")
        if data.unlabelled is not None and not data.unlabelled_is_own:
            raise InputError(
                f"weights={self.weights} knows no true rewards and costs of other recordings: use --unlabelled own"
            )
        first = data.episodes.bounds[:-1]
        sums = (np.add.reduceat(values, first) for values in (data.episodes.rewards, data.episodes.costs))
        returns, costs = (total[episode][None] for total in sums)
        return returns, costs

    def examples(self, data: Data) -> Examples:
        if data.weights_by_limit:
            return limit_examples(data)
        return step_examples(data, None if data.weights is None else data.weights.of_steps(data.steps.episode))

    def from_reference(self, reference: Parameters) -> Parameters:
        return with_limit_weight(reference) if self.judge_limits else reference

    def network(self, parameters: Parameters, rows: int) -> Network:
        if self.judge_limits:
            return LimitNetwork.of(parameters, rows, self.dropout, self.precision)
        return super().network(parameters, rows)

    def policy_facts(self, data: Data, examples: Examples) -> dict[str, Any]:
        return {"limit_input": limit_facts(data), "judge_limits": list(self.judge_limits)} if self.judge_limits else {}

    def findings(self, data: Data) -> dict[str, Any]:
        assert data.weights is not None
        return data.weights.facts() | ({"limits": describe_limits(data)} if data.weights_by_limit else {})

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        loss = -log_probability.mean()
        return loss, {"cloning_loss": loss.detach()}, state
