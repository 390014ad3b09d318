"""Decodes observations of the simulated tasks: positions, boundaries, circles, lidars.

Sources: bullet-safety-gym 1.4.0, envs/agents.py (`agent_specific_observation`, `velocity_constraint`), envs/obstacles.py
(`CircleZone.radius`) and envs/tasks.py (`x_lim`, `y_lim`, `calculate_cost`); safety-gymnasium 0.4.0, assets/geoms/circle.py,
assets/geoms/sigwalls.py, tasks/circle/circle_level{0,1,2}.py, tasks/safety_velocity/*_v1.py and bases/base_task.py
(`_obs_lidar_pseudo`).
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
        clockwise: which way round the circle is rewarded, seen from above with x to the right and y upwards.
    """

    circle: float | None = None
    x_limit: float | None = None
    y_limit: float | None = None
    speed_limit: float | None = None
    clockwise: bool = False


@dataclass(frozen=True)
class Body:
    """Which observations are the body's position and velocity.

    Attributes:
        velocity: the index of its x part; y follows. The position's x and y are observations 0 and 1.
        metres, metres_per_second: what an observation of 1 stands for.
        speed_limit: of the Run tasks, in metres a second.
        quaternion: the index of its first part (x, y, z, w), or None.
        yaw: the index of its sine; the cosine follows; or None.
        altitude: the index of the height above ground, scaled like the position; None for what stays on the ground.
    """

    velocity: int
    metres: float
    metres_per_second: float
    speed_limit: float
    quaternion: int | None = None
    yaw: int | None = None
    altitude: int | None = None


BODIES = {  # bullet-safety-gym
    "Ball": Body(2, 1 / 0.1, 1 / 0.2, 2.5),
    "Car": Body(2, 1 / 0.1, 1.0, 1.5, yaw=4),
    "Ant": Body(3, 1 / 0.1, 1 / 0.3, 1.5, quaternion=6),
    "Drone": Body(3, 1 / 0.1, 1 / 0.2, 1.5, quaternion=6, altitude=2),
}
BULLET = {
    **{f"{name}Circle": Arena(circle=7.0, x_limit=6.0, clockwise=True) for name in BODIES},
    **{f"{name}Run": Arena(y_limit=2.0, speed_limit=body.speed_limit) for name, body in BODIES.items()},
}
SENSORS = {"Point": 12, "Car": 24}  # safety-gymnasium: observations before the first lidar
VELOCIMETER = 3  # the index of its forward part; the part to the left follows
MAGNETOMETER = 9  # the index of its x part; y follows
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
VELOCITY = {  # safety-gymnasium's velocity tasks: the observations whose length is the speed, and the limit in metres a second
    "AntVelocity": ((13, 14), 2.6222),
    "HalfCheetahVelocity": ((8,), 3.2096),
    "HopperVelocity": ((5,), 0.7402),
    "SwimmerVelocity": ((3,), 0.2282),
    "Walker2dVelocity": ((8,), 2.3415),
}


def arena(task: str, observation_dim: int) -> Arena | None:
    """The arena of a task whose observations contain the position, or None; also for a user's task of the same name."""
    found_task = tasks().get(task)
    if found_task is None or found_task.observation_dim != observation_dim:
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


def headings(task: str, observations: np.ndarray) -> np.ndarray | None:
    """The direction in which the body looks, counter-clockwise from x, float64 [...], in radians; None for a ball."""
    if task not in BULLET:
        return heading(observations)
    body = _body(task)
    if body.yaw is not None:
        sine, cosine = (observations[..., body.yaw + part].astype(np.float64) for part in (0, 1))
        return np.arctan2(sine, cosine)
    if body.quaternion is not None:
        x, y, z, w = np.moveaxis(observations[..., body.quaternion : body.quaternion + 4].astype(np.float64), -1, 0)
        return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return None


def altitudes(task: str, observations: np.ndarray) -> np.ndarray | None:
    """The height above ground, float64 [...], in metres; None for a body that stays on the ground."""
    if task not in BULLET or _body(task).altitude is None:
        return None
    return _body(task).metres * observations[..., _body(task).altitude].astype(np.float64)


def speeds(task: str, observations: np.ndarray) -> np.ndarray:
    """The horizontal speed of the body, float64 [...], in metres a second; in safety-gymnasium that of the velocimeter."""
    first, scale = (_body(task).velocity, _body(task).metres_per_second) if task in BULLET else (VELOCIMETER, 1.0)
    velocity = observations[..., first : first + 2].astype(np.float64)
    return scale * np.hypot(velocity[..., 0], velocity[..., 1])


def limited_speed(task: str, observations: np.ndarray) -> tuple[np.ndarray, float] | None:
    """The speed that a velocity task limits, float64 [...], and the limit, in metres a second; None in other tasks.

    Of one dim, it is the part along x, which may be negative. The simulator judges the mean over a step, not its end.
    """
    found_task = tasks().get(task)
    if found_task is None or task not in VELOCITY or observations.shape[-1] != found_task.observation_dim:
        return None
    dims, limit = VELOCITY[task]
    values = observations[..., list(dims)].astype(np.float64)
    return (values[..., 0] if len(dims) == 1 else np.hypot(values[..., 0], values[..., 1])), limit


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
