"""What the annotation page draws: `safefeedback.annotate.drawing` on recorded and made-up observations."""

from __future__ import annotations

import json

import numpy as np
import pytest

from safefeedback.annotate.drawing import channels, describe_view
from safefeedback.sources import load
from safefeedback.tasks import find_task


def segments(name: str, count: int = 20, length: int = 64) -> np.ndarray:
    """float32 [count, L, O] from the recordings shipped here."""
    recordings = load("recordings", find_task(name))
    starts = np.linspace(0, len(recordings.costs) - length, count).astype(int)
    return np.stack([recordings.observations[start : start + length] for start in starts])


@pytest.mark.parametrize(
    ("name", "wanted", "limits"),
    [
        ("BallCircle", ["x", "y", "speed"], (7.0, 6.0, None, None)),
        ("CarRun", ["x", "y", "speed", "heading"], (None, None, 2.0, 1.5)),
        ("DroneCircle", ["x", "y", "speed", "heading", "altitude"], (7.0, 6.0, None, None)),
        ("AntRun", ["x", "y", "speed", "heading"], (None, None, 2.0, 1.5)),
    ],
)
def test_bullet_tasks_are_seen_from_above_in_physical_units(name: str, wanted: list[str], limits: tuple) -> None:
    observations = segments(name)
    view = describe_view(name, observations)
    assert view["kind"] == "top" and view["channels"] == wanted
    assert (view["circle"], view["x_limit"], view["y_limit"], view["speed_limit"]) == limits
    assert view["direction"] == ("clockwise" if "Circle" in name else None)
    drawn = channels(view, observations)
    assert drawn.shape == (20, 64, len(wanted)) and drawn.dtype == np.float32 and np.isfinite(drawn).all()
    np.testing.assert_allclose(drawn[..., :2], 10 * observations[..., :2], rtol=1e-6)
    assert 2 * drawn[0].nbytes <= 40_000  # a pair
    assert json.loads(json.dumps(view)) == view


def test_the_numbers_of_a_drone_by_hand() -> None:
    observation = np.zeros((1, 1, 18), np.float32)
    observation[..., :6] = 0.7, -0.1, 0.05, 0.6, 0.8, 0.3  # place / 10, velocity / 5
    observation[..., 6:10] = 0, 0, np.sqrt(0.5), np.sqrt(0.5)  # a quarter of a turn to the left
    drawn = channels(describe_view("DroneCircle", observation), observation)
    np.testing.assert_allclose(drawn[0, 0], [7.0, -1.0, 5.0, np.pi / 2, 0.5], atol=1e-6)


def test_navigation_is_seen_by_lidar() -> None:
    observations = np.random.default_rng(0).uniform(size=(3, 8, 60)).astype(np.float32)  # PointGoal1
    view = describe_view("PointGoal1", observations)
    assert view["kind"] == "lidar" and [ring["name"] for ring in view["rings"]] == ["goal", "hazards", "vases"]
    drawn = channels(view, observations)
    assert drawn.shape == (3, 8, len(view["channels"])) == (3, 8, 49)
    np.testing.assert_array_equal(drawn[..., 1:], observations[..., 12:])
    np.testing.assert_allclose(drawn[..., 0], np.hypot(observations[..., 3], observations[..., 4]), rtol=1e-6)


def test_anything_else_is_drawn_as_the_curves_that_vary_most() -> None:
    observations = np.full((4, 16, 9), 2.0, np.float32)
    observations[..., 5] = np.arange(16)
    observations[..., 7] = -np.arange(16)
    observations[..., 1] = np.arange(4)[:, None]  # differs between segments, never within one
    view = describe_view("BallCircle", observations)  # the name of a task with other dims
    assert view["kind"] == "curves" and len(view["dims"]) == 6 and {5, 7} <= set(view["dims"])
    index = view["dims"].index(7)
    assert (view["low"][index], view["high"][index], view["limits"][index]) == (-15, 0, None)
    np.testing.assert_array_equal(channels(view, observations), observations[..., view["dims"]])


def test_a_velocity_task_shows_its_speed_and_the_limit_first() -> None:
    observations = np.zeros((2, 5, 27), np.float32)
    observations[..., 13], observations[..., 14] = 3.0, -4.0
    view = describe_view("AntVelocity", observations)
    assert view["channels"][0] == "speed" and view["limits"][0] == 2.6222 and len(view["channels"]) == 6
    assert (channels(view, observations)[..., 0] == 5.0).all()
    assert view["low"][0] == 0.0 and view["high"][0] == 5.0


def test_what_is_drawn_depends_on_observations_alone() -> None:
    observations = segments("BallRun")
    assert describe_view("BallRun", observations) == describe_view("BallRun", observations.copy())


def test_driving_is_seen_by_lidar_and_by_the_road() -> None:
    observations = np.full((2, 8, 259), 0.5, np.float32)
    observations[..., -240:] = 1.0  # nothing within reach
    observations[0, 3, -240 + 4] = 0.2  # the fifth laser meets something at 10 m
    view = describe_view("easysparse", observations)
    assert view["kind"] == "driving" and view["lasers"] == 80 and view["speed_limit"] == 10.0
    drawn = channels(view, observations)
    assert drawn.shape == (2, 8, 85) and len(view["channels"]) == len(view["units"]) == 85
    np.testing.assert_allclose(drawn[0, 0, :5], [39.5, 9.0, 9.0, 0.0, 0.0], atol=1e-5)
    assert drawn[0, 3, 5 + 1] == pytest.approx(10.0) and drawn[0, 3, 5 + 0] == drawn[0, 3, 5 + 2] == 50.0


def test_a_large_pair_is_sent_packed_and_a_small_one_as_it_is() -> None:
    """A pair of MetaDrive, 64 steps x 259 readings: 80 lasers, speed and place as float16."""
    driven = describe_view("easysparse", np.zeros((2, 64, 259), np.float32))
    assert driven["packing"] == "float16" and 2 * 64 * len(driven["channels"]) * 2 < 22_000
    assert describe_view("easysparse", np.zeros((2, 32, 259), np.float32))["packing"] == "float32"
    assert describe_view("BallRun", segments("BallRun"))["packing"] == "float32"
