"""What `safefeedback.plots.geometry` reads from observations, compared with the worlds of the running simulators."""

from __future__ import annotations

import numpy as np
import pytest

from safefeedback import simulators as simulator
from safefeedback.plots import geometry
from safefeedback.sources import load
from safefeedback.tasks import find_task, tasks

STEPS = 60


def played(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, object]:
    """Observations [t, O] after each step, positions [t, 2] in the world, costs [t], and the environment."""
    task = find_task(name)
    reason = simulator.can_simulate(task)
    if reason is not None:
        pytest.skip(reason)
    env = simulator.make(task)
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    inner = env.unwrapped
    observations, places, costs = [], [], []
    for _ in range(STEPS):
        action = np.clip(0.8 + 0.4 * rng.standard_normal(env.action_space.shape), -1, 1).astype(np.float32)
        observation, _, terminated, _, info = env.step(action)
        observations.append(observation.astype(np.float32))
        body = inner.agent if task.domain == "BulletGym" else inner.task.agent
        places.append(np.array(body.get_position() if task.domain == "BulletGym" else body.pos)[:2])
        costs.append(info["cost"])
        if terminated:
            break
    return np.array(observations), np.array(places), np.array(costs), inner


@pytest.mark.parametrize("name", [*geometry.BULLET, "PointCircle1", "CarCircle2"])
def test_positions_are_the_simulators(name: str) -> None:
    observations, places, costs, inner = played(name)
    assert len(places) > 10 and np.ptp(places, axis=0).max() > 0.02  # it moved
    np.testing.assert_allclose(geometry.positions(name, observations), places, atol=2e-5 if name in geometry.BULLET else 2e-2)
    assert np.array_equal(geometry.costly(name, observations), costs > 0)
    world = geometry.arena(name, observations.shape[-1])
    if name in geometry.BULLET:
        assert world.circle == (inner.task.circle.radius if "Circle" in name else None)
        assert world.x_limit == getattr(inner.task, "x_lim", None) and world.y_limit == getattr(inner.task, "y_lim", None)
        assert world.speed_limit in (None, inner.agent.velocity_constraint)
    else:
        walls = inner.task.sigwalls
        assert (world.circle, world.x_limit) == (inner.task.circle.radius, walls.locate_factor)
        assert world.y_limit == (walls.locate_factor if walls.num == 4 else None)
        assert inner.task.lidar_conf.max_dist == geometry.CIRCLE_REACH


@pytest.mark.parametrize("name", geometry.BULLET)
def test_recorded_costs_follow_from_recorded_observations(name: str) -> None:
    """Thousands of steps inside and outside the limits: each one's cost is that of the place and speed it led to."""
    task = find_task(name)
    recordings = load("recordings", task)
    inside = np.ones(len(recordings.costs) - 1, bool)
    inside[recordings.bounds[1:-1] - 1] = False  # what an episode's last step led to is not recorded
    seen, cost = geometry.costly(name, recordings.observations[1:][inside]), recordings.costs[:-1][inside] > 0
    assert 0.02 < cost.mean() < 0.98
    assert (seen != cost).mean() < 2e-4  # where float32 rounding decides


@pytest.mark.parametrize("name", ["CarButton1", "PointPush2"])
def test_every_lidar_is_where_the_simulator_puts_it(name: str) -> None:
    task = find_task(name)
    if simulator.can_simulate(task) is not None:
        pytest.skip("no simulator")
    env = simulator.make(task)
    readings = geometry.lidars(name, env.reset(seed=1)[0])
    inner = env.unwrapped.task
    truth = {obstacle.name: obstacle for obstacle in inner._obstacles if obstacle.is_lidar_observed}
    assert list(readings) == [name.replace("_", " ") for name in truth]
    for kind, reading in readings.items():
        np.testing.assert_array_equal(reading, inner._obs_lidar(truth[kind.replace(" ", "_")].pos, None))
        assert reading.any()
    env.close()


def test_the_dims_of_every_navigation_task_fit_its_lidars() -> None:
    for task in tasks().values():
        found = geometry.lidars(task.name, np.zeros(task.observation_dim))
        assert bool(found) == (task.domain == "SafetyGym" and "Velocity" not in task.name), task.name


def test_no_lidar_where_there_is_none() -> None:
    assert geometry.lidars("AntVelocity", np.zeros(27)) == {} and geometry.lidars("BallCircle", np.zeros(8)) == {}
    assert geometry.arena("AntVelocity", 27) is None and geometry.arena("BallCircle", 9) is None


@pytest.mark.parametrize("name", [*geometry.BULLET, "PointCircle1", "CarCircle2"])
def test_speeds_headings_and_altitudes_are_the_simulators(name: str) -> None:
    env, task = None, find_task(name)
    if simulator.can_simulate(task) is not None:
        pytest.skip("no simulator")
    env = simulator.make(task)
    env.reset(seed=3)
    rng = np.random.default_rng(3)
    for _ in range(20):
        action = np.clip(0.8 + 0.4 * rng.standard_normal(env.action_space.shape), -1, 1).astype(np.float32)
        observation = env.step(action)[0].astype(np.float32)
        if task.domain == "BulletGym":
            agent = env.unwrapped.agent
            speed, yaw, height = np.hypot(*agent.get_linear_velocity()[:2]), agent.get_orientation()[2], agent.get_position()[2]
        else:
            agent = env.unwrapped.task.agent
            speed, yaw, height = np.hypot(*agent.vel[:2]), np.arctan2(agent.mat[1, 0], agent.mat[0, 0]), None
        assert geometry.speeds(name, observation) == pytest.approx(speed, abs=2e-2)
        seen = geometry.headings(name, observation)
        assert (seen is None) == name.startswith("Ball")
        if seen is not None:
            assert np.cos(seen - yaw) == pytest.approx(1, abs=1e-3)
        found = geometry.altitudes(name, observation)
        assert (found is not None) == name.startswith("Drone")
        if found is not None:
            assert found == pytest.approx(height, abs=1e-4)
    env.close()


@pytest.mark.parametrize("name", geometry.VELOCITY)
def test_the_limit_of_a_velocity_task_is_the_simulators(name: str) -> None:
    task = find_task(name)
    if simulator.can_simulate(task) is not None:
        pytest.skip("no simulator")
    env = simulator.make(task)
    observation = env.reset(seed=0)[0]
    inner, rng = env.unwrapped, np.random.default_rng(0)
    pairs = []
    for _ in range(60):
        start = inner.data.qpos[:2].copy()
        observation = env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))[0]
        moved = (inner.data.qpos[:2] - start) / inner.dt
        found = geometry.limited_speed(name, observation)
        assert found is not None and found[1] == inner._velocity_threshold
        pairs.append((float(found[0]), np.hypot(*moved) if name == "AntVelocity" else moved[0]))
    seen, true = np.array(pairs).T
    assert np.corrcoef(seen, true)[0, 1] > 0.9, name  # at the step's end, and over the step
    assert geometry.limited_speed("BallRun", observation) is None
    env.close()
