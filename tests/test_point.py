"""The scripts that play PointCircle1 and PointGoal1: where they want to go, what they read, and that they go there."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from replaying import replay

from safefeedback import simulators
from safefeedback.recorder import point_circle, point_goal
from safefeedback.recorder.point import along_circle, in_hazard, steer, to_goal, within_budget
from safefeedback.recorder.script import find_script
from safefeedback.tasks import find_task

CIRCLE, GOAL = find_task("PointCircle1"), find_task("PointGoal1")
needs_simulator = pytest.mark.skipif(simulators.can_simulate(CIRCLE) is not None, reason=str(simulators.can_simulate(CIRCLE)))


def seen(dims: int, **lidars: tuple[int, float, float]) -> np.ndarray:
    """An observation of a body at rest that looks along x; of each lidar (first index, bearing, distance / reach) is given."""
    observation = np.zeros(dims)
    observation[10] = -0.5  # the magnetometer: the field points to -y
    for first, bearing, far in lidars.values():
        place = (bearing % (2 * math.pi)) / (2 * math.pi) * 16
        observation[first + int(place)] = 1 - far
        observation[first + (int(place) + 1) % 16] = (place % 1) * (1 - far)
    return observation


def at(x: float, y: float) -> np.ndarray:
    """PointCircle1 at a place."""
    return seen(28, circle=(12, math.atan2(-y, -x), math.hypot(x, y) / 6))


def test_the_circle_is_followed_counter_clockwise_and_the_boundary_is_a_wall() -> None:
    np.testing.assert_allclose(along_circle(at(0, -1.5), 1.0, 99), [1, 0], atol=1e-6)
    np.testing.assert_allclose(along_circle(at(1.5, 0.001), 1.0, 99), [0, 1], atol=2e-3)
    out = along_circle(at(0.001, -0.5), 1.0, 99)  # far inside: half a right angle outwards
    np.testing.assert_allclose(out, [math.sqrt(0.5), -math.sqrt(0.5)], atol=3e-3)
    assert along_circle(at(1.2, -0.8), 1.0, 99)[0] > 0 > along_circle(at(1.2, -0.8), 1.0, 1.0)[0]


def test_the_goal_is_gone_to_round_a_hazard_or_through_it() -> None:
    free = seen(60, goal=(12, 0.1, 0.5))
    np.testing.assert_allclose(to_goal(free, 1.0, 0.1), [math.cos(0.1), math.sin(0.1)], atol=1e-6)
    blocked = seen(60, goal=(12, 0.1, 0.5), hazards=(28, 0.2, 0.15))  # 0.45 m ahead
    way = to_goal(blocked, 1.0, 0.1)
    assert 0.3 < abs(math.atan2(way[1], way[0]) - 0.1) < math.pi / 2
    straight, drawn = to_goal(blocked, 1.0, None), to_goal(blocked, 1.0, None, pull=3.0)
    np.testing.assert_allclose(straight, to_goal(free, 1.0, None))
    assert drawn[1] > straight[1]  # the hazard is further to the left
    assert in_hazard(seen(60, hazards=(28, 1.0, 0.06))) and not in_hazard(blocked)
    assert np.hypot(*to_goal(seen(60), 1.0, 0.1)) == 1.0  # out of reach: it moves, and sees


def test_steering_pushes_along_the_front_forwards_or_backwards() -> None:
    rest = seen(28)
    np.testing.assert_allclose(steer(rest, np.array([1.0, 0.0])), [1, 0])
    np.testing.assert_allclose(steer(rest, np.array([-1.0, 0.0])), [-1, 0], atol=1e-6)
    push, turn = steer(rest, np.array([0.0, 1.0]))
    assert abs(push) < 1e-6 and turn == 1
    assert steer(rest, np.array([-1.0, -0.2]))[1] > 0  # backwards: the tail turns there


def test_a_budget_is_spent_over_the_episode() -> None:
    may_cost = within_budget(10, 100)
    told = [may_cost(True) for _ in range(100)]
    assert not any(told[:100]) and within_budget(0, 100)(False) is False
    may_cost, spent = within_budget(10, 100), 0
    last = False
    for _ in range(100):
        last = may_cost(last)
        spent += last
    assert 8 <= spent <= 11


def test_settings_are_taken_in_turn() -> None:
    for module, task in ((point_circle, CIRCLE), (point_goal, GOAL)):
        every = module.units()
        script = find_script(task)
        assert len({tuple(unit.values()) for unit in every}) == len(every)
        assert script is module.SCRIPT and script.trainable and script.episodes % len(every) == 0


@needs_simulator
@pytest.mark.parametrize(("task", "careful", "least"), [(CIRCLE, 0, 4.0), (GOAL, 0, 1.5)])
def test_it_gets_there_and_its_episodes_replay(task, careful: int, least: float) -> None:
    """Of a careful and fast setting, 150 steps; what a whole episode earns is in cards/recordings.md."""
    short, script = replace(task, horizon=150), find_script(task)
    episode = script.play(short, 5, careful)
    assert episode.total_reward > least and episode.total_cost <= 40 and len(episode) == 150
    np.testing.assert_array_equal(episode.actions, script.play(short, 5, careful).actions)
    replay(short, episode)
