"""What `safefeedback.plots.geometry` reads from observations, held against the worlds of the running simulators."""

from __future__ import annotations

import numpy as np
import pytest

from safefeedback import simulator
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
    assert (seen != cost).mean() < 2e-4  # where float32 decides


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
