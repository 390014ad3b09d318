"""TraC (Gong, Kumar and Varakantham, arXiv 2412.15429): a logistic loss that makes the actions of desirable pieces of
episodes more likely and those of undesirable ones less likely, without a multiplier or a reference point.

`trac` labels pieces of episodes by their true returns and costs, as its authors do. `trac-feedback` classifies the segments
of a dataset by their labels: undesirable if labelled unsafe, desirable if labelled safe and ranked in the upper part of the
safe ones by a model of reward fitted to the preferences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from presa import losses
from presa.algorithms.base import Examples, FromReference, Step, require_preferences
from presa.algorithms.ranges import AT_LEAST_ONE, NOT_NEGATIVE, POSITIVE, UP_TO_ONE, Range
from presa.algorithms.weighted_bc.members import RewardMember, observation_moments
from presa.data.pairs import Data
from presa.data.trajectories import training_episodes
from presa.networks.mlp import Parameters
from safefeedback.errors import InputError
from safefeedback.feedback.labels import segment_cost_limit


@dataclass(frozen=True)
class TracFeedback(FromReference):
    """The logistic loss on segments, classified by feedback alone.

    Attributes:
        alpha: temperature of a segment's score (TraC's alpha).
        eta: total weight of the undesirable segments, in units of that of the desirable ones.
        top: share of the safe segments, best first, that are desirable; the others are left out.
        least_weight: weight of the worst safe segment; it grows evenly with the return to 1 for the best.
        anchor: weight of the squared error to the recorded actions of the batch, added to the loss.
        model_steps: how many of `steps` fit the model of reward.
        model_batch_size, model_hidden, model_learning_rate: its pairs in a batch, widths, and Adam's rate, which falls to 0.
    """

    takes_presets: ClassVar[bool] = False
    ranges: ClassVar[dict[str, Range]] = {
        **FromReference.ranges,
        "alpha": POSITIVE,
        "eta": POSITIVE,
        "top": UP_TO_ONE,
        "least_weight": UP_TO_ONE,
        "anchor": NOT_NEGATIVE,
        "model_steps": NOT_NEGATIVE,
        "model_batch_size": AT_LEAST_ONE,
        "model_learning_rate": POSITIVE,
    }

    steps: int = 10_500
    bc_steps: int = 5_000
    batch_size: int = 32
    normalize_observations: bool = True
    bc_learning_rate: float | None = 1e-3
    bc_schedule: str = "linear"
    learning_rate: float = 1e-5
    rate_after_bc: str = "flat"
    alpha: float = 0.2
    eta: float = 0.25
    top: float = 0.5
    least_weight: float = 1.0
    anchor: float = 0.0
    model_steps: int = 1_500
    model_batch_size: int = 64
    model_hidden: tuple[int, ...] = (128, 128)
    model_learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.own_steps < 1:
            raise InputError(
                f"cloning takes {self.bc_steps:,} and the model of reward {self.model_steps:,} of the {self.steps:,} steps: "
                "none is left"
            )

    @property
    def own_steps(self) -> int:
        return self.steps - self.bc_steps - self.model_steps

    def preparations(self) -> dict[str, RewardMember]:  # type: ignore[override]
        settings: dict[str, Any] = {
            "steps": self.model_steps,
            "batch_size": self.model_batch_size,
            "hidden": self.model_hidden,
            "learning_rate": self.model_learning_rate,
            "precision": self.precision,
        }
        return {"reward": RewardMember(**settings)}

    def prepared(self, data: Data, results: dict[str, Parameters]) -> Data:
        """The data with the model's score of every training segment."""
        shift, scale = observation_moments(data)
        (model,) = self.preparations().values()
        score = model.segment_scores(results["reward"], (data.train.observations - shift) / scale, data.train.actions)
        return replace(data, train=replace(data.train, score=score))

    def examples(self, data: Data) -> Examples:
        """Every segment that is desirable or undesirable."""
        require_preferences(data.train.preference)
        assert data.train.score is not None, "the model of reward is fitted first"
        safe, score = data.train.safe.flatten(), data.train.score.flatten()
        desirable, weight = classify(score, safe, self.top, self.eta, self.least_weight)
        kept = ~desirable.isnan()
        observations, actions = (values.flatten(0, 1)[kept] for values in (data.train.observations, data.train.actions))
        labels = {"desirable": desirable[kept], "weight": weight[kept]}
        return Examples(observations, actions, labels, per_pair=2)

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        present = batch.get("present")
        if present is not None:  # episodes of different lengths, filled up to the longest
            log_probability = torch.where(present > 0, log_probability, batch["reference"])
        score = self.alpha * losses.segment_score(log_probability, batch["reference"], self.discount)
        classified = losses.classification_loss(score, batch["desirable"], batch["weight"])
        error = -log_probability.mean() if present is None else -(log_probability * present).sum() / present.sum()
        right = (score.detach() > 0) == (batch["desirable"] > 0)
        info = {"classification_loss": classified.detach(), "classified_right": right.to(score.dtype).mean()}
        return classified + self.anchor * error, info, state


