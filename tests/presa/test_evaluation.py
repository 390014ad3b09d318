"""The evaluator with the real simulator: repeatable to the bit, true to recordings, normalised by hand."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from replaying import TOLERANCE

from presa.rollouts.evaluate import default_processes, episode_seeds, normalized, play_episodes, roll_out, summarize
from presa.rollouts.play import find_policy, play
from presa.rollouts.policy import MlpPolicy
from safefeedback import simulators as simulator
from safefeedback import sources
from safefeedback.errors import InputError
from safefeedback.tasks import Task, find_task

POLICIES = '''
import numpy as np

class Wobble:
    """Acts on the observation, the time, and what the last step brought."""

    def reset(self, n):
        self.time, self.told = np.zeros(n), []

    def act(self, observations):
        self.time += 1
        last = self.told[-1] if self.told else (0.0, 0.0)
        return np.tanh(np.stack([np.sin(self.time / 9), 0.3 * observations[:, 0] + last[0] + last[1]], 1))

    def observe(self, rewards, costs):
        assert rewards.shape == costs.shape == (1,)
        self.told.append((float(rewards[0]), float(costs[0])))

class Shaky(Wobble):
    """Draws its actions, from where the evaluator says."""

    def seed(self, seed):
        self.rng = np.random.default_rng(seed)

    def act(self, observations):
        return self.rng.uniform(-1, 1, (1, 2))

class TooFew(Wobble):
    def act(self, observations):
        return np.zeros((1, 1))

class Dies(Wobble):
    def act(self, observations):
        raise SystemExit("out of fuel")

class Deaf:
    pass

def nan():
    policy = Wobble()
    policy.act = lambda observations: np.full((1, 2), np.nan)
    return policy
'''


def require(task: Task) -> Task:
    if (reason := simulator.can_simulate(task)) is not None:
        pytest.skip(reason)
    return task


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_policies.py").write_text(POLICIES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_any_order_and_any_number_of_processes_give_the_same_bits(policies: Path) -> None:
    task = require(find_task("BallRun"))
    seeds = episode_seeds(0, 5)
    assert len(set(seeds)) == 5 and seeds[:3] == episode_seeds(0, 3) != episode_seeds(1, 3)
    one = play_episodes("my_policies:Wobble", task, seeds, 1)
    heard: list[tuple[int, int]] = []
    two = play_episodes("my_policies:Wobble", task, seeds, 2, lambda done, total: heard.append((done, total)))
    backwards = play_episodes("my_policies:Wobble", task, seeds[::-1], 1)[::-1]
    assert one == two == backwards
    assert len({row["return"] for row in one}) == 5
    assert heard == [(k, 5) for k in range(1, 6)]


def test_processes_are_kept_for_the_next_policy_and_task_and_play_the_same(
    policies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    from presa.rollouts import processes

    seeds, files = episode_seeds(0, 2), {}
    for name, task in {"a": "BallRun", "b": "BallRun", "c": "CarRun"}.items():
        found, rng = require(find_task(task)), np.random.default_rng(len(files))
        weight = rng.normal(size=(found.observation_dim, found.action_dim)).astype(np.float32)
        save_file({"weight_0": weight, "bias_0": weight[0]}, f"{name}.safetensors", {"presa": "{}"})
        files[f"{name}.safetensors"] = found

    def play_all() -> tuple[list[Any], list[int]]:
        rows, seen = [], []
        for file, task in [*files.items(), *list(files.items())[:1]]:
            rows.append(play_episodes(file, task, seeds, 1))
            seen += [player.process.pid for _, player in processes._waiting]
        return rows, seen

    rows, seen = play_all()
    assert len(seen) == 4 and len(set(seen)) == 1 and rows[0] == rows[3] != rows[1]
    monkeypatch.setattr("presa.rollouts.evaluate.reusable", lambda policy, task: False)
    assert play_all() == (rows, [])
    with pytest.raises(InputError, match="holds no policy"):
        play_episodes("none.safetensors", files["a.safetensors"], seeds, 1)
    monkeypatch.undo()
    with pytest.raises(InputError, match="holds no policy"):
        play_episodes("none.safetensors", files["a.safetensors"], seeds, 1)
    assert not processes._waiting


def test_processes_end_if_a_later_one_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from presa.rollouts import processes

    begun: list[processes.EpisodeProcess] = []

    class Limited(processes.EpisodeProcess):
        def __init__(self) -> None:
            if begun:
                raise OSError("no more processes")
            super().__init__()
            begun.append(self)

    monkeypatch.setattr(processes, "EpisodeProcess", Limited)
    with pytest.raises(OSError, match="no more"), processes.borrowed(2, keep=True):
        pass
    assert begun[0].process.poll() is not None and not processes._waiting


@pytest.mark.parametrize(
    "change", [{"weight_0": (7, 2)}, {"bias_0": (3,)}, {"weight_0": (8,)}, {"weight_1": (2, 5), "bias_1": (5,)}]
)
def test_a_policy_file_of_another_shape_is_named(change: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    from presa.rollouts.policy import load

    shapes = {"weight_0": (8, 2), "bias_0": (2,)}
    facts = {"presa": json.dumps({"task": find_task("BallCircle").to_dict()})}
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, tmp_path / "good.safetensors", facts)
    assert load(tmp_path / "good.safetensors").act(np.zeros((1, 8))).shape == (1, 2)
    save_file(
        {name: np.zeros(shape, np.float32) for name, shape in (shapes | change).items()}, tmp_path / "bad.safetensors", facts
    )
    with pytest.raises(InputError, match=r"bad\.safetensors is not a policy written by presa: "):
        load(tmp_path / "bad.safetensors")


def test_a_policy_that_draws_its_actions_is_told_each_episodes_seed(policies: Path) -> None:
    task, seeds = require(find_task("BallRun")), episode_seeds(0, 3)
    rows = play_episodes("my_policies:Shaky", task, seeds, 1)
    assert rows == play_episodes("my_policies:Shaky", task, seeds[::-1], 2)[::-1]
    assert len({row["return"] for row in rows}) == 3


def test_rows_and_summary(policies: Path) -> None:
    task = require(find_task("BallRun"))
    result = roll_out("my_policies:Wobble", task, 20, episodes=3, seed=4, labels={"algorithm": "mine", "seed": 7})
    names = [
        "algorithm",
        "task",
        "cost_limit",
        "seed",
        "episode",
        "return",
        "cost",
        "length",
        "normalized_return",
        "normalized_cost",
    ]
    assert [list(row) for row in result["rows"]] == [names] * 3
    env = simulator.make(task)
    policy = find_policy("my_policies:Wobble")
    for k, row in enumerate(result["rows"]):  # played in this process, one after another in one environment
        assert {**play(env, policy, episode_seeds(4, 3)[k]), "episode": k} == {
            key: row[key] for key in ("return", "cost", "length", "episode")
        }
        low, high = task.reference_returns or (0, 1)
        assert row["normalized_return"] == (row["return"] - low) / (high - low)
        assert row["normalized_cost"] == row["cost"] / 20
    assert result["summary"]["evaluation_seed"] == 4 and result["summary"]["algorithm"] == "mine"
    assert len(policy.told) == result["rows"][-1]["length"] == 100
    json.dumps(result, allow_nan=False)


def test_normalised_values_by_hand() -> None:
    task = replace(find_task("BallCircle"), reference_returns=(100.0, 300.0))
    row = {"return": 150.0, "cost": 30.0}
    assert normalized(row, task, 20) == {"normalized_return": 0.25, "normalized_cost": 1.5}
    assert normalized(row, task, 0) == {"normalized_return": 0.25, "normalized_cost": 31.0}  # epsilon 1
    assert normalized({"return": 1.0, "cost": 0.0}, task, 0)["normalized_cost"] == 1.0
    unknown = replace(task, reference_returns=None)
    assert normalized(row, unknown, 20)["normalized_return"] is None
    rows = [
        {"return": r, "cost": c, "length": 200, "normalized_return": None, "normalized_cost": c / 20}
        for r, c in ((1, 10), (3, 30))
    ]
    summary = summarize(rows, unknown, 20)
    assert (summary["return"], summary["return_std"], summary["cost"], summary["normalized_return"]) == (2, 1, 20, None)
    assert summary["normalized_cost"] == 1 and summary["safe"] is True
    assert summarize([rows[1]], unknown, 20)["safe"] is False


class Replay:
    """Plays recorded actions and keeps the rewards and costs that it receives."""

    def __init__(self, actions: np.ndarray) -> None:
        self.actions = actions

    def reset(self, n: int) -> None:
        self.time, self.told = 0, []

    def act(self, observations: np.ndarray) -> np.ndarray:
        self.time += 1
        return self.actions[self.time - 1][None]

    def observe(self, rewards: np.ndarray, costs: np.ndarray) -> None:
        self.told.append((rewards[0], costs[0]))


def test_a_recorded_episode_replayed_by_its_seed_gives_its_rewards_and_costs() -> None:
    """A recording stores its episodes' seeds; the evaluator must play in the same world as the recording."""
    from safefeedback.recorder.recording import read_recording

    task = require(find_task("BallRun"))
    file = sources.recordings_file(task)
    episodes, _ = read_recording(file)
    env = simulator.make(task)
    for episode in episodes[-3:][::-1]:
        policy = Replay(episode.actions)
        result = play(env, policy, episode.seed)
        told = np.array(policy.told, np.float32)
        np.testing.assert_allclose(told[:, 0], episode.rewards, rtol=TOLERANCE, atol=TOLERANCE)
        np.testing.assert_array_equal(told[:, 1], episode.costs)
        assert result["length"] == len(episode)
        assert result["return"] == pytest.approx(episode.total_reward, rel=1e-6, abs=1e-6)
        assert result["cost"] == pytest.approx(episode.total_cost)


