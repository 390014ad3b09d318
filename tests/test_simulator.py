"""The real simulators: that episodes repeat as documented, and the messages when one cannot run."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from safefeedback import simulators as simulator
from safefeedback.errors import InputError
from safefeedback.simulators.bullet_sums import fused_dot
from safefeedback.tasks import Task, find_task, tasks

BULLET = [task.name for task in tasks().values() if task.domain == "BulletGym"]


def require(task: Task) -> None:
    reason = simulator.can_simulate(task)
    if reason is not None:
        pytest.skip(reason)


def play(env, seed: int, steps: int = 120) -> np.ndarray:
    """Everything an episode shows under actions drawn from the seed, in one array."""
    rng = np.random.default_rng(seed)
    centre, width = rng.uniform(-0.5, 0.5, env.action_space.shape), rng.uniform(0.1, 1.0)
    seen = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        action = (centre + width * rng.standard_normal(env.action_space.shape)).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append(np.concatenate([observation, [reward, info["cost"], terminated, truncated]]))
        if terminated or truncated:
            break
    return np.concatenate(seen)


@pytest.mark.parametrize("name", BULLET)
def test_an_episode_repeats_bit_for_bit_whatever_came_before(name: str) -> None:
    task = find_task(name)
    require(task)
    used = simulator.make(task)
    play(used, 99), play(used, 98)
    for seed in (5, 3):
        new = simulator.make(task)
        np.testing.assert_array_equal(play(used, seed), play(new, seed))
        new.close()
    used.close()


@pytest.mark.parametrize("name", ["BallRun", "CarCircle", "DroneRun"])
def test_a_new_environment_is_the_simulators_own(name: str) -> None:
    """The wrapper only restores: the first episode is that of the plain package, seeded through NumPy's generator."""
    task = find_task(name)
    require(task)
    ours = simulator.make(task)

    import gymnasium

    with simulator.quiet():
        plain = gymnasium.make(f"Safety{name}-v0", disable_env_checker=True)

    class Seeded:
        action_space, step = plain.action_space, plain.step

        def reset(self, seed: int):
            np.random.seed(seed)
            return plain.reset()

    np.testing.assert_array_equal(play(ours, 4), play(Seeded(), 4))


@pytest.mark.parametrize("name", ["PointCircle1", "PointGoal1", "HopperVelocity", "SwimmerVelocity"])
def test_safety_gymnasium_repeats_and_tells_its_cost(name: str) -> None:
    task = find_task(name)
    require(task)
    env = simulator.make(task)
    first = play(env, 1, steps=20)
    play(env, 2, steps=3)
    np.testing.assert_array_equal(first, play(env, 1, steps=20))
    assert env.spec.max_episode_steps == task.horizon


@pytest.mark.parametrize("name", ["BallCircle", "PointCircle1", "AntVelocity"])
def test_our_environment_is_dsrls(name: str, tmp_path, monkeypatch) -> None:
    """DSRL's own id gives the same class, arguments, and horizon."""
    task = find_task(name)
    require(task)
    pytest.importorskip("dsrl")
    ours = simulator.make(task)  # also readies safety-gymnasium for this Python
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path))
    import dsrl.offline_bullet_safety_gym
    import dsrl.offline_safety_gymnasium  # noqa: F401
    import gymnasium

    with simulator.quiet():
        theirs = gymnasium.make(task.env_id, disable_env_checker=True)

    class Seeded:
        action_space, step = theirs.action_space, theirs.step

        def reset(self, seed: int):
            np.random.seed(seed)
            return theirs.reset(seed=seed)

    np.testing.assert_array_equal(play(ours, 6, steps=30), play(Seeded(), 6, steps=30))
    assert ours.spec.max_episode_steps == theirs.spec.max_episode_steps == task.horizon


def test_the_global_generator_is_left_as_it_was() -> None:
    task = find_task("BallCircle")
    require(task)
    np.random.seed(11)
    expected = np.random.random(3)
    np.random.seed(11)
    env = simulator.make(task)
    play(env, 0, steps=5)
    np.testing.assert_array_equal(np.random.random(3), expected)


