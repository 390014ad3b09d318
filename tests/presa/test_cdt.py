"""The Constrained Decision Transformer: its sequences, its network, its loss, how it acts, and that it learns."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from feedback_cases import write_dataset  # noqa: E402
from one_run import fit  # noqa: E402

from presa.algorithms import configure  # noqa: E402
from presa.algorithms.cdt.sequences import Sequences, augment, repeat_counts, to_go  # noqa: E402
from presa.algorithms.cdt.targets import Targets, find_targets, from_episodes  # noqa: E402
from presa.algorithms.cdt.transformer import attention_mask, initial_transformer, predict  # noqa: E402
from presa.data.pairs import Data, load_data  # noqa: E402
from presa.data.trajectories import find_episodes  # noqa: E402
from presa.fitting.fit import Snapshot  # noqa: E402
from presa.networks.adam import Adam  # noqa: E402
from presa.rollouts.context_policy import ContextPolicy, step_value  # noqa: E402
from presa.rollouts.play import find_policy  # noqa: E402
from presa.rollouts.policy import load  # noqa: E402
from presa.runs import run as runs  # noqa: E402
from presa.runs.records import MonitorSettings, read_metrics  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402
from safefeedback.randomness import stream  # noqa: E402
from safefeedback.tasks import find_task, tasks  # noqa: E402

SMALL = {"steps": 20, "batch_size": 6, "hidden": (16, 16), "heads": 2, "context": 4, "warm_up_steps": 5, "learning_rate": 1e-2}
TARGETS = Targets((700.0, 750.0, 800.0), 1, 20.0, 3.0, 1.0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def data(tmp_path: Path, ball_file: Path) -> Data:
    loaded = load_data(write_dataset(tmp_path / "data", ball_file))
    return loaded.with_episodes(find_episodes(loaded.task, "", ball_file))


def sequences(**changes: Any) -> Sequences:
    """Episodes of 3 and 2 steps; every window once, and those of the second once more with 100 return and 7 cost more to go."""
    values = {
        "observations": torch.arange(10.0).view(5, 2),
        "actions": torch.tensor([[0.0], [0.1], [0.2], [0.3], [4.0]]),
        "labels": {},
        "per_pair": 1,
        "begin": torch.tensor([0, 0, 0, 3, 3]),
        "to_go": torch.tensor([[6.0, 1.0], [5.0, 1.0], [3.0, 0.0], [30.0, 2.0], [20.0, 0.5]]),
        "step_costs": torch.tensor([0.0, 1.0, 0.0, 1.5, 0.5]),
        "end": torch.tensor([0, 1, 2, 3, 4, 3, 4], dtype=torch.int32),
        "copy": torch.tensor([0, 0, 0, 0, 0, 1, 1], dtype=torch.int32),
        "shifts": torch.tensor([[0.0, 0.0], [100.0, 7.0]]),
        "targets": TARGETS,
    }
    return Sequences(**{**values, **changes})


def test_to_go_by_hand() -> None:
    np.testing.assert_array_equal(to_go(np.array([1.0, 2, 3, 10, 20]), np.array([0, 3, 5])), [6, 5, 3, 30, 20])


def test_windows_by_hand() -> None:
    windows = sequences()
    assert len(windows) == 7
    context = windows.context(torch.tensor([1, 4, 6, 2]), 4)
    assert context.valid.tolist() == [[False, False, True, True]] * 3 + [[False, True, True, True]]  # padded on the left
    assert context.timesteps.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 2]]
    assert context.returns[:, 2:].tolist() == [[6, 5], [30, 20], [130, 120], [5, 3]]
    assert context.costs[:, 2:].tolist() == [[1, 1], [2, 0.5], [9, 7.5], [1, 0]]
    assert context.step_costs[1, 2:].tolist() == [1.5, 0.5]
    assert context.observations[1, 2:].tolist() == [[6, 7], [8, 9]]
    assert context.actions[1, 2:, 0].tolist() == pytest.approx([0.3, 1.0])  # recorded beyond the bounds
    later = windows.context(torch.tensor([2]), 2)  # a window that begins later than its episode
    assert later.timesteps.tolist() == [[1, 2]] and later.valid.all() and later.returns.tolist() == [[5, 3]]


def test_costly_episodes_are_drawn_less_but_drawn() -> None:
    often = repeat_counts(np.array([0.0, 5, 10, 25, 39.9, 60, 70, 500]), 40.0)
    assert often.tolist() == [7, 7, 6, 5, 4, 1, 1, 1]
    assert repeat_counts(np.array([80.0, 140.0]), 80.0).tolist() == [3, 1]


def test_wishes_lie_above_the_front_and_cheaper_episodes_answer_them() -> None:
    returns, costs = np.array([2.0, 5, 4, 9, 1]), np.array([0.0, 2, 3, 6, 6])
    chosen, wishes = augment(returns, costs, 40, TARGETS, stream(0, "test"))
    np.testing.assert_allclose(wishes[:, 1], np.linspace(0, 6, 40))
    line = np.polyfit([0, 2, 6], [2, 5, 9], 1)  # the Pareto front: (0, 2), (2, 5), (6, 9)
    assert (wishes[:, 0] >= np.polyval(line, wishes[:, 1]) + 1 - 1e-9).all() and (wishes[:, 0] <= 20).all()
    assert (costs[chosen] <= wishes[:, 1]).all()
    taken: set[int] = set()
    for episode, (wanted, cost) in zip(chosen, wishes, strict=True):
        admitted = [e for e in range(5) if costs[e] <= cost]
        nearest = min(admitted, key=lambda e: math.hypot(costs[e] - cost, returns[e] - wanted))
        if nearest in taken:
            assert costs[episode] <= costs[nearest] and returns[episode] >= returns[nearest] - 3
        else:
            assert episode == nearest
        taken.add(int(episode))
    assert 4 not in chosen and {1, 3} <= set(chosen)  # 4 earns too little to stand in for 3
    assert augment(returns, costs, 0, TARGETS, stream(0, "test"))[0].size == 0


def test_what_is_listed_for_a_dataset(data: Data) -> None:
    algorithm = configure("cdt", None, SMALL)
    examples = algorithm.examples(data)
    episodes = data.episodes
    kept = [e for e in range(len(episodes)) if e not in data.held_out]
    assert data.held_out and len(examples.shifts) == 1 + int(0.2 * len(kept))
    first = 0
    for e in kept:  # a naive loop over the rows of every kept episode
        begin, end = episodes.bounds[e], episodes.bounds[e + 1]
        rows = slice(first, first + end - begin)
        expected = [[episodes.rewards[t:end].sum(), episodes.costs[t:end].sum()] for t in range(begin, end)]
        np.testing.assert_allclose(examples.to_go[rows], expected, atol=1e-4)
        np.testing.assert_array_equal(examples.observations[rows], episodes.observations[begin:end])
        listed = (examples.end >= rows.start) & (examples.end < rows.stop) & (examples.copy == 0)
        often = min(7, max(1, math.ceil(7 - episodes.costs[begin:end].sum() / 10)))
        assert int(listed.sum()) == often * (end - begin)
        first += end - begin
    assert len(examples.observations) == first and set(examples.copy.tolist()) == set(range(len(examples.shifts)))


def test_targets_of_the_tasks_and_of_ones_own() -> None:
    nothing = np.zeros(0)
    assert find_targets(find_task("CarCircle"), nothing, nothing).returns == (450, 500, 550)
    assert find_targets(find_task("mediumdense"), nothing, nothing) == find_targets(find_task("mediumsparse"), nothing, nothing)
    assert all(len(find_targets(task, nothing, nothing).returns) == len(task.cost_limits) for task in tasks().values())
    mine = replace(find_task("BallRun"), name="Mine")
    returns, costs = np.array([0.0, 10, 20, 40]), np.array([5.0, 12, 12, 35])
    found = find_targets(mine, returns, costs)
    assert found == from_episodes(mine, returns, costs)
    # the 0.9 quantiles of {0}, which alone is within 10; of {0, 10, 20}; of all
    assert found.returns == pytest.approx((0.0, 18.0, 34.0)) and found.max_return == pytest.approx(44)


def inputs(batch: int = 3, steps: int = 5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = {"returns": (), "costs": (), "observations": (3,), "actions": (2,)}
    values = {name: torch.randn(batch, steps, *shape, generator=generator) for name, shape in shapes.items()}
    return values | {"timesteps": torch.arange(steps).expand(batch, steps), "valid": torch.ones(batch, steps, dtype=torch.bool)}


def network(seed: int = 0) -> dict[str, torch.Tensor]:
    """With weights large enough that every input has an effect."""
    parameters = initial_transformer(3, 2, 16, 2, 12, seed)
    return {name: 10 * value if value.ndim == 2 else value for name, value in parameters.items()}


def test_the_future_does_not_change_the_present() -> None:
    parameters, before = network(), inputs()
    expected = predict(parameters, **before, heads=4)
    for name in ("returns", "costs", "observations", "actions"):
        changed = dict(before) | {name: before[name].clone()}
        changed[name][:, 3:] += 1
        after = predict(parameters, **changed, heads=4)
        seen = 4 if name == "actions" else 3  # a step's own action is hidden from its prediction
        torch.testing.assert_close(after.mean[:, :seen], expected.mean[:, :seen])
        assert (after.mean[:, seen:] - expected.mean[:, seen:]).abs().amax(-1).min() > 1e-4  # but everything known is used
    assert (after.cost[:, 3] != expected.cost[:, 3]).all()  # the cost depends on the action itself


def test_padding_is_not_seen() -> None:
    parameters, padded = network(), inputs()
    padded["valid"] = torch.tensor([[False, False, True, True, True]]).expand(3, 5)
    expected = predict(parameters, **padded, heads=4).mean[:, 2:]
    changed = {name: value.clone() for name, value in padded.items()}
    for name in ("returns", "costs", "observations", "actions"):
        changed[name][:, :2] = 9.0
    torch.testing.assert_close(predict(parameters, **changed, heads=4).mean[:, 2:], expected)
    short = {name: value[:, 2:] for name, value in padded.items()}  # the same as a window without padding
    torch.testing.assert_close(predict(parameters, **short, heads=4).mean, expected)
    later = short | {"timesteps": short["timesteps"] + 1}
    assert (predict(parameters, **later, heads=4).mean - expected).abs().max() > 1e-3  # the time step matters


def test_the_mask_by_hand() -> None:
    mask = attention_mask(torch.tensor([[False, True]]))[0, 0].int()
    expected = torch.zeros(8, 8, dtype=torch.int32)
    for token in range(4):
        expected[token, token] = 1  # padding attends only to itself
        expected[4 + token, 4 : 5 + token] = 1
    assert torch.equal(mask, expected)


def test_the_loss_by_hand() -> None:
    algorithm = configure("cdt", None, SMALL | {"dropout": 0.0, "reward_scale": 0.5, "cost_scale": None, "cost_weight": 0.3})
    examples, index = sequences(), torch.tensor([1, 4, 2])
    parameters = initial_transformer(2, 1, 16, 2, 12, 0) | {"log_temperature": torch.tensor(math.log(0.2)).requires_grad_()}
    loss, info, _ = algorithm.objective(parameters, examples, index, torch.Generator(), {})
    c = examples.context(index, 4)
    out = predict(parameters, c.returns * 0.5, c.costs / 2, c.observations, c.actions, c.timesteps, c.valid, 2)
    likelihood, entropy, cost, count = 0.0, 0.0, 0.0, 0
    for b in range(3):
        for k in range(4):
            if c.valid[b, k]:
                log_sd = out.log_deviation[b, k].item()
                z = (c.actions[b, k].item() - out.mean[b, k].item()) / math.exp(log_sd)
                likelihood += -0.5 * z * z - log_sd - 0.5 * math.log(2 * math.pi)
                entropy += 0.5 + log_sd + 0.5 * math.log(2 * math.pi)
                p = 1 / (1 + math.exp(-out.cost[b, k].item()))
                costs = min(1.0, c.step_costs[b, k].item())  # a fraction stays a fraction
                cost += -costs * math.log(p) - (1 - costs) * math.log(1 - p)
                count += 1
    assert count == 7
    assert loss.item() == pytest.approx((-likelihood - 0.2 * entropy + 0.3 * cost) / count, rel=1e-5)
    assert info["entropy"].item() == pytest.approx(entropy / count, rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, [parameters["log_temperature"]])
    assert gradient.item() == pytest.approx(0.2 * (entropy / count + 1), rel=1e-5)


def test_gradients_are_cut_weights_decay_and_the_rate_warms_up() -> None:
    algorithm = configure("cdt", None, SMALL | {"gradient_limit": 0.25, "weight_decay": 0.1})
    cut = algorithm.gradients({"a": torch.tensor([3.0]), "b": torch.tensor([4.0]), "log_temperature": torch.tensor(7.0)})
    assert [value.item() for value in cut.values()] == pytest.approx([0.15, 0.2, 7.0], rel=1e-4)
    small = {"a": torch.tensor([0.1])}
    assert algorithm.gradients(small)["a"].item() == pytest.approx(0.1)
    assert [algorithm.rate(step) for step in (0, 4, 9)] == pytest.approx([0.002, 0.01, 0.01])
    assert algorithm.decay(0) == pytest.approx(0.0002)
    adam = Adam({"a": torch.tensor([2.0])}, {})
    adam.step([torch.tensor([5.0])], 0.01, 1, decay=0.1)
    assert adam.parameters["a"].item() == pytest.approx(2 * 0.9 - 0.01)  # Adam's first step is the rate
    with pytest.raises(InputError, match="Table 4"):
        configure("cdt", "paper-bullet")
    with pytest.raises(InputError, match="multiple of heads"):
        configure("cdt", None, {"hidden": (12, 12), "heads": 8})


def facts(**changes: Any) -> dict[str, Any]:
    targets = [[10.0, 100.0], [20.0, 200.0], [40.0, 300.0]]
    return {"context": 4, "heads": 4, "scale": [0.01, 0.1], "targets": targets, "cost_limit": 20.0, **changes}


def test_acting_is_the_network_in_numpy() -> None:
    parameters = network()
    policy = ContextPolicy({name: value.numpy() for name, value in parameters.items()}, facts())
    policy.reset(3)
    states = inputs(3, 15)["observations"]
    rewards, costs = inputs(3, 15)["returns"].double().numpy(), inputs(3, 15)["costs"].abs().double().numpy()
    actions = []
    for t in range(15):  # longer than the context, and than the table of 12 timesteps
        actions.append(policy.act(states[:, t].numpy()))
        policy.observe(rewards[:, t], costs[:, t])
        first = max(0, t - 3)
        sums = [np.concatenate([np.zeros((3, 1)), np.cumsum(v, 1)], 1)[:, first : t + 1] for v in (rewards, costs)]
        done = torch.from_numpy(np.stack(actions[first:], 1))
        done[:, -1] = 5.0  # is not looked at
        expected = predict(
            parameters,
            torch.from_numpy((200 - sums[0]) * 0.01).float(),
            torch.from_numpy((20 - sums[1]) * 0.1).float(),
            states[:, first : t + 1],
            done,
            torch.arange(first, t + 1).expand(3, -1),
            torch.ones(3, t + 1 - first, dtype=torch.bool),
            heads=4,
        ).mean[:, -1]
        np.testing.assert_allclose(actions[-1], expected.clamp(-1, 1), atol=2e-5)
    assert np.abs(actions[-1]).max() > 0.01


def test_what_a_policy_asks_for() -> None:
    policy = ContextPolicy({name: value.numpy() for name, value in network().items()}, facts())
    assert policy.asked.tolist() == [200, 20]
    for limit, asked in ((10, 100), (15, 150), (5, 100), (80, 300)):
        policy.aim(limit)
        assert policy.asked.tolist() == [asked, limit] and policy.to_go.tolist() == [[asked, limit]]
    policy.reset(2)
    policy.act(np.zeros((2, 3)))
    policy.observe(np.array([1.0, 2.0]), np.array([0.5, 0.0]))
    assert policy.to_go.tolist() == [[299, 79.5], [298, 80]]
    policy.reset(1)
    assert policy.to_go.tolist() == [[300, 80]] and policy.steps == 0 and policy.window == []
    with_models = {name: value.numpy() for name, value in network().items()}
    for name, last in (("reward_model", 3.0), ("cost_model", 0.0)):
        with_models |= {f"{name}/weight_0": np.zeros((5, 1), np.float32), f"{name}/bias_0": np.full(1, last, np.float32)}
    policy = ContextPolicy(with_models, facts())
    policy.act(np.zeros((1, 3)))
    policy.observe(np.array([99.0]), np.array([99.0]))  # the simulator's values are ignored
    assert policy.to_go.tolist() == [[197, pytest.approx(20 - math.log(2))]]


def test_one_episode_is_learnt_by_heart() -> None:
    generator = torch.Generator().manual_seed(3)
    rows = torch.arange(10)
    examples = sequences(
        observations=torch.randn(10, 2, generator=generator),
        actions=torch.rand(10, 1, generator=generator) * 1.6 - 0.8,
        begin=torch.zeros(10, dtype=torch.int64),
        to_go=torch.stack([10.0 - rows, torch.zeros(10)], 1),
        step_costs=torch.zeros(10),
        end=rows.int(),
        copy=torch.zeros(10, dtype=torch.int32),
    )
    settings = {"steps": 400, "batch_size": 10, "hidden": (32,), "dropout": 0.0, "learning_rate": 3e-3, "reward_scale": None}
    algorithm = configure("cdt", None, SMALL | settings)
    start = initial_transformer(2, 1, 32, 1, 10, 0) | {"log_temperature": torch.tensor(math.log(0.1))}
    *_, (last, numbers) = fit(algorithm, examples, Snapshot(0, start, {}, {}), 0, "main", 100)
    parameters = {name: value.numpy() for name, value in last.parameters.items()}
    policy = ContextPolicy(parameters, facts(heads=2, scale=[0.1, 1.0], targets=[[0.0, 10.0]], cost_limit=0.0))
    actions = []
    for state in examples.observations.numpy():  # on its own actions
        actions.append(policy.act(state[None]))
        policy.observe(np.ones(1), np.zeros(1))
    error = np.square(np.concatenate(actions)[:, 0] - examples.actions[:, 0].numpy()).mean()
    assert error < 1e-3, error
    assert numbers["temperature"] > 0.1  # its entropy fell below -1


def train(data: Data, out: Path, on_report: Any = lambda line: None, **changes: Any) -> dict[str, Any]:
    algorithm = configure("cdt", None, SMALL | changes)
    return runs.train("cdt", algorithm, data, out, 0, MonitorSettings(report_every=5, checkpoint_every=5), on_report)


class Stop(Exception):
    pass


def test_an_interrupted_run_continues_to_the_same_result(data: Data, tmp_path: Path) -> None:
    summary = train(data, tmp_path / "whole", normalize_observations=True)
    assert summary["metrics"]["step"] == 20 and summary["metrics"]["data_mse"] > 0

    def stop(line: dict[str, Any]) -> None:
        if line["step"] == 15:
            raise Stop

    with pytest.raises(Stop):
        train(data, tmp_path / "broken", stop, normalize_observations=True)
    assert train(data, tmp_path / "broken", normalize_observations=True)["resumed_from"] == 15
    for name in ("policy.safetensors", "metrics.jsonl", "config.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    assert read_metrics(tmp_path / "whole")[0]["loss"] > read_metrics(tmp_path / "whole")[-1]["loss"]


def test_a_run_gives_a_policy_that_asks_for_its_limit(data: Data, tmp_path: Path) -> None:
    train(data, tmp_path / "run", normalize_observations=True)
    policy = load(tmp_path / "run")
    assert policy.facts["algorithm"] == "cdt" and policy.asked.tolist() == [750, 20]
    assert find_policy(str(tmp_path / "run"), 10).asked.tolist() == [700, 10]
    states = data.train.observations[0, 0, :3]
    raw = policy.act(states[:1].numpy())
    # the observations' shift and scale are folded into the policy: the same by hand, from the last checkpoint
    from presa.tensors import load_tensors

    tensors, _ = load_tensors(tmp_path / "run" / "checkpoints" / "step-000000020.safetensors")
    parameters = {name.partition("/")[2]: value for name, value in tensors.items() if name.startswith("parameters/")}
    flat = data.train.observations.flatten(0, -2)
    observation = (states[:1] - flat.mean(0)) / flat.std(0)
    one = torch.ones(1, 1)
    asked = (75.0 * one, 20.0 * one)
    expected = predict(
        parameters, *asked, observation[None], torch.zeros(1, 1, 2), torch.zeros(1, 1, dtype=torch.int64), one.bool(), 2
    ).mean[:, -1]
    np.testing.assert_allclose(raw, expected.clamp(-1, 1).numpy(), atol=1e-5)


def test_a_models_value_by_hand() -> None:
    model = {"weight_0": np.array([[1.0], [2.0]]), "bias_0": np.array([0.5])}
    assert step_value(model, np.array([[1.0, -1.0]])).tolist() == [-0.5]
    deep = {
        "weight_0": np.array([[1.0, -1.0]]),
        "bias_0": np.zeros(2),
        "weight_1": np.array([[2.0], [3.0]]),
        "bias_1": np.ones(1),
    }
    assert step_value(deep, np.array([[1.5], [-1.0]])).tolist() == [4.0, 4.0]  # 2 relu(x) + 3 relu(-x) + 1
