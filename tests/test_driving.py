"""What `safefeedback.plots.driving` reads from MetaDrive's observations, compared with the simulator, and its pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from safefeedback import simulators
from safefeedback.plots import draw_all
from safefeedback.plots.driving import REACH, ROAD, DrivingState, decode_driving, is_driving_task
from safefeedback.plots.view import Clip, View
from safefeedback.tasks import find_task


def test_numbers_are_those_of_the_simulator() -> None:
    task = find_task("harddense")
    if (reason := simulators.can_simulate(task)) is not None:
        pytest.skip(reason)
    env = simulators.make(task)
    env.reset(seed=1, options={"map": 2})
    inner = env.unwrapped.drive
    offsets, given, met = [], [[0.0, 0.0]], 0
    for step in range(140):
        action = np.array([0.03 if step < 45 else -0.06 if step < 75 else 0.02, 0.4], np.float32)
        observation, _, terminated, _, _ = env.step(action)
        seen, car = decode_driving(observation), inner.vehicle
        assert seen.speed == pytest.approx(car.speed, abs=1e-3)
        assert (seen.left, seen.right) == pytest.approx(
            (max(car.dist_to_left_side, 0), min(max(car.dist_to_right_side, 0), ROAD)), abs=1e-3
        )
        assert (seen.steering, seen.throttle) == pytest.approx(given[-1], abs=1e-6)
        given.append(action.tolist())
        offset = car.lane.local_coordinates(car.position)[1]
        assert seen.lane_offset == pytest.approx(np.clip(offset, -2.25, 2.25), abs=1e-3)
        assert seen.heading == pytest.approx(_turned(car), abs=2e-3)
        offsets.append(offset)
        met += _lasers_point_at_the_others(seen, car, inner.engine.traffic_manager.vehicles)
        if terminated:
            break
    assert min(offsets) < -0.3 < 0.3 < max(offsets) and met >= 5  # it drove both ways, and met others


def _turned(car) -> float:
    """How far the car looks to the right of its lane, from positions on the lane and of the car's front."""
    lane = car.navigation.current_ref_lanes[-1]
    along = lane.local_coordinates(car.position)[0]
    here, ahead = (np.array(lane.position(at, 0)) for at in (along, along + 0.01))
    road = (ahead - here) / np.linalg.norm(ahead - here)
    look = np.array([*car.heading])
    return float(np.arcsin(np.clip(road[0] * look[1] - road[1] * look[0], -1, 1)))  # y is to the right in MetaDrive's plane


def _lasers_point_at_the_others(seen: DrivingState, car, others) -> int:
    """The laser towards each car in free sight ends at it: no farther than its middle, no nearer than its length."""
    found = 0
    near = [other for other in others if other is not car and np.linalg.norm(other.position - car.position) < 0.8 * REACH]
    if len(near) != 1:  # cars behind one another are hidden
        return 0
    way, look = near[0].position - car.position, car.heading
    right = np.arctan2(look[0] * way[1] - look[1] * way[0], look[0] * way[0] + look[1] * way[1])
    laser = round(np.degrees(right) / 1.5) % 240
    distance = np.linalg.norm(way)
    assert distance - near[0].LENGTH < seen.lidar[laser] < distance + 0.5
    found += 1
    return found


def test_pictures_are_drawn_of_driven_segments_and_of_no_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def view(task: str, dims: int) -> View:
        observations = rng.uniform(size=(2, 8, dims)).astype(np.float32)
        clip = Clip("", ("a", "b"), observations, 1.0, np.array([1.0, 0.0]), np.zeros(2, bool), np.ones(2), np.ones(2))
        empty = np.empty(0)
        return View("recordings", task, 8, 1000, 20.0, (10.0, 20.0, 40.0), *[empty] * 6, (clip,) * 3)

    assert is_driving_task("easymean", 259) and not is_driving_task("easymean", 8) and not is_driving_task("BallRun", 7)
    drawn = dict(draw_all(view("easymean", 259), tmp_path / "plots"))
    assert "speed" in drawn["pairs.png"] and "lidar" in drawn["road.png"] and "lidar.png" not in drawn
    assert (tmp_path / "plots" / "road.png").stat().st_size > 10_000
    drawn = dict(draw_all(view("easymean", 8), tmp_path / "plots"))
    assert "observation dims" in drawn["pairs.png"] and not (tmp_path / "plots" / "road.png").exists()
