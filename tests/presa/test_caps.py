"""CAPS on learnt rewards and costs: expectiles, weights, what follows a step, the losses, and which policy acts."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from feedback_cases import write_dataset  # noqa: E402
from one_run import fit  # noqa: E402

import presa  # noqa: E402
from presa.algorithms import configure  # noqa: E402
from presa.algorithms.caps import CapsFeedback, allowed_cost, outputs  # noqa: E402
from presa.data.pairs import Data, Examples, load_data  # noqa: E402
from presa.data.steps import Steps, successors  # noqa: E402
from presa.data.trajectories import find_unlabelled  # noqa: E402
from presa.fitting.fit import Snapshot  # noqa: E402
from presa.losses import advantage_weights, expectile_loss  # noqa: E402
from presa.networks.mlp import Parameters  # noqa: E402
from presa.rollouts.policy import load  # noqa: E402
from presa.rollouts.switching_policy import POLICIES, SwitchingPolicy, allowed, choose_policy  # noqa: E402
from presa.runs.card import render  # noqa: E402
from presa.runs.records import MonitorSettings  # noqa: E402
from presa.runs.run import Job, train_all  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402

TINY = {"steps": 30, "model_steps": 6, "members": 2, "hidden": (8, 8), "model_hidden": (8,), "batch_size": 1}


@pytest.fixture
def data(tmp_path: Path, ball_file: Path) -> Data:
    return load_data(write_dataset(tmp_path / "data", ball_file))


def test_expectile_loss_by_hand() -> None:
    assert expectile_loss(torch.tensor([2.0, -2.0, 0.0]), 0.7).tolist() == pytest.approx([2.8, 1.2, 0.0])
    values = torch.linspace(0, 1, 1001)
    best = expectile_loss(torch.tensor([0.0, 1.0]) - values[:, None], 0.7).sum(1).argmin()
    assert float(values[best]) == pytest.approx(0.7)  # 0.3 v = 0.7 (1 - v)


def test_weights_by_hand() -> None:
    weight = advantage_weights(torch.tensor([0.0, 1.0, -3.0, 50.0]), torch.tensor(2.0), 0.5, 100.0)
    assert weight.tolist() == pytest.approx([1.0, math.e, math.exp(-3), 100.0])


def test_what_follows_a_step_by_hand() -> None:
    """Episode 3 has five steps, of which 0, 1, 3 and 4 are known; episode 7 has the horizon's three, of which 2 is known."""
    nothing = torch.zeros(5, 1)
    steps = Steps(nothing, nothing, np.array([3, 3, 3, 3, 7]), np.array([0, 1, 3, 4, 2]), {3: 5})
    after, known, last = successors(steps, 3)
    assert after.tolist() == [1, 1, 3, 3, 4] and known.tolist() == [True, False, True, False, False]
    assert last.tolist() == [False, False, False, True, True]


def test_the_loss_by_hand() -> None:
    algorithm = configure("caps-feedback", None, {"discount": 0.5, "expectile": 0.75, "temperature": 1.0})
    # values; critics of reward; of cost; values of the next state; log-probabilities
    scores = torch.tensor([[1.0, -1.0, 3.0, 2.0, -2.0, -1.0, 4.0, -2.0, -0.5, -0.25], [0.0] * 10], requires_grad=True)
    batch = {
        "gain": torch.tensor([[2.0, -4.0], [9.0, 9.0]]),
        "alive": torch.tensor([1.0, 0.0]),
        "fits": torch.tensor([1.0, 0.0]),
    }
    loss, info, state = algorithm.loss(scores, batch, {"spread": torch.tensor([float("nan")] * 2)})
    # advantages 2 - 1 and -2 + 1; targets 0.5 * 2 + 0.5 * 4 and 0.5 * -4 + 0.5 * -2; mean sizes 0.5 each
    assert float(info["value_loss"]) == pytest.approx((0.75 * 1 + 0.25 * 1) / 2)
    assert float(info["critic_loss"]) == pytest.approx((3 - 3) ** 2 + (2 - 3) ** 2 + (-2 + 3) ** 2 + (-1 + 3) ** 2)
    assert state["spread"].tolist() == pytest.approx([0.5, 0.5])
    policy = (math.exp(2) * 0.5 + math.exp(-2) * 0.25) / 2
    assert float(info["policy_loss"]) == pytest.approx(policy)
    assert loss.item() == pytest.approx(0.5 + 6 + policy)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert gradient[0].tolist() == pytest.approx([-0.75, 0.25, 0, -2, 2, 4, 0, 0, -math.exp(2) / 2, -math.exp(-2) / 2])
    later = algorithm.loss(scores, batch, {"spread": torch.tensor([1.0, 0.5])})[2]
    assert later["spread"].tolist() == pytest.approx([0.995, 0.5])


