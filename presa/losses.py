"""Losses of PreSa (arXiv 2512.20173) as pure functions of scores; equation numbers are that paper's.

B pairs, two sides to a pair, L steps to a segment. Every function works on the trailing axes it names: any axes before
them, such as one of many runs trained at once, pass through (shown as `...`).

Labels are as in `safefeedback.types`: a preference is the index of the better segment, 0.5 a tie, NaN unanswered; safe is
1.0, unsafe 0.0, NaN unanswered.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

DIRECTIONS = ("unsafe-to-safe", "printed")
SCALES = ("mean-one", "safe-one")
AVERAGES = ("all", "per-class")
REFERENCE_POINTS = ("batch", "ema", "balanced", "none")
SAFETY_FORMS = ("linear", "log")


def segment_score(log_probability: Tensor, reference: Tensor, discount: float = 1.0) -> Tensor:
    """sum_t gamma^t (log pi_theta - log pi_ref): eq. 2 and 3 without alpha, eq. 7 without beta.

    Args:
        log_probability: [..., L], of each step's action under the policy.
        reference: [..., L], the same under the reference.
        discount: gamma; the segment's first step has weight 1.

    Returns:
        [...].
    """
    difference = log_probability - reference
    if discount == 1.0:
        return difference.sum(-1)
    steps = torch.arange(difference.shape[-1], device=difference.device)
    return (difference * discount**steps).sum(-1)


def preference_loss(score: Tensor, preference: Tensor, bias: float = 1.0) -> Tensor:
    """-log sigmoid(A(+) - bias * A(-)), mean over the answered pairs (eq. 2 and 4).

    A tie costs half of each order's loss, a soft label its share of each; unanswered pairs are left out, and the loss is
    0 if none is answered.

    Args:
        score: [..., B, 2], A(sigma) = alpha * segment_score.
        preference: [..., B].
        bias: lambda of CPL (arXiv 2310.13639); 1 is the paper's equation.

    Returns:
        [...].
    """
    answered = ~preference.isnan()
    target = preference.nan_to_num(0.5)
    first, second = score[..., 0], score[..., 1]
    loss = -target * logsigmoid(second - bias * first) - (1 - target) * logsigmoid(first - bias * second)
    return _mean(loss, answered)


def cost_model_loss(cost: Tensor, safe: Tensor, limit: float | Tensor, costlier: Tensor | None = None) -> Tensor:
    """-log sigmoid(C_worse - C_better) - sum over both of log sigmoid(s (C - limit)), mean over pairs (Safe-RLHF, eq. 6,
    arXiv 2310.12773).

    s is +1 for an unsafe and -1 for a safe segment. Unanswered labels are left out; equal costs are half of each order.

    Args:
        cost: [..., B, 2], what the model says a segment costs.
        safe: [..., B, 2].
        limit: the cost up to which a segment is safe.
        costlier: [..., B], the index of the segment that truly costs more; None to fit the safety labels alone.

    Returns:
        [...].
    """
    sign = (1 - 2 * safe).nan_to_num(0.0)
    loss = -torch.where(safe.isnan(), 0.0, logsigmoid(sign * (cost - limit))).sum(-1).mean(-1)
    return loss if costlier is None else loss + preference_loss(cost, costlier)


def flipped_cost_loss(cost: Tensor, safe: Tensor, limit: float | Tensor, flips: Tensor) -> Tensor:
    """-log of the probability of each safety label where a share of them is flipped, summed over the sides, mean over pairs.

    A label is what sigmoid(s (C - limit)) says with probability 1 - flips, and the opposite with probability flips; at 0 this
    is `cost_model_loss`, whose loss a label far from the model dominates.

    Args:
        cost: [..., B, 2], what the model says a segment costs.
        safe: [..., B, 2]; unanswered labels are left out.
        limit: the cost up to which a segment is safe.
        flips: [...], the share of labels that are flipped.
    """
    margin = (1 - 2 * safe).nan_to_num(0.0) * (cost - limit)
    share = flips[..., None, None].clamp(1e-6, 1 - 1e-6)
    log_likelihood = torch.logaddexp((1 - share).log() + logsigmoid(margin), share.log() + logsigmoid(-margin))
    return -torch.where(safe.isnan(), 0.0, log_likelihood).sum(-1).mean(-1)


def surest_contradicted(cost: Tensor, safe: Tensor, share: float = 0.1) -> Tensor:
    """The shares of wrong labels where the model is most certain: of the answered labels of the tenth of the segments with the
    lowest costs, how many say unsafe, and of the tenth with the highest, how many say safe.

    Such segments are the anchor points from which label-noise rates are estimated (Liu and Tao, arXiv 1411.7718).

    Args:
        cost: [..., B, 2], what a model says a segment costs.
        safe: [..., B, 2]; unanswered labels are left out.
        share: of the answered segments, on each side; at least one.

    Returns:
        [..., 2], no gradient; NaN where no label is answered.
    """
    cost, safe = cost.detach().flatten(-2), safe.flatten(-2)
    answered = (~safe.isnan()).sum(-1, keepdim=True)
    order = torch.where(safe.isnan(), torch.inf, cost).argsort(dim=-1, stable=True)
    ordered, place = safe.gather(-1, order).nan_to_num(0.0), torch.arange(safe.shape[-1], device=safe.device)
    count = (share * answered).ceil()
    low, high = place < count, (place >= answered - count) & (place < answered)
    return torch.stack([((1 - ordered) * low).sum(-1), (ordered * high).sum(-1)], -1) / count


def reference_point(psi: Tensor, safe: Tensor, mode: str, previous: Tensor, decay: float = 0.99) -> Tensor:
    """z_ref, the point that gains and losses are measured from (below eq. 7); without gradient, not clamped.

    Args:
        psi: [..., B, 2], safety scores (eq. 7).
        safe: [..., B, 2].
        mode: "batch", the mean over the batch's 2B segments; "ema", the running mean of that; "balanced", halfway between
            the means of safe and of unsafe segments (those of one class if the other is absent); "none", 0.
        previous: [...], the running mean so far; NaN before the first batch. Read by "ema" only.
        decay: of the running mean.

    Returns:
        [...].
    """
    psi = psi.detach()
    batch = psi.mean((-2, -1))
    if mode == "batch":
        return batch
    if mode == "ema":
        return torch.where(previous.isnan(), batch, decay * previous + (1 - decay) * batch)
    if mode == "none":
        return torch.zeros_like(batch)
    classes = torch.stack([_mean(psi, safe == label, 2) for label in (1, 0)], -1)
    present = torch.stack([(safe == label).flatten(-2).any(-1) for label in (1, 0)], -1)
    return torch.where(present.any(-1), _mean(classes, present), batch)


def safety_probability(psi: Tensor, safe: Tensor, z_ref: Tensor) -> Tensor:
    """p = sigmoid(y (psi - z_ref)), y = +1 for safe and -1 for unsafe (eq. 11); 0.5 where unanswered.

    Args:
        psi: [..., B, 2], safety scores (eq. 7).
        safe: [..., B, 2].
        z_ref: [...], the point that gains and losses are measured from.

    Returns:
        [..., B, 2].
    """
    return torch.sigmoid(_safety_margin(psi, safe, z_ref))


def safety_miss(psi: Tensor, safe: Tensor, z_ref: Tensor, target: float | Tensor, form: str) -> Tensor:
    """The shortfall of p from a target: target - p (eq. 15), or log target - log p.

    The gradient of a segment is proportional to p (1 - p) in the first form, which vanishes for the segments that violate
    most, and to 1 - p in the second, which is largest for them (as in TraC, arXiv 2412.15429).

    Args:
        psi: [..., B, 2], as in `safety_probability`.
        safe: [..., B, 2].
        z_ref: [...].
        target: 1 (eq. 9) or delta (eq. 15).
        form: "linear" or "log".

    Returns:
        [..., B, 2].
    """
    if form == "linear":
        return target - safety_probability(psi, safe, z_ref)
    return (target.log() if isinstance(target, Tensor) else math.log(target)) - logsigmoid(_safety_margin(psi, safe, z_ref))


def _safety_margin(psi: Tensor, safe: Tensor, z_ref: Tensor) -> Tensor:
    """y (psi - z_ref), 0 where unanswered."""
    return (2 * safe - 1).nan_to_num(0.0) * (psi - z_ref.detach()[..., None, None])


def classification_loss(score: Tensor, desirable: Tensor, weight: Tensor) -> Tensor:
    """-mean of w [d log sigmoid(S) + (1 - d) log sigmoid(-S)] (TraC, eq. 5 and 6, arXiv 2412.15429).

    Args:
        score: [..., B], S = alpha * segment_score.
        desirable: [..., B], d: 1 for a desirable and 0 for an undesirable segment.
        weight: [..., B].

    Returns:
        [...].
    """
    return -(weight * logsigmoid((2 * desirable - 1) * score)).mean(-1)


def expectile_loss(difference: Tensor, expectile: float) -> Tensor:
    """|expectile - 1(u < 0)| u^2 of each difference u = target - value, whose minimum is at the targets' expectile (IQL, eq. 5,
    arXiv 2110.06169).

    Args:
        difference: [...].
        expectile: between 0 and 1; 0.5 halves the squared error.
    """
    return torch.where(difference < 0, 1 - expectile, expectile) * difference.square()


def advantage_weights(advantage: Tensor, spread: Tensor, temperature: float, maximum: float) -> Tensor:
    """exp(advantage / (temperature spread)), at most `maximum`: weights for advantage-weighted regression (arXiv 1910.00177).

    Args:
        advantage: [..., K], without gradient in the result.
        spread: [K], the unit of the advantages.
    """
    return (advantage.detach() / (temperature * spread.clamp(min=1e-8))).exp().clamp(max=maximum)


def safety_weights(
    safe: Tensor, eta: float, direction: str, scale: str, beside: tuple[int, int] = (0, 0)
) -> tuple[Tensor, Tensor]:
    """lambda_s and lambda_u (eq. 8 and 10) from how many segments of a whole dataset are safe (n_s) and unsafe (n_u).

    Args:
        safe: [..., N, 2]; unanswered labels are not counted. Both classes must be present.
        eta: the balancing factor.
        direction: "unsafe-to-safe", lambda_u n_u = eta lambda_s n_s; "printed", lambda_s n_s = eta lambda_u n_u.
        scale: "mean-one", the mean weight over the n_s + n_u segments is 1; "safe-one", lambda_s = 1.
        beside: numbers of safe and unsafe segments to add to the counts.

    Returns:
        [...] each.
    """
    safe_count = (safe == 1).sum((-2, -1)).to(safe.dtype) + beside[0]
    unsafe_count = (safe == 0).sum((-2, -1)).to(safe.dtype) + beside[1]
    safe_mass, unsafe_mass = (1.0, eta) if direction == "unsafe-to-safe" else (eta, 1.0)
    if scale == "mean-one":
        total = (safe_count + unsafe_count) / (safe_mass + unsafe_mass)
        return total * safe_mass / safe_count, total * unsafe_mass / unsafe_count
    return torch.ones_like(safe_count), (unsafe_mass / safe_mass) * safe_count / unsafe_count


def weighted_mean(values: Tensor, safe: Tensor, weights: tuple[Tensor, Tensor], average: str) -> Tensor:
    """The expectation of w(y) * values over labelled segments.

    With values = 1 - p this is the safety loss, with values = delta - p the constraint term of eq. 15.

    Args:
        values: [..., B, 2].
        safe: [..., B, 2].
        weights: lambda_s and lambda_u, [...] each.
        average: "all", over all labelled segments (eq. 9); "per-class", within each class (eq. 8), a class that the batch
            lacks counting 0.

    Returns:
        [...].
    """
    safe_weight, unsafe_weight = (weight[..., None, None] for weight in weights)
    if average == "per-class":
        return _mean(safe_weight * values, safe == 1, 2) + _mean(unsafe_weight * values, safe == 0, 2)
    return _mean(torch.where(safe == 1, safe_weight, unsafe_weight) * values, ~safe.isnan(), 2)


def nu_step(nu: Tensor, violation: Tensor, learning_rate: float, maximum: float = float("inf")) -> Tensor:
    """nu <- clip(nu + lr * E[w(y) (delta - p)], 0, maximum): projected gradient ascent on eq. 15; shapes [...]."""
    return (nu + learning_rate * violation.detach()).clamp(0.0, maximum)


def class_mean(values: Tensor, safe: Tensor, label: float) -> Tensor:
    """The mean of values [..., B, 2] over the segments with one label, NaN if there is none; [...], no gradient."""
    chosen = safe == label
    return torch.where(chosen, values.detach(), 0.0).sum((-2, -1)) / chosen.sum((-2, -1))


def _mean(values: Tensor, mask: Tensor, axes: int = 1) -> Tensor:
    """The mean over the last `axes` axes where mask is true, 0 where it never is."""
    dims = tuple(range(-axes, 0))
    return torch.where(mask, values, 0.0).sum(dims) / mask.sum(dims).clamp(min=1)