@dataclass(frozen=True)
class Trac(TracFeedback):
    """The same loss on pieces of whole episodes, classified by their true returns and costs.

    The settings are the authors' for Bullet, except for the batch (96 episodes there), which is reduced to what a CPU can
    train on.

    Attributes:
        piece: length of a piece, as a share of the longest episode; 1 takes them whole (SafetyGym 0.75, MetaDrive 0.25).
        stride: steps between the first steps of two pieces of an episode.
        batch_size: pieces in a batch.
    """

    needs_trajectories: ClassVar[bool] = True
    ranges: ClassVar[dict[str, Range]] = {**TracFeedback.ranges, "piece": UP_TO_ONE, "stride": AT_LEAST_ONE}

    steps: int = 100_000
    bc_steps: int = 30_000
    batch_size: int = 16
    dropout: float = 0.25
    normalize_observations: bool = False
    bc_learning_rate: float | None = None
    bc_schedule: str = "flat"
    learning_rate: float = 1e-4
    rate_after_bc: str = "warm-up"
    discount: float = 0.99
    least_weight: float = 0.7
    model_steps: int = 0
    piece: float = 1.0
    stride: int = 6

    @property
    def own_steps(self) -> int:
        return self.steps - self.bc_steps

    def preparations(self) -> dict[str, RewardMember]:  # type: ignore[override]
        return {}

    def prepared(self, data: Data, results: dict[str, Parameters]) -> Data:
        return data

    def examples(self, data: Data) -> Examples:
        """Every piece that is desirable or undesirable, filled up to the longest one's length."""
        episodes, chosen = data.episodes, training_episodes(data)
        assert episodes is not None, "training_episodes says so first"
        bounds = episodes.bounds
        longest = max(int(bounds[e + 1] - bounds[e]) for e in chosen)
        length = max(1, round(self.piece * longest))
        spans = [
            (int(first), int(min(first + length, bounds[e + 1])))
            for e in chosen
            for first in range(bounds[e], max(bounds[e + 1] - length, bounds[e]) + 1, self.stride)
        ]
        sums = [[float(values[a:b].sum()) for a, b in spans] for values in (episodes.rewards, episodes.costs)]
        whole = length == longest
        limit = data.cost_limit if whole else segment_cost_limit(data.cost_limit, length, data.task.horizon)
        safe = torch.tensor([float(cost <= limit + 1e-9) for cost in sums[1]])
        desirable, weight = classify(torch.tensor(sums[0]), safe, self.top, self.eta, self.least_weight)
        kept = torch.nonzero(~desirable.isnan())[:, 0].tolist()
        arrays = [
            np.zeros((len(kept), length, width.shape[1]), np.float32) for width in (episodes.observations, episodes.actions)
        ]
        present = np.zeros((len(kept), length), np.float32)
        for row, (first, end) in enumerate(spans[place] for place in kept):
            arrays[0][row, : end - first] = episodes.observations[first:end]
            arrays[1][row, : end - first] = episodes.actions[first:end]
            present[row, : end - first] = 1
        device = data.train.observations.device
        observations, actions, mask = (torch.from_numpy(array).to(device) for array in (*arrays, present))
        labels = {"desirable": desirable[kept].to(device), "weight": weight[kept].to(device), "present": mask}
        return Examples(observations, actions, labels, per_pair=1)


def classify(score: Tensor, safe: Tensor, top: float, eta: float, least_weight: float) -> tuple[Tensor, Tensor]:
    """Which of M pieces are desirable, and how much each weighs.

    Args:
        score: [M], the return, or an estimate of it.
        safe: [M], 1 for safe, 0 for unsafe, NaN if unknown.
        top: share of the safe pieces, best first, that are desirable.
        eta: total weight of the undesirable pieces in units of the desirable ones'.
        least_weight: of the worst safe piece.

    Returns:
        float32 [M] each: 1 for desirable, 0 for undesirable, NaN for neither; and the weights, whose mean over the desirable
        pieces is that of TraC, between least_weight and 1.

    Raises:
        InputError: if there is no safe or no unsafe piece.
    """
    for label, name in ((1, "safe"), (0, "unsafe")):
        if not bool((safe == label).any()):
            raise InputError(f"there is no {name} segment to tell desirable behaviour from undesirable")
    score, good = score.double(), safe == 1
    among = score[good]
    count = int(np.ceil(top * len(among)))
    threshold = among.sort(descending=True).values[count - 1]
    desirable = torch.full_like(score, float("nan"))
    desirable[safe == 0] = 0
    desirable[good & (score >= threshold)] = 1
    spread = (among.max() - among.min()).clamp(min=1e-12)
    weight = least_weight + (1 - least_weight) * (score - among.min()) / spread
    mass = weight[desirable == 1].sum()
    weight = torch.where(desirable == 0, eta * mass / (safe == 0).sum(), weight)
    return desirable.float(), weight.float()