def test_actions_are_clipped_to_the_bounds() -> None:
    task = require(find_task("BallRun"))
    env = simulator.make(task)
    wild = Replay(np.full((100, 2), 5.0, np.float32))
    assert play(env, wild, 3) == play(env, Replay(np.ones((100, 2), np.float32)), 3)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("my_policies:TooFew", r"shape \(n, 2\)"),
        ("my_policies:nan", "finite actions"),
        ("my_policies:Dies", r"Dies failed: SystemExit: out of fuel \(my_policies.py, line 34\)"),
        ("my_policies:Deaf", "no reset and no act"),
        ("my_policies:Nobody", "has no 'Nobody'"),
        ("no_such_module:f", "No module named"),
        ("no_such_run", "holds no policy"),
    ],
)
def test_a_policy_that_cannot_play_is_named(policy: str, message: str, policies: Path) -> None:
    task = require(find_task("BallRun"))
    with pytest.raises(InputError, match=message) as caught:
        roll_out(policy, task, 20, episodes=4, processes=2)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_asked_for() -> None:
    task = find_task("BallRun")
    for arguments, message in (
        ((task, 20, 0), "--episodes must be at least 1"),
        ((task, -1, 5), "--cost-limit must be"),
        ((task, float("nan"), 5), "--cost-limit must be"),
        ((task, float("inf"), 5), "--cost-limit must be"),
        ((replace(task, env_id=None), 20, 5), "names no simulator"),
    ):
        with pytest.raises(InputError, match=message):
            roll_out("x", *arguments)


def test_processes_are_as_many_as_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert [default_processes(n) for n in (1, 2, 5, 16, 100)] == [1, 1, 2, 8, 8]


def test_a_policy_acts_on_batches_as_on_single_states() -> None:
    rng = np.random.default_rng(0)
    weights = tuple(rng.normal(size=shape).astype(np.float32) for shape in ((8, 16), (16, 2)))
    policy = MlpPolicy(weights, (np.ones(16, np.float32), np.zeros(2, np.float32)), {})
    states = rng.normal(size=(6, 8))
    policy.reset(6)
    actions = policy.act(states)
    assert actions.shape == (6, 2) and actions.dtype == np.float32
    np.testing.assert_allclose(actions, np.concatenate([policy.act(state[None]) for state in states]), atol=1e-6)
