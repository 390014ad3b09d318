"""The policy network against NumPy and against autograd, and the properties of its masks and initial weights."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from presa.networks import mlp as networks  # noqa: E402
from presa.networks.backprop import Backprop, require_precision  # noqa: E402
from presa.networks.dropout import Masks  # noqa: E402
from presa.runs.cloning_cache import KEPT_VERSION  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402


def small(seed: int = 0) -> dict:
    parameters = networks.initial_parameters(5, 3, (8, 6), seed)
    return {name: value + 0.1 if name.startswith("bias") else value for name, value in parameters.items()}


def test_log_probability_by_hand_clips_its_targets() -> None:
    mean, action = torch.tensor([[0.5, -1.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [0.3, -0.4]])
    values = networks.log_probability(mean, action)
    assert values.tolist() == pytest.approx([-(0.25 + (1 - 1e-5 + 1) ** 2), -0.25])


def test_weights_are_orthogonal_biases_zero_and_a_seed_repeats_them() -> None:
    parameters = networks.initial_parameters(5, 3, (8, 6), 4)
    assert {name: tuple(v.shape) for name, v in parameters.items()} == {
        "weight_0": (5, 8), "bias_0": (8,), "weight_1": (8, 6), "bias_1": (6,), "weight_2": (6, 3), "bias_2": (3,),
    }  # fmt: skip
    for layer in range(3):
        weight = parameters[f"weight_{layer}"]
        gram = weight @ weight.T if weight.shape[0] < weight.shape[1] else weight.T @ weight
        torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)
        assert (parameters[f"bias_{layer}"] == 0).all()
    again, other = (networks.initial_parameters(5, 3, (8, 6), seed) for seed in (4, 5))
    assert all(torch.equal(parameters[name], again[name]) for name in parameters)
    assert not torch.equal(parameters["weight_0"], other["weight_0"])


def test_the_mean_action_against_numpy_and_against_the_policy_that_acts() -> None:
    from presa.rollouts.policy import MlpPolicy

    parameters = small()
    observations = np.random.default_rng(0).normal(size=(4, 7, 5)).astype(np.float32)
    arrays = networks.to_numpy(parameters)
    hidden = observations
    for layer in range(3):
        hidden = np.einsum("bli,io->blo", hidden, arrays[f"weight_{layer}"]) + arrays[f"bias_{layer}"]
        hidden = np.maximum(hidden, 0) if layer < 2 else np.tanh(hidden)
    mean = networks.mean_action(parameters, torch.from_numpy(observations))
    np.testing.assert_allclose(mean.numpy(), hidden, atol=1e-6)
    policy = MlpPolicy(*(tuple(arrays[f"{kind}_{layer}"] for layer in range(3)) for kind in ("weight", "bias")), {})
    np.testing.assert_allclose(policy.act(observations[0]), hidden[0], atol=1e-6)


def stack(runs: list[dict]) -> dict:
    return {name: torch.stack([run[name] for run in runs]).requires_grad_() for name in runs[0]}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_dropout_drops_its_share_of_every_unit_and_state_and_repeats_by_seed(precision: str) -> None:
    network = Backprop(stack([networks.initial_parameters(5, 3, (301, 30), 0)]), 1001, 0.25, precision)

    def masks(seed: int) -> list:
        network.draw([torch.Generator().manual_seed(seed)])
        return network.kept()

    first, second = masks(3)
    assert first.shape == (1, 1001, 301) and second.shape == (1, 1001, 30)
    assert first.float().mean().item() == pytest.approx(0.75, abs=0.003)
    assert second.float().mean().item() == pytest.approx(0.75, abs=0.01)
    columns, rows = first[0].float().mean(0), first[0].float().mean(1)
    assert abs(columns - 0.75).max() < 0.07 and abs(rows - 0.75).max() < 0.13
    assert (first[..., :30] != second).float().mean().item() == pytest.approx(2 * 0.25 * 0.75, abs=0.01)  # independent layers
    assert all(torch.equal(mask, again) for mask, again in zip([first, second], masks(3), strict=True))
    assert not torch.equal(first, masks(4)[0])


def test_masks_of_one_byte_drop_the_nearest_share_and_their_halves_are_independent() -> None:
    masks = Masks(2, 40, (100, 30, 70), 0.1, 8, "cpu")
    assert masks.dropout == 26 / 256 and [tuple(part.shape) for part in masks.numbers] == [
        (2, 40, 100), (2, 40, 30), (2, 40, 70),
    ]  # fmt: skip
    masks.draw([torch.Generator().manual_seed(seed) for seed in (0, 1)])
    dropped = torch.cat([(part <= masks.limit).flatten(1) for part in masks.numbers], 1).double()
    assert dropped.mean().item() == pytest.approx(26 / 256, abs=0.01)
    first, second = dropped.split(4000, 1)
    assert (first * second).mean().item() == pytest.approx((26 / 256) ** 2, abs=0.005)
    assert not torch.equal(dropped[0], dropped[1])
    most = Masks(1, 4, (8,), 0.9999, 8, "cpu")
    assert most.dropout == 255 / 256 and most.limit < 32767  # something is always kept
    assert Masks(1, 4, (8,), 0.001, 8, "cpu").numbers == [] and Masks(1, 4, (8,), 0.001, 16, "cpu").numbers != []


def test_other_masks_of_one_byte_need_another_version_of_the_cache_of_cloned_policies() -> None:
    masks = Masks(1, 2, (8,), 0.25, 8, "cpu")
    masks.draw([torch.Generator().manual_seed(0)])
    kept = (masks.numbers[0][0] > masks.limit).int().tolist()
    assert (KEPT_VERSION, kept) == (4, [[1, 0, 0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 1, 1, 0, 1]])


def test_dropout_keeps_the_mean_of_a_linear_network() -> None:
    ones = {"weight_0": torch.eye(5), "bias_0": torch.ones(5) * 9, "weight_1": torch.eye(5) * 1e-4, "bias_1": torch.zeros(5)}
    states = torch.randn(1, 5, generator=torch.Generator().manual_seed(0))
    network = Backprop(stack([ones]), 20_000, 0.25)
    network.draw([torch.Generator().manual_seed(0)])
    mean = network.mean_action(stack([ones]), states.expand(1, 20_000, 5))[0]
    assert mean.std(0).min() > 0  # the masks differ from state to state
    torch.testing.assert_close(mean.mean(0), networks.mean_action(ones, states)[0], rtol=0.02, atol=0)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("hidden", [(8, 6), (12,), (3, 8, 8)])
def test_the_gradient_is_the_one_autograd_gives_under_the_same_masks(hidden: tuple, dropout: float) -> None:
    parameters = stack([networks.initial_parameters(5, 3, hidden, seed) for seed in (1, 2)])
    parameters = {name: (value.detach() + 0.05).requires_grad_() for name, value in parameters.items()}
    states, weights = torch.randn(2, 2, 50, 5, generator=torch.Generator().manual_seed(0))[..., :5]
    network = Backprop(parameters, 50, dropout)
    network.draw([torch.Generator().manual_seed(seed) for seed in (1, 2)])
    values, last = states.double(), len(hidden)
    leaves = {name: value.detach().double().requires_grad_() for name, value in parameters.items()}
    for layer in range(last + 1):
        values = values @ leaves[f"weight_{layer}"] + leaves[f"bias_{layer}"][:, None]
        if layer < last:
            values = values.relu() * (network.kept()[layer] / (1 - dropout) if dropout else 1)
    mean = network.mean_action(parameters, states)
    torch.testing.assert_close(mean.double(), values.tanh(), atol=1e-6, rtol=1e-5)

    def gradients(mean: torch.Tensor, parameters: dict) -> tuple:
        return torch.autograd.grad((mean * weights[..., :3]).square().sum(), list(parameters.values()))

    for found, expected in zip(gradients(mean, parameters), gradients(values.tanh(), leaves), strict=True):
        torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
        assert expected.abs().max() > 1e-3


def test_products_in_bf16_lead_where_those_in_fp32_do() -> None:
    parameters = {name: value.requires_grad_() for name, value in stack([small(), small(1)]).items()}
    states = torch.randn(2, 50, 5, generator=torch.Generator().manual_seed(1))
    network = Backprop(parameters, 50, 0.25, "bf16")
    network.draw([torch.Generator().manual_seed(seed) for seed in (0, 1)])
    hidden = states
    for layer, kept in enumerate(network.kept()):
        hidden = (hidden @ parameters[f"weight_{layer}"] + parameters[f"bias_{layer}"][:, None]).relu() * kept / 0.75
    expected = (hidden @ parameters["weight_2"] + parameters["bias_2"][:, None]).tanh()
    ours = network.mean_action(parameters, states)
    leaves = list(parameters.values())
    gradients = zip(*(torch.autograd.grad(mean.square().sum(), leaves) for mean in (ours, expected)), strict=True)
    for one, other in ((ours, expected), *gradients):
        assert one.dtype == torch.float32
        assert 0 < (one - other).norm() < 0.02 * other.norm()


def test_what_a_processor_lacks_is_not_pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    require_precision("fp32", "cpu")
    with pytest.raises(InputError, match="precision bf16: cpu has no matrix products of bfloat16"):
        require_precision("bf16", "cpu")


def test_runs_stacked_on_a_leading_axis() -> None:
    runs = [small(seed) for seed in (1, 2, 3)]
    stacked = {name: torch.stack([run[name] for run in runs]) for name in runs[0]}
    states = torch.randn(3, 11, 5, generator=torch.Generator().manual_seed(0))
    together = networks.mean_action(stacked, states)
    for index, run in enumerate(runs):
        torch.testing.assert_close(together[index], networks.mean_action(run, states[index]))


def test_a_folded_normalisation_is_the_same_policy() -> None:
    parameters, generator = small(), torch.Generator().manual_seed(0)
    states, shift, scale = torch.randn(9, 5, generator=generator), torch.randn(5, generator=generator), torch.rand(5) + 0.5
    folded = networks.fold_normalization(parameters, shift, scale)
    torch.testing.assert_close(
        networks.mean_action(folded, states), networks.mean_action(parameters, (states - shift) / scale), atol=1e-5, rtol=0
    )