def test_which_policy_acts_by_hand() -> None:
    returns, costs = np.array([[5.0, 5.0, 5.0, 1.0], [2.0] * 4]), np.array([[0.4, 0.6, 0.9, 0.1], [0.1, 0.2, 0.8, 0.3]])
    share = np.array([0.5, 0.5, 0.5, 0.5])
    # both within: the higher return; one within: that one; none: the lower cost; both within: the higher return
    assert choose_policy(returns, costs, share).tolist() == [0, 1, 1, 1]
    np.testing.assert_allclose(allowed(np.array([8.0, -3.0]), 2, 0.5), [8 * 0.75 / 2, 0])
    assert allowed(np.array([8.0]), 1, 0.9)[0] == pytest.approx(0.8)


def test_the_data_by_hand(data: Data) -> None:
    """Rewards as they are, costs in units of what the limit allows a step, each state with the next."""
    algorithm = configure("caps-feedback", None, TINY)
    values = torch.stack([torch.arange(len(data.steps)).float(), torch.ones(len(data.steps))], -1)
    examples = algorithm.examples(data.with_step_values(values))
    assert allowed_cost(data) == 20 / data.task.horizon and allowed_cost(replace(data, cost_limit=0.0)) == 1 / data.task.horizon
    torch.testing.assert_close(examples.labels["gain"][:, 1], torch.full((len(values),), -data.task.horizon / 20))
    row = int(torch.nonzero(examples.labels["alive"])[0, 0])
    torch.testing.assert_close(examples.observations[row, 1], data.steps.observations[row + 1])
    gaps = (examples.labels["fits"] == 0).sum()
    assert 0 < gaps < len(values) and (examples.labels["alive"] <= examples.labels["fits"]).all()


def parameters_of(seed: int) -> Parameters:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"weight_0": (8, 3, 5), "bias_0": (8, 5), "weight_1": (8, 5, 2), "bias_1": (8, 2), "action_0": (8, 2, 5)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


FACTS = {"cost_limit": 10.0, "task": {"horizon": 4}, "switching": {"discount": 0.5, "allowed_cost": 2.5}}


def test_the_policy_in_numpy_is_the_network_in_torch() -> None:
    parameters, seen = parameters_of(0), torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    runs = {name: value[None] for name, value in parameters.items()}
    policy = SwitchingPolicy({name: value.numpy() for name, value in parameters.items()}, FACTS)
    heads = outputs(runs, seen[None], torch.zeros(1, 6, 2))[0, POLICIES:].tanh()
    critics = torch.stack([outputs(runs, seen[None], head[None])[0, 2:6, :, 0] for head in heads])
    reward, cost = critics[:, :2].amin(1), -critics[:, 2:].amin(1)
    policy.reset(6)
    policy.observe(np.zeros(6), np.linspace(-2, 12, 6))  # more, or less, is left
    share = allowed((10 - np.linspace(-2, 12, 6)) / 2.5, 4, 0.5)
    chosen = choose_policy(reward.numpy(), cost.numpy(), share)
    assert set(chosen.tolist()) == {0, 1}
    np.testing.assert_allclose(policy.act(seen.numpy()), heads.numpy()[chosen, np.arange(6)], atol=1e-5)
    assert policy.step == 1 and policy.left.tolist() == pytest.approx((10 - np.linspace(-2, 12, 6)).tolist())
    policy.aim(3.0)
    assert policy.step == 0 and policy.left.tolist() == [3.0] and "for cost limit 3" in repr(policy)


