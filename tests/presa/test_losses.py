"""The losses against hand-computed numbers, a naive loop, finite differences, and one run at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from presa import losses  # noqa: E402

NAN = float("nan")
SCORES = torch.tensor([[1.0, 3.0], [0.5, -0.5], [2.0, 2.0], [-1.0, 4.0]], dtype=torch.float64)
SAFE = torch.tensor([[1.0, 0.0], [NAN, 0.0], [1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_segment_score_is_a_discounted_sum_of_differences() -> None:
    policy, reference = torch.tensor([[-1.0, -2.0, -3.0]]), torch.tensor([[-0.5, -0.5, -4.0]])
    assert losses.segment_score(policy, reference).tolist() == [-1.0]  # -0.5 - 1.5 + 1
    assert losses.segment_score(policy, reference, 0.5).tolist() == [-1.0]  # -0.5 - 0.75 + 0.25
    assert losses.segment_score(policy, reference, 0.1).tolist() == pytest.approx([-0.64])


def test_preference_loss_by_hand() -> None:
    score = SCORES[:2]
    # index 1 is better in pair 0, index 0 in pair 1
    wanted = (-math.log(sigmoid(2.0)) - math.log(sigmoid(1.0))) / 2
    assert losses.preference_loss(score, torch.tensor([1.0, 0.0])).item() == pytest.approx(wanted)
    both_wrong = (-math.log(sigmoid(-2.0)) - math.log(sigmoid(-1.0))) / 2
    assert losses.preference_loss(score, torch.tensor([0.0, 1.0])).item() == pytest.approx(both_wrong)


def test_a_tie_costs_half_of_each_order_and_a_soft_label_its_share() -> None:
    one, other = (-math.log(sigmoid(x)) for x in (2.0, -2.0))
    score = SCORES[:1]
    assert losses.preference_loss(score, torch.tensor([0.5])).item() == pytest.approx((one + other) / 2)
    assert losses.preference_loss(score, torch.tensor([0.8])).item() == pytest.approx(0.8 * one + 0.2 * other)


def test_unanswered_preferences_are_left_out() -> None:
    some = losses.preference_loss(SCORES, torch.tensor([1.0, NAN, NAN, NAN]))
    assert some.item() == pytest.approx(-math.log(sigmoid(2.0)))
    scores = SCORES.clone().requires_grad_()
    none = losses.preference_loss(scores, torch.full((4,), NAN))
    none.backward()
    assert none.item() == 0 and (scores.grad == 0).all()


def test_bias_discounts_the_segment_that_is_not_preferred() -> None:
    loss = losses.preference_loss(SCORES[:1], torch.tensor([1.0]), bias=0.5)
    assert loss.item() == pytest.approx(-math.log(sigmoid(3.0 - 0.5 * 1.0)))


def test_reference_points_by_hand() -> None:
    previous = torch.tensor(10.0, dtype=torch.float64)
    batch = (1 + 3 + 0.5 - 0.5 + 2 + 2 - 1 + 4) / 8
    safe, unsafe = (1 + 2) / 2, (3 - 0.5 + 2 - 1 + 4) / 5
    expected = {"batch": batch, "ema": 0.9 * 10 + 0.1 * batch, "balanced": (safe + unsafe) / 2, "none": 0.0}
    assert set(expected) == set(losses.REFERENCE_POINTS)
    for mode, value in expected.items():
        assert losses.reference_point(SCORES, SAFE, mode, previous, 0.9).item() == pytest.approx(value), mode
    first = losses.reference_point(SCORES, SAFE, "ema", torch.tensor(NAN), 0.9)
    assert first.item() == pytest.approx(batch)
    only_unsafe = losses.reference_point(SCORES, torch.where(SAFE == 1, NAN, SAFE), "balanced", previous)
    assert only_unsafe.item() == pytest.approx(unsafe)


def test_the_reference_point_is_not_clamped_and_carries_no_gradient() -> None:
    psi = (-SCORES.abs() - 1).requires_grad_()
    z_ref = losses.reference_point(psi, SAFE, "batch", torch.tensor(NAN))
    assert z_ref.item() < 0 and not z_ref.requires_grad


def test_safety_probability_by_hand() -> None:
    p = losses.safety_probability(SCORES, SAFE, torch.tensor(0.5))
    assert p[0].tolist() == pytest.approx([sigmoid(0.5), sigmoid(-2.5)])
    assert p[1].tolist() == pytest.approx([0.5, sigmoid(1.0)])


def test_weights_by_hand_in_both_directions_and_scales() -> None:
    n_s, n_u, n, eta = 2, 5, 7, 0.1
    weights = {
        (d, s): [w.item() for w in losses.safety_weights(SAFE, eta, d, s)] for d in losses.DIRECTIONS for s in losses.SCALES
    }
    assert weights["unsafe-to-safe", "mean-one"] == pytest.approx([n / (1.1 * n_s), eta * n / (1.1 * n_u)])
    assert weights["printed", "mean-one"] == pytest.approx([eta * n / (1.1 * n_s), n / (1.1 * n_u)])
    assert weights["unsafe-to-safe", "safe-one"] == pytest.approx([1, eta * n_s / n_u])
    assert weights["printed", "safe-one"] == pytest.approx([1, n_s / (eta * n_u)])
    for (direction, scale), (safe, unsafe) in weights.items():
        ratio = (unsafe * n_u) / (safe * n_s)
        assert ratio == pytest.approx(eta if direction == "unsafe-to-safe" else 1 / eta)
        if scale == "mean-one":
            assert (safe * n_s + unsafe * n_u) / n == pytest.approx(1)


@pytest.mark.parametrize("average", losses.AVERAGES)
def test_weighted_mean_against_a_naive_loop(average: str) -> None:
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(6, 2)), rng.choice([1.0, 0.0, NAN], size=(6, 2))
    sums, counts = {1.0: 0.0, 0.0: 0.0}, {1.0: 0, 0.0: 0}
    for value, label in zip(values.ravel(), labels.ravel(), strict=True):
        if not math.isnan(label):
            sums[label] += {1.0: 3.0, 0.0: 0.2}[label] * value
            counts[label] += 1
    naive = sum(sums.values()) / sum(counts.values()) if average == "all" else sum(sums[k] / counts[k] for k in sums)
    weights = (torch.tensor(3.0), torch.tensor(0.2))
    assert losses.weighted_mean(torch.tensor(values), torch.tensor(labels), weights, average).item() == pytest.approx(naive)


def test_per_class_average_shifts_the_mass_by_the_counts() -> None:
    """Why eq. 8 does not give the ratio eta: its mass ratio is eta * n_s / n_u, not eta."""
    weights = losses.safety_weights(SAFE, 0.1, "unsafe-to-safe", "mean-one")
    masses = [
        losses.weighted_mean(torch.where(k == SAFE, 1.0, 0.0).double(), SAFE, weights, "per-class").item() for k in (1, 0)
    ]
    assert masses[1] / masses[0] == pytest.approx(0.1 * 2 / 5)


def test_nu_is_projected_and_bounded() -> None:
    nu = torch.tensor(0.001)
    assert losses.nu_step(nu, torch.tensor(0.4), 0.005).item() == pytest.approx(0.003)
    assert losses.nu_step(nu, torch.tensor(-0.4), 0.005).item() == 0
    assert losses.nu_step(nu, torch.tensor(900.0), 0.005, 2.0).item() == 2


def test_class_mean_is_nan_for_an_absent_class() -> None:
    assert losses.class_mean(SCORES, SAFE, 1.0).item() == pytest.approx(1.5)
    assert math.isnan(losses.class_mean(SCORES, torch.ones(4, 2), 0.0).item())


def presa_loss(scores: torch.Tensor, z_ref: torch.Tensor) -> torch.Tensor:
    """Eq. 15 at nu = 1.7 with the labels above, built from the functions."""
    preference = torch.tensor([1.0, 0.0, 0.5, NAN], dtype=torch.float64)
    weights = losses.safety_weights(SAFE, 0.1, "unsafe-to-safe", "mean-one")
    p = losses.safety_probability(scores, SAFE, z_ref)
    return losses.preference_loss(0.2 * scores, preference) + 1.7 * losses.weighted_mean(0.95 - p, SAFE, weights, "all")


def test_the_gradient_of_eq_15_against_finite_differences() -> None:
    z_ref = losses.reference_point(SCORES, SAFE, "batch", torch.tensor(NAN))
    scores = SCORES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(presa_loss(scores, z_ref), scores)
    for index in np.ndindex(4, 2):
        step = torch.zeros_like(SCORES)
        step[index] = 1e-6
        slope = (presa_loss(SCORES + step, z_ref) - presa_loss(SCORES - step, z_ref)) / 2e-6
        assert gradient[index].item() == pytest.approx(slope.item(), abs=1e-8)


def test_runs_stacked_on_a_leading_axis_are_the_runs_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 5, 2, generator=generator)
    safe = torch.tensor([1.0, 0.0, NAN])[torch.randint(3, (3, 5, 2), generator=generator)]
    safe[:, 0] = torch.tensor([1.0, 0.0])
    preference = torch.tensor([1.0, 0.0, 0.5, NAN])[torch.randint(4, (3, 5), generator=generator)]
    previous = torch.tensor([0.3, NAN, -2.0])

    def everything(scores, safe, preference, previous) -> list[torch.Tensor]:
        outputs = [losses.preference_loss(scores, preference, 0.7), losses.class_mean(scores, safe, 1.0)]
        for mode in losses.REFERENCE_POINTS:
            outputs.append(losses.reference_point(scores, safe, mode, previous))
        for direction in losses.DIRECTIONS:
            for scale in losses.SCALES:
                weights = losses.safety_weights(safe, 0.3, direction, scale)
                p = losses.safety_probability(scores, safe, outputs[2])
                outputs += [*weights, *(losses.weighted_mean(0.9 - p, safe, weights, a) for a in losses.AVERAGES)]
        return [*outputs, losses.nu_step(previous.nan_to_num(0.5), outputs[0], 0.1)]

    stacked = everything(scores, safe, preference, previous)
    for run in range(3):
        alone = everything(scores[run], safe[run], preference[run], previous[run])
        for many, one in zip(stacked, alone, strict=True):
            torch.testing.assert_close(many[run], one)


def test_the_log_form_pulls_hardest_where_a_label_is_violated_most() -> None:
    psi = torch.tensor([[-6.0, 0.0]], requires_grad=True)
    safe = torch.ones(1, 2)
    for form, expected in (("linear", lambda p: p * (1 - p)), ("log", lambda p: 1 - p)):
        (pull,) = torch.autograd.grad(losses.safety_miss(psi, safe, torch.zeros(()), 0.95, form).sum(), psi)
        torch.testing.assert_close(-pull, expected(torch.sigmoid(psi)).detach())
    miss = losses.safety_miss(psi, torch.tensor([[0.0, 1.0]]), torch.tensor(0.0), 0.95, "log").detach()
    expected = np.log(0.95) - np.log([[1 / (1 + np.exp(-6.0)), 0.5]])  # an unsafe segment with psi = -6, a safe one with 0
    np.testing.assert_allclose(miss.numpy(), expected, rtol=1e-6)


def test_classification_loss_by_hand() -> None:
    score, desirable = torch.tensor([0.0, 2.0, -1.0]), torch.tensor([1.0, 1.0, 0.0])
    weight = torch.tensor([1.0, 0.5, 2.0])
    expected = (np.log(2) + 0.5 * np.log(1 + np.exp(-2)) + 2 * np.log(1 + np.exp(-1))) / 3
    assert float(losses.classification_loss(score, desirable, weight)) == pytest.approx(expected, rel=1e-6)
