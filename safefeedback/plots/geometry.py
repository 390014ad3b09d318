"""What the observations of the simulated tasks mean in the world: positions, boundaries, circles, lidars.

Sources: bullet-safety-gym 1.4.0, envs/agents.py (`agent_specific_observation`, `velocity_constraint`), envs/obstacles.py
(`CircleZone.radius`) and envs/tasks.py (`x_lim`, `y_lim`, `calculate_cost`); safety-gymnasium 0.4.0, assets/geoms/circle.py,
assets/geoms/sigwalls.py, tasks/circle/circle_level{0,1,2}.py and bases/base_task.py (`_obs_lidar_pseudo`).
tests/test_geometry.py compares all of it with the running simulators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safefeedback.tasks import tasks

LIDAR_BINS = 16  # bin i looks from i / 16 of a turn to the left of the body's front on


@dataclass(frozen=True)
class Arena:
    """Where a task happens, in metres; the cost of a step is 1 outside the bounds or above the speed limit.

    Attributes:
        circle: radius of the circle to follow, around the origin, or None.
        x_limit, y_limit: |x| or |y| above it costs, or None.
        speed_limit: horizontal speed above it costs, in metres a second, or None.
    """

    circle: float | None = None
    x_limit: float | None = None
    y_limit: float | None = None
    speed_limit: float | None = None


@dataclass(frozen=True)
class Body:
    """Which observations are the body's position and velocity.

    Attributes:
        velocity: the index of its x part; y follows. The position's x and y are observations 0 and 1.
        metres, metres_per_second: what an observation of 1 stands for.
        speed_limit: of the Run tasks, in metres a second.
    """

    velocity: int
    metres: float
    metres_per_second: float
    speed_limit: float


BODIES = {  # bullet-safety-gym
    "Ball": Body(2, 1 / 0.1, 1 / 0.2, 2.5),
    "Car": Body(2, 1 / 0.1, 1.0, 1.5),
    "Ant": Body(3, 1 / 0.1, 1 / 0.3, 1.5),
    "Drone": Body(3, 1 / 0.1, 1 / 0.2, 1.5),
}
BULLET = {
    **{f"{name}Circle": Arena(circle=7.0, x_limit=6.0) for name in BODIES},
    **{f"{name}Run": Arena(y_limit=2.0, speed_limit=body.speed_limit) for name, body in BODIES.items()},
}
SENSORS = {"Point": 12, "Car": 24}  # safety-gymnasium: observations before the first lidar
MAGNETOMETER = 9  # the index of its x part; y follows
MAGNETIC_FIELD = 0.5  # of MuJoCo's default world, along -y
CIRCLE_REACH = 6.0  # metres at which the lidar of the Circle tasks reads 0; 3 in the other tasks
GYMNASIUM = {
    **{f"{name}Circle1": Arena(circle=1.5, x_limit=1.125) for name in SENSORS},
    **{f"{name}Circle2": Arena(circle=1.5, x_limit=1.125, y_limit=1.125) for name in SENSORS},
}
LIDARS = {
    "Circle": ("circle",),
    "Goal": ("goal", "hazards", "vases"),
    "Button": ("buttons", "goal", "hazards", "gremlins"),
    "Push": ("goal", "hazards", "pillars", "push box"),
}


def arena(task: str, observation_dim: int) -> Arena | None:
    """The world of a task whose observations tell the position, or None; also for another task that goes by its name."""
    known = tasks().get(task)
    if known is None or known.observation_dim != observation_dim:
        return None
    return BULLET.get(task) or GYMNASIUM.get(task)


def positions(task: str, observations: np.ndarray) -> np.ndarray:
    """Where the body is, in metres.

    Args:
        task: one with an arena.
        observations: [..., O].

    Returns:
        float64 [..., 2].
    """
    if task in BULLET:
        return _body(task).metres * observations[..., :2].astype(np.float64)
    first = SENSORS[task.removesuffix(task[-7:])]
    reading = observations[..., first : first + LIDAR_BINS].astype(np.float64)
    nearest = reading.argmax(axis=-1)[..., None]
    strongest = np.take_along_axis(reading, nearest, axis=-1)[..., 0]
    following = np.take_along_axis(reading, (nearest + 1) % LIDAR_BINS, axis=-1)[..., 0]
    within = np.divide(following, strongest, out=np.zeros_like(strongest), where=strongest > 0)
    angle = (nearest[..., 0] + within) * 2 * np.pi / LIDAR_BINS
    distance = CIRCLE_REACH * (1 - strongest)
    turned = angle + heading(observations)
    return -distance[..., None] * np.stack([np.cos(turned), np.sin(turned)], axis=-1)


def heading(observations: np.ndarray) -> np.ndarray:
    """The direction in which a body of safety-gymnasium looks, counter-clockwise from x, float64 [...], in radians."""
    east, north = observations[..., MAGNETOMETER], observations[..., MAGNETOMETER + 1]
    return np.arctan2(-east.astype(np.float64), -north.astype(np.float64))


def speeds(task: str, observations: np.ndarray) -> np.ndarray:
    """The horizontal speed of a Bullet task's body, float64 [...], in metres a second."""
    body = _body(task)
    velocity = observations[..., body.velocity : body.velocity + 2].astype(np.float64)
    return body.metres_per_second * np.hypot(velocity[..., 0], velocity[..., 1])


def costly(task: str, observations: np.ndarray) -> np.ndarray:
    """Where the step that led to an observation cost something, bool [...]."""
    world = arena(task, observations.shape[-1])
    assert world is not None
    place = np.abs(positions(task, observations))
    out = np.zeros(place.shape[:-1], bool)
    if world.x_limit is not None:
        out |= place[..., 0] > world.x_limit
    if world.y_limit is not None:
        out |= place[..., 1] > world.y_limit
    if world.speed_limit is not None:
        out |= speeds(task, observations) > world.speed_limit
    return out


def lidars(task: str, observations: np.ndarray) -> dict[str, np.ndarray]:
    """The readings of each lidar by what it sees, [..., 16] from 0 (nothing in reach) to 1 (touching); empty without."""
    for body, first in SENSORS.items():
        names = LIDARS.get(task.removeprefix(body)[:-1], ()) if task.startswith(body) and task[-1:] in "12" else ()
        if names and observations.shape[-1] == first + LIDAR_BINS * len(names):
            return {
                name: observations[..., first + LIDAR_BINS * index : first + LIDAR_BINS * (index + 1)]
                for index, name in enumerate(names)
            }
    return {}


def _body(task: str) -> Body:
    return BODIES[task.removesuffix("Circle").removesuffix("Run")]