def test_time_limit_and_fall_are_told_apart() -> None:
    task = find_task("DroneRun")
    require(task)
    env = simulator.make(task)
    env.reset(seed=0)
    ends = []
    for _ in range(task.horizon):
        _, _, terminated, truncated, _ = env.step(np.array([1, -1, -1, 1], np.float32))
        ends.append((terminated, truncated))
        if terminated or truncated:
            break
    assert ends[-1] == (True, False) and len(ends) < task.horizon
    env.reset(seed=0)
    for _ in range(task.horizon):
        _, _, terminated, truncated, _ = env.step(np.zeros(4, np.float32))
        if terminated or truncated:
            break
    assert (terminated, truncated) == (False, True)


def test_what_cannot_be_simulated_says_why(monkeypatch) -> None:
    ball = find_task("BallCircle")
    assert "no simulator" in str(simulator.can_simulate(replace(ball, env_id=None)))
    monkeypatch.setattr(simulator, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs the package gymnasium"):
        simulator.make(ball)


def test_a_mujoco_gl_that_cannot_work_is_one_line(monkeypatch) -> None:
    """MuJoCo reads the variable when it is imported; whatever happens then, the line names the variable."""
    if (reason := simulator.can_simulate(tasks()["PointCircle1"])) is not None:
        pytest.skip(reason)
    monkeypatch.setitem(sys.modules, "mujoco", None)  # its import fails
    monkeypatch.setenv("MUJOCO_GL", "foo")
    with pytest.raises(InputError, match=r"MuJoCo cannot start with MUJOCO_GL=foo \(.*\): unset it, or set it to egl"):
        simulator.make(tasks()["PointCircle1"])


def test_a_command_with_such_a_mujoco_gl_prints_that_line_alone(tmp_path: Path) -> None:
    """What MuJoCo leaves behind when its import fails is no "Exception ignored" at the end."""
    if (reason := simulator.can_simulate(tasks()["PointCircle1"])) is not None:
        pytest.skip(reason)
    words = ["collect", "--task", "PointCircle1", "--episodes", "1", "--out", str(tmp_path / "x.hdf5")]
    program = [sys.executable, "-m", "safefeedback", *words]
    ended = subprocess.run(program, env={**os.environ, "MUJOCO_GL": "foo"}, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 2 and "MuJoCo cannot start with MUJOCO_GL=foo" in ended.stderr
    assert "Exception ignored" not in ended.stderr and "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_wrong_shapes_and_unknown_ids_are_refused() -> None:
    ball = find_task("BallCircle")
    require(ball)
    with pytest.raises(InputError, match="shapes"):
        simulator.make(replace(ball, observation_dim=9))
    with pytest.raises(InputError, match="SafetyNoSuch-v0"):
        simulator.make(replace(ball, env_id="SafetyNoSuch-v0"))


def test_making_one_prints_nothing() -> None:
    require(find_task("PointCircle1"))
    code = (
        "from safefeedback.simulators import make; from safefeedback.tasks import find_task\n"
        "for name in ('BallRun', 'PointCircle1'): make(find_task(name)).reset(seed=0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_fused_sum_rounds_once_for_each_product() -> None:
    """(1 + 2^-30)^2 = 1 + 2^-29 + 2^-60, whose last term no float has: a product rounded first loses it."""
    assert fused_dot((3.0, 4.0), (3.0, 4.0)) == 25.0 and fused_dot((), ()) == 0.0
    near_one = 1 + 2.0**-30
    assert fused_dot((-1.0, near_one), (1 + 2.0**-29, near_one)) == 2.0**-60
    rng = np.random.default_rng(0)
    for x, y in (rng.normal(size=(500, 2, 3)) * 10.0 ** rng.integers(-9, 9, (500, 2, 3))).tolist():
        total = Fraction(0)
        for a, b in zip(x, y, strict=True):
            total = Fraction(float(total + Fraction(a) * Fraction(b)))
        assert fused_dot(x, y) == float(total)