def test_the_values_of_a_chain_are_learnt() -> None:
    """Two states in turn, two steps an episode: the action of the second state earns 1 where it is high, and costs 1 there."""
    algorithm = replace(configure("caps-feedback"), discount=0.5, learning_rate=1e-2, hidden=(16,), batch_size=1, steps=4_100)
    assert isinstance(algorithm, CapsFeedback)
    first, second = torch.tensor([0.0]), torch.tensor([1.0])
    observations = torch.stack([torch.stack([first, second]), *[torch.stack([second, second])] * 2])
    actions, gain = torch.tensor([[0.0], [0.5], [-0.5]]), torch.tensor([[0.0, 0.0], [1.0, -1.0], [0.0, 0.0]])
    labels = {"gain": gain, "alive": torch.tensor([1.0, 0.0, 0.0]), "fits": torch.ones(3)}
    examples = Examples(observations, actions, labels, per_pair=3)
    sizes = cast("Data", SimpleNamespace(task=SimpleNamespace(observation_dim=1, action_dim=1)))
    start = Snapshot(0, algorithm.initial_parameters(sizes, 0), {}, algorithm.state(examples))
    *_, (last, numbers) = fit(algorithm, examples, start, 0, "main", 100)
    runs = {name: value[None] for name, value in last.parameters.items()}
    found = outputs(runs, observations[None, :, 0], actions[None])[0, ..., 0]
    # the second state's value is the 0.7-expectile of 0.5 and 0, and of -0.5 and 0; the first's half of that
    np.testing.assert_allclose(found[0, 1:].numpy(), [0.35, 0.35], atol=0.03)
    np.testing.assert_allclose(found[1, 1:].numpy(), [-0.15, -0.15], atol=0.03)
    np.testing.assert_allclose(found[2:4, :].mean(0).numpy(), [0.175, 0.5, 0.0], atol=0.03)
    np.testing.assert_allclose(found[4:6, :].mean(0).numpy(), [-0.075, -0.5, 0.0], atol=0.03)
    policies = found[6:, 1].tanh().tolist()
    assert policies[0] > 0.3 and policies[1] < -0.3  # towards what earns reward, and towards what costs nothing
    assert numbers["critic_loss"] < 0.02


def test_from_feedback_to_a_policy_that_acts(data: Data, ball_file: Path, tmp_path: Path) -> None:
    """Two runs, one with unlabelled recordings; the policies' files act, and receive costs and limits."""
    more = data.with_unlabelled(find_unlabelled(data.task, "", ball_file))
    jobs = [Job(data, 0, tmp_path / "one"), Job(more, 1, tmp_path / "two")]
    done = train_all("caps-feedback", configure("caps-feedback", None, TINY), jobs, MonitorSettings(report_every=6))
    assert [one["steps"] for one in done] == [30, 30] and "failed" not in done[0]
    policy = load(tmp_path / "two")
    assert isinstance(policy, SwitchingPolicy) and policy.limit == 20 and policy.facts["task"]["horizon"] == data.task.horizon
    action = policy.act(data.steps.observations[:1].numpy())
    assert action.shape == (1, 2) and np.abs(action).max() <= 1
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert "critics" in config["acts_by"] and "`observe(rewards [n], costs [n])`" in render(tmp_path / "one")
    assert repr(presa.load(tmp_path / "one")).startswith("Policy: caps-feedback on BallCircle, cost limit 20")


def test_settings_that_cannot_be() -> None:
    for settings, message in (
        ({"dropout": 0.1}, "dropout must be 0"),
        ({"expectile": 1.0}, "expectile must be between 0 and 1"),
        ({"precision": "bf16"}, "precision must be fp32"),
        ({"steps": 100, "model_steps": 51}, "none is left"),
        ({"model_steps": 2}, "divided among 3 members"),
    ):
        with pytest.raises(InputError, match=message):
            configure("caps-feedback", None, settings)
