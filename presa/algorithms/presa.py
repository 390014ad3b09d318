"""PreSa: preference and safety alignment in one constrained objective (eq. 15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from presa import losses
from presa.algorithms.base import Examples, Step, pair_examples, require_preferences
from presa.algorithms.ranges import NOT_NEGATIVE, POSITIVE, UP_TO_ONE, Range
from presa.algorithms.safety import Safety, require_both_classes
from presa.data.pairs import Data
from safefeedback.errors import InputError


@dataclass(frozen=True)
class Presa(Safety):
    """Minimises the preference loss subject to E[w(y) (delta - p)] <= 0, by dual ascent on nu (eq. 15, arXiv 2512.20173).

    Attributes:
        alpha: temperature of the preference score (eq. 3).
        bias: CPL's lambda on the segment that is not preferred; 1 is the paper's equation.
        delta: lower bound of p (eq. 12).
        nu_initial: the Lagrange multiplier at the start.
        nu_learning_rate: of its projected ascent; 0 keeps nu fixed.
        nu_maximum: nu never rises above it; None leaves it free.
    """

    ranges: ClassVar[dict[str, Range]] = {
        **Safety.ranges,
        "alpha": POSITIVE,
        "delta": UP_TO_ONE,
        "nu_learning_rate": NOT_NEGATIVE,
    }

    alpha: float = 0.2
    bias: float = 1.0
    delta: float = 0.95
    nu_initial: float = 1.0
    nu_learning_rate: float = 0.005
    nu_maximum: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.nu_initial <= self.nu_bound:
            raise InputError(f"nu_initial must lie between 0 and nu_maximum = {self.nu_bound:g}, not {self.nu_initial}")

    @property
    def nu_bound(self) -> float:
        """nu_maximum as a number."""
        return float("inf") if self.nu_maximum is None else self.nu_maximum

    def examples(self, data: Data) -> Examples:
        require_both_classes(data.train.safe)
        require_preferences(data.train.preference)
        return pair_examples(data, preference=data.train.preference, safe=data.train.safe)

    def state(self, examples: Examples) -> dict[str, Tensor]:
        state = super().state(examples)
        return {**state, "nu": state["lambda_safe"].new_full((), self.nu_initial)}

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        score = losses.segment_score(log_probability, batch["reference"], self.discount)
        preference = losses.preference_loss(self.alpha * score, batch["preference"], self.bias)
        violation, info, after = self.safety_term(score, batch["safe"], state, self.delta)
        nu = losses.nu_step(state["nu"], violation, self.nu_learning_rate, self.nu_bound)
        info = {"preference_loss": preference.detach(), "violation": violation.detach(), **info, "nu": state["nu"]}
        return preference + state["nu"] * violation + self.anchored(log_probability), info, {**after, "nu": nu}
