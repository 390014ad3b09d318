"""The safety module alone (eq. 9), and what the algorithms with safety labels share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from presa import losses
from presa.algorithms.base import Examples, FromReference, Step, pair_examples
from presa.algorithms.ranges import BELOW_ONE, NOT_NEGATIVE, POSITIVE, Range
from presa.data.pairs import Data
from safefeedback.errors import InputError


@dataclass(frozen=True)
class Safety(FromReference):
    """Prospect-theoretic safety alignment: mean of w(y) (1 - p) (eq. 9, arXiv 2512.20173).

    Attributes:
        beta: temperature of the safety score (eq. 7).
        eta: balancing factor between the classes' total weights.
        eta_direction: "unsafe-to-safe", total unsafe weight = eta x total safe weight (TraC's code has it, and only it stayed
            stable in our trials); "printed", the paper's ratio, the reverse.
        lambda_scale: "mean-one", the mean weight over the dataset is 1; "safe-one", a safe segment's weight is 1.
        lambda_counts: "labels" counts the classes in the labels that are trained on; "before-filters" also counts those of
            the pairs that filters dropped, so that a filter does not change the weights.
        lambda_safe, lambda_unsafe: fixed weights, both or neither, in place of those from eta and the labels' counts.
        safety_average: "all" averages over all labelled segments (eq. 9), "per-class" within each class (eq. 8).
        safety_form: "linear" in p, as printed, or "log": see `presa.losses.safety_miss`.
        anchor: weight of the squared error to the batch's recorded actions, added to the loss; 0, the paper's, leaves it out.
        z_ref: how the reference point is taken; see `presa.losses.reference_point`.
        z_ref_decay: of z_ref "ema".
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        **FromReference.choices,
        "eta_direction": losses.DIRECTIONS,
        "lambda_scale": losses.SCALES,
        "lambda_counts": ("labels", "before-filters"),
        "safety_average": losses.AVERAGES,
        "safety_form": losses.SAFETY_FORMS,
        "z_ref": losses.REFERENCE_POINTS,
    }
    ranges: ClassVar[dict[str, Range]] = {
        **FromReference.ranges,
        "beta": POSITIVE,
        "anchor": NOT_NEGATIVE,
        "eta": POSITIVE,
        "lambda_safe": NOT_NEGATIVE,
        "lambda_unsafe": NOT_NEGATIVE,
        "z_ref_decay": BELOW_ONE,
    }

    beta: float = 1.0
    eta: float = 0.1
    eta_direction: str = "unsafe-to-safe"
    lambda_scale: str = "mean-one"
    lambda_counts: str = "labels"
    lambda_safe: float | None = None
    lambda_unsafe: float | None = None
    safety_average: str = "all"
    safety_form: str = "linear"
    anchor: float = 0.0
    z_ref: str = "batch"
    z_ref_decay: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.lambda_safe is None) != (self.lambda_unsafe is None):
            raise InputError("lambda_safe and lambda_unsafe belong together: give both or neither")

    def examples(self, data: Data) -> Examples:
        require_both_classes(data.train.safe)
        return pair_examples(data, safe=data.train.safe)

    def state(self, examples: Examples) -> dict[str, Tensor]:
        safe = examples.labels["safe"]
        if self.lambda_safe is not None and self.lambda_unsafe is not None:
            weights = tuple(safe.new_tensor(value) for value in (self.lambda_safe, self.lambda_unsafe))
        else:
            dropped = examples.filtered_out if self.lambda_counts == "before-filters" else (0, 0)
            if dropped is None:
                raise InputError(
                    "lambda_counts=before-filters needs to know what the filters dropped: take all pairs (no --pairs), and "
                    "filter again where an older safefeedback made the labels"
                )
            weights = losses.safety_weights(safe, self.eta, self.eta_direction, self.lambda_scale, dropped)
        return {"lambda_safe": weights[0], "lambda_unsafe": weights[1], "z_ref": torch.full_like(weights[0], float("nan"))}

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        score = losses.segment_score(log_probability, batch["reference"], self.discount)
        miss, info, state = self.safety_term(score, batch["safe"], state, 1.0)
        return miss + self.anchored(log_probability), {"safety_loss": miss.detach(), **info}, state

    def anchored(self, log_probability: Tensor) -> Tensor:
        """The anchor's part of the loss: `anchor` times the mean squared error to the recorded actions."""
        return self.anchor * -log_probability.mean()

    def safety_term(self, score: Tensor, safe: Tensor, state: dict[str, Tensor], target: float | Tensor) -> Step:
        """mean[w(y) (target - p)] or its "log" form, numbers to report, the state after; target is 1 (eq. 9) or delta."""
        psi = self.beta * score
        z_ref = losses.reference_point(psi, safe, self.z_ref, state["z_ref"], self.z_ref_decay)
        probability = losses.safety_probability(psi, safe, z_ref)
        weights = (state["lambda_safe"], state["lambda_unsafe"])
        miss = losses.safety_miss(psi, safe, z_ref, target, self.safety_form)
        miss = losses.weighted_mean(miss, safe, weights, self.safety_average)
        info = {
            "p_safe": losses.class_mean(probability, safe, 1.0),
            "p_unsafe": losses.class_mean(probability, safe, 0.0),
            "z_ref": z_ref,
        }
        return miss, info, {**state, "z_ref": z_ref}


def require_both_classes(safe: Tensor, what: str = "segment") -> None:
    """Refuses labels of one class only, for which the weights of eq. 9 are undefined.

    Raises:
        InputError: naming the class that is absent.
    """
    for label, name in ((1, "safe"), (0, "unsafe")):
        if not bool((safe == label).any()):
            raise InputError(f"the training pairs hold no {name} {what}, so the weights of eq. 9 are undefined")
