"""Statistics of a policy that need no simulator: its actions in recorded states, and its agreement with held-out labels."""

from __future__ import annotations

import torch
from torch import Tensor

from presa.data.pairs import Split
from presa.losses import class_mean, segment_score
from presa.networks.mlp import Parameters, mean_action, segment_log_probability

PROBE_PAIRS = 64
SATURATED = 0.99


@torch.no_grad()
def action_statistics(parameters: Parameters, split: Split) -> dict[str, float]:
    """On the first PROBE_PAIRS pairs: the squared error to the recorded actions, mean over dims, clipped as in training, and
    the shares of action components beyond +-0.99, the policy's and the recorded."""
    mean = mean_action(parameters, split.observations[:PROBE_PAIRS])
    actions = split.actions[:PROBE_PAIRS].clamp(-1, 1)
    return {
        "data_mse": float((mean - actions).square().mean()),
        "saturated": float((mean.abs() > SATURATED).float().mean()),
        "saturated_recorded": float((actions.abs() > SATURATED).float().mean()),
    }


def held_out_accuracy(parameters: Parameters, split: Split, reference: Tensor | None, discount: float) -> dict[str, float]:
    """Whether held-out labels agree with the policy's scores.

    A segment's score is sum_t gamma^t (log pi - log pi_ref), without pi_ref where there is none.

    Returns:
        Preference accuracy, and the shares of the safe segments that score above the mean of all and of the unsafe ones that
        score below it; NaN where no label is answered.
    """
    probability = segment_log_probability(parameters, split.observations, split.actions)
    score = segment_score(probability, torch.zeros_like(probability) if reference is None else reference, discount)
    above = (score > score.mean()).float()
    return {
        "test_preference_accuracy": preference_accuracy(score, split.preference),
        "test_safe_accuracy": float(class_mean(above, split.safe, 1.0)),
        "test_unsafe_accuracy": float(class_mean(1 - above, split.safe, 0.0)),
    }


def preference_accuracy(score: Tensor, preference: Tensor) -> float:
    """The share of answered pairs [N], ties left out, whose better segment scores [N, 2] higher; equal scores count half."""
    decided = ~preference.isnan() & (preference != 0.5)
    difference = (score[:, 1] - score[:, 0])[decided]
    agree = torch.sign(difference) * torch.sign(preference[decided] - 0.5)
    return float(((agree + 1) / 2).mean()) if bool(decided.any()) else float("nan")
