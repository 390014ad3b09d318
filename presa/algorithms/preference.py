"""The preference module alone: CPL-KL (eq. 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from presa import losses
from presa.algorithms.base import Examples, FromReference, Step, pair_examples, require_preferences
from presa.algorithms.ranges import POSITIVE, Range
from presa.data.pairs import Data


@dataclass(frozen=True)
class Preference(FromReference):
    """Contrastive preference learning against a reference policy (eq. 2-4, arXiv 2512.20173; CPL, arXiv 2310.13639).

    Attributes:
        alpha: temperature of the preference score (eq. 3).
        bias: CPL's lambda on the segment that is not preferred; 1 is the paper's equation.
    """

    ignores_limit: ClassVar[bool] = True
    ranges: ClassVar[dict[str, Range]] = {**FromReference.ranges, "alpha": POSITIVE}

    alpha: float = 0.2
    bias: float = 1.0

    def examples(self, data: Data) -> Examples:
        require_preferences(data.train.preference)
        return pair_examples(data, preference=data.train.preference)

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        score = self.alpha * losses.segment_score(log_probability, batch["reference"], self.discount)
        loss = losses.preference_loss(score, batch["preference"], self.bias)
        return loss, {"preference_loss": loss.detach()}, state
