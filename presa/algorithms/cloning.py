"""Behaviour cloning: of every segment (the first stage of other algorithms), of safe segments, of episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from presa.algorithms.base import Algorithm, Examples, Step, pair_examples, scheduled_rate, step_examples
from presa.data.pairs import Data
from presa.data.trajectories import training_episodes
from safefeedback.errors import InputError


@dataclass(frozen=True)
class Cloning(Algorithm):
    """Least squares on the recorded actions; this is also the reference policy of the algorithms that use one.

    Attributes:
        cloning: "steps" or "segments"; see `presa.algorithms.base.FromCloning`.
        schedule: "flat" keeps the learning rate, "linear" lets it fall to 0.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        **Algorithm.choices,
        "cloning": ("steps", "segments"),
        "schedule": ("flat", "linear"),
    }

    cloning: str = "steps"
    schedule: str = "flat"

    def examples(self, data: Data) -> Examples:
        return step_examples(data) if self.cloning == "steps" else pair_examples(data)

    def rate(self, step: int) -> float:
        return scheduled_rate(self.learning_rate, self.schedule, step, self.steps)

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        loss = -log_probability.mean()
        return loss, {"cloning_loss": loss.detach()}, state


@dataclass(frozen=True)
class BCSafeSeg(Cloning):
    """Cloning of the segments labelled safe: of every step that one of them shows, once, or of the segments as they are."""

    learns_from_steps: ClassVar[bool] = False

    def examples(self, data: Data) -> Examples:
        safe = data.train.safe == 1
        if not bool(safe.any()):
            raise InputError("the training pairs hold no safe segment to clone")
        if self.cloning == "steps":
            return step_examples(data, steps=data.train.shown_steps(safe))
        return Examples(data.train.observations[safe], data.train.actions[safe], {}, per_pair=2)


@dataclass(frozen=True)
class BCAll(Cloning):
    """Cloning of whole recorded episodes, without those of the test split if the dataset was built from this file."""

    needs_trajectories: ClassVar[bool] = True
    ignores_limit: ClassVar[bool] = True
    learns_from_steps: ClassVar[bool] = False

    def examples(self, data: Data) -> Examples:
        rows = torch.from_numpy(np.concatenate([np.arange(*span) for span in self.spans(data)]))
        assert data.episodes is not None
        arrays = (data.episodes.observations, data.episodes.actions)
        observations, actions = (torch.from_numpy(array)[rows].to(data.train.observations.device) for array in arrays)
        return Examples(observations, actions, {}, per_pair=2 * data.length)

    def spans(self, data: Data) -> list[tuple[int, int]]:
        """First row and end of each episode to clone."""
        chosen = training_episodes(data, lambda episode: self.admits(data, episode))
        assert data.episodes is not None
        bounds = data.episodes.bounds.tolist()
        return [(bounds[e], bounds[e + 1]) for e in chosen]

    def admits(self, data: Data, episode: int) -> bool:
        """Whether an episode is cloned."""
        return True


@dataclass(frozen=True)
class BCSafe(BCAll):
    """Cloning of the episodes whose true cost is within the limit."""

    ignores_limit: ClassVar[bool] = False

    def admits(self, data: Data, episode: int) -> bool:
        assert data.episodes is not None
        begin, end = data.episodes.bounds[episode : episode + 2]
        return float(data.episodes.costs[begin:end].sum()) <= data.cost_limit
