"""PreSa: preference and safety alignment in one constrained objective (eq. 15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from presa import losses
from presa.algorithms.base import Examples, Step, pair_examples, require_preferences
from presa.algorithms.ranges import NOT_NEGATIVE, POSITIVE, UP_TO_ONE, Range
from presa.algorithms.safety import Safety, require_both_classes
from presa.data.pairs import Data
from safefeedback.errors import InputError
from safefeedback.randomness import choose, stream

REACHED_RATE = 0.01  # of the running means of what is reached


@dataclass(frozen=True)
class Presa(Safety):
    """Minimises the preference loss subject to E[w(y) (delta - p)] <= 0, by dual ascent on nu (eq. 15, arXiv 2512.20173).

    Attributes:
        alpha: temperature of the preference score (eq. 3).
        bias: CPL's lambda on the segment that is not preferred; 1 is the paper's equation.
        delta: lower bound of p (eq. 12).
        delta_steps: how many of its own steps first minimise the safety loss (eq. 9) alone, without the labels of a tenth of
            the pairs; the mean w(y) p of these labels, which such a policy reaches, then is the lower bound if `delta` is
            higher. A bound that cannot be reached makes nu rise for ever. 0, the paper's, takes `delta` as it is.
        nu_initial: the Lagrange multiplier at the start.
        nu_learning_rate: of its projected ascent; 0 keeps nu fixed.
        nu_maximum: nu never rises above it; None leaves it free.
    """

    ranges: ClassVar[dict[str, Range]] = {
        **Safety.ranges,
        "alpha": POSITIVE,
        "delta": UP_TO_ONE,
        "delta_steps": NOT_NEGATIVE,
        "nu_learning_rate": NOT_NEGATIVE,
    }

    alpha: float = 0.2
    bias: float = 1.0
    delta: float = 0.95
    delta_steps: int = 0
    nu_initial: float = 1.0
    nu_learning_rate: float = 0.005
    nu_maximum: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.nu_initial <= self.nu_bound:
            raise InputError(f"nu_initial must lie between 0 and nu_maximum = {self.nu_bound:g}, not {self.nu_initial}")

        if self.delta_steps >= self.own_steps:
            raise InputError(
                f"delta_steps must be fewer than the {self.own_steps:,} steps after cloning, not {self.delta_steps:,}"
            )

    @property
    def nu_bound(self) -> float:
        """nu_maximum as a number."""
        return float("inf") if self.nu_maximum is None else self.nu_maximum

    def examples(self, data: Data) -> Examples:
        require_both_classes(data.train.safe)
        require_preferences(data.train.preference)
        labels = {"preference": data.train.preference, "safe": data.train.safe}
        if self.delta_steps:
            apart = torch.zeros_like(data.train.preference)
            chosen = choose(stream(0, "pairs-for-delta"), len(apart), -(-len(apart) // 10))
            labels["apart"] = apart.index_fill(0, torch.from_numpy(chosen).to(apart.device), 1.0)
        return pair_examples(data, **labels)

    def state(self, examples: Examples) -> dict[str, Tensor]:
        state = super().state(examples)
        nu = state["lambda_safe"].new_full((), self.nu_initial)
        first = {"step": torch.zeros_like(nu), "reached": nu.new_zeros(2)} if self.delta_steps else {}
        return {**state, "nu": nu, **first}

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        score = losses.segment_score(log_probability, batch["reference"], self.discount)
        preference = losses.preference_loss(self.alpha * score, batch["preference"], self.bias)
        if self.delta_steps:
            return self._with_reached_bound(score, preference, self.anchored(log_probability), batch, state)
        violation, info, after = self.safety_term(score, batch["safe"], state, self.delta)
        nu = losses.nu_step(state["nu"], violation, self.nu_learning_rate, self.nu_bound)
        info = {"preference_loss": preference.detach(), "violation": violation.detach(), **info, "nu": state["nu"]}
        return preference + state["nu"] * violation + self.anchored(log_probability), info, {**after, "nu": nu}

    def _with_reached_bound(
        self, score: Tensor, preference: Tensor, anchor: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]
    ) -> Step:
        """The same with a bound that is reached first: `delta_steps` steps of eq. 9, and then eq. 15."""
        safe, apart, first = batch["safe"], batch["apart"][..., None] > 0, state["step"] < self.delta_steps
        nothing = torch.full_like(safe, torch.nan)
        delta = self.reached_delta(state["reached"])
        known_safe = torch.where(first & apart, nothing, safe)
        violation, info, after = self.safety_term(score, known_safe, state, torch.where(first, torch.ones_like(delta), delta))
        probability = losses.safety_probability(self.beta * score.detach(), safe, info["z_ref"])
        weights = (state["lambda_safe"], state["lambda_unsafe"])
        means = torch.stack(
            [
                losses.weighted_mean(values, torch.where(apart, safe, nothing), weights, self.safety_average)
                for values in (probability, torch.ones_like(probability))
            ]
        )
        reached = torch.where(first, torch.lerp(state["reached"], means, REACHED_RATE), state["reached"])
        nu = losses.nu_step(state["nu"], violation, self.nu_learning_rate, self.nu_bound)
        loss = torch.where(first, violation, preference + state["nu"] * violation) + anchor
        info = {"preference_loss": preference.detach(), "violation": violation.detach(), **info, "nu": state["nu"]}
        more = {"step": state["step"] + 1, "reached": reached, "nu": torch.where(first, state["nu"], nu)}
        return loss, {**info, "delta": delta}, {**after, **more}

    def reached_delta(self, reached: Tensor) -> Tensor:
        """The lower bound, given running means of w(y) p and of w(y), [2]; `delta` before there are any."""
        ratio = reached[0] / reached[1].clamp(min=1e-9)
        return torch.where(reached[1] > 0, ratio.clamp(max=self.delta), torch.full_like(ratio, self.delta))
