"""Safe-RLHF (arXiv 2310.12773) with CDT in place of its policy optimisation: the paper's strongest baselines from feedback.

A reward model and a cost model are fitted to the feedback, the recorded trajectories are relabelled by them, and the
Constrained Decision Transformer learns from the result. The paper does not say how targets follow from the models; here the
target cost is the cost limit, as the cost model is fitted to the segments' share of it, and the target return is a high
quantile of the relabelled returns within the limit. While acting, the policy counts rewards and costs by its models too: the
true ones are not available to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from presa.algorithms.base import Algorithm
from presa.algorithms.cdt.cdt import CDT
from presa.algorithms.cdt.targets import Targets, from_episodes
from presa.algorithms.ranges import AT_LEAST_ONE, POSITIVE, Range
from presa.algorithms.safe_rlhf.step_models import BinaryCostModel, CostModel, RewardModel, step_inputs
from presa.data.pairs import Data
from presa.networks.mlp import Parameters
from safefeedback.errors import InputError


@dataclass(frozen=True)
class SafeRLHFBinary(CDT):
    """The cost model is fitted to the safety labels only.

    Attributes:
        model_steps: how many of `steps` fit each of the two models.
        model_batch_size: pairs in a batch of theirs.
        model_hidden: widths of their hidden layers.
        model_learning_rate: of Adam, for them.
        return_quantile: of the relabelled returns of the episodes within a limit, the return to ask for.
    """

    ignores_limit: ClassVar[bool] = False
    acts_with_models: ClassVar[bool] = True
    ranges: ClassVar[dict[str, Range]] = {
        **CDT.ranges,
        "model_steps": AT_LEAST_ONE,
        "model_batch_size": AT_LEAST_ONE,
        "model_learning_rate": POSITIVE,
        "return_quantile": ("between 0 and 1", lambda value: 0 <= value <= 1),
    }

    reward_scale: float | None = None
    model_steps: int = 5_000
    model_batch_size: int = 32
    model_hidden: tuple[int, ...] = (256, 256)
    model_learning_rate: float = 3e-4
    return_quantile: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2 * self.model_steps >= self.steps:
            raise InputError(f"the two models take 2 x {self.model_steps:,} of the {self.steps:,} steps: none is left")

    @property
    def own_steps(self) -> int:
        return self.steps - 2 * self.model_steps

    def preparations(self) -> dict[str, Algorithm]:
        return {"reward": self._model(RewardModel), "cost": self._model(BinaryCostModel)}

    def prepared(self, data: Data, results: dict[str, Parameters]) -> Data:
        """The data with every episode relabelled by the models."""
        assert data.episodes is not None
        observations, actions = (torch.from_numpy(v) for v in (data.episodes.observations, data.episodes.actions))
        inputs = step_inputs(observations, actions).to(data.train.observations.device)
        values = {}
        for name, model in self.preparations().items():
            assert isinstance(model, RewardModel)
            values[name] = model.all_values(results[name], inputs).double().cpu().numpy()
        return replace(data, episodes=replace(data.episodes, rewards=values["reward"], costs=values["cost"]))

    def targets(self, data: Data, returns: np.ndarray, costs: np.ndarray) -> Targets:
        return from_episodes(data.task, returns, costs, self.return_quantile)

    def _model(self, kind: type[RewardModel]) -> RewardModel:
        return kind(
            steps=self.model_steps,
            batch_size=self.model_batch_size,
            hidden=self.model_hidden,
            learning_rate=self.model_learning_rate,
        )


@dataclass(frozen=True)
class SafeRLHF(SafeRLHFBinary):
    """The cost model is also fitted to cost preferences; these come from the oracle, as no annotator gave them."""

    needs_oracle: ClassVar[bool] = True
    notes: ClassVar[tuple[str, ...]] = (
        "The cost preferences it learnt from come from the oracle, the true costs of the training segments: no other "
        "algorithm from feedback sees them",
    )

    def preparations(self) -> dict[str, Algorithm]:
        return {"reward": self._model(RewardModel), "cost": self._model(CostModel)}
