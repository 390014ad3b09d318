"""Steering safety-gymnasium's Point by hand: round the circle of PointCircle1, and to the goals of PointGoal1.

The body slides, is pushed along its front, forwards or backwards, and turns. So both tasks are played by a field of wanted
velocities, and by one way to get such a velocity. Both use the observations alone, not the simulator's state.
Sources: safety-gymnasium 0.4.0, assets/xmls/point.xml, tasks/circle/circle_level1.py and tasks/goal/goal_level1.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from safefeedback.plots.geometry import LIDAR_BINS, VELOCIMETER, heading, lidars, positions

RADIUS = 1.5  # of the circle, in metres
GOAL_REACH = 3.0  # metres at which the lidars of PointGoal1 read 0
HAZARD = 0.2  # radius of a hazard, in metres
FASTEST = 1.45  # metres a second, with the pedal down
PUSH = 2.85  # metres a second squared, the same
DIRECTIONS = 48  # that are compared on the way to a goal
PULL_REACH = 0.6  # metres
LOOKAHEAD = 0.9  # metres of the way that are compared
PACKAGES = ("safefeedback", "numpy", "gymnasium", "safety-gymnasium", "mujoco")


def within_budget(budget: float, horizon: int) -> Callable[[bool], bool]:
    """Whether a step of an episode may cost: while the costs so far are below the budget's share of the elapsed time.

    Returns:
        (whether the last step cost) -> whether the next one may.
    """
    spent = steps = 0

    def may_cost(costly: bool) -> bool:
        nonlocal spent, steps
        spent, steps = spent + costly, steps + 1
        return spent < budget * steps / horizon

    return may_cost


def steer(observation: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The action (push, turn) that brings the body nearer to a velocity: float64 [2] in [-1, 1].

    Args:
        observation: [O].
        wanted: [2], metres a second, to the front and to the left.
    """
    velocity = observation[VELOCIMETER : VELOCIMETER + 2].astype(np.float64)
    push = 4.0 * (wanted - velocity) / PUSH + wanted / FASTEST
    angle = math.atan2(push[1], push[0])
    if abs(angle) > 0.5 * math.pi + 0.3:  # backwards is nearer
        angle -= math.copysign(math.pi, angle)
    strength = min(1.0, float(np.hypot(*push)))
    return np.array([float(np.clip(push[0], -1, 1)), float(np.clip(3.0 * angle * strength, -1, 1))])


def along_circle(observation: np.ndarray, speed: float, bound: float) -> np.ndarray:
    """The wanted velocity in PointCircle1, [2], to the front and to the left.

    Args:
        speed: metres a second.
        bound: where to turn away from the boundaries at |x| = 1.125, in metres.
    """
    x, y = positions("PointCircle1", observation)
    velocity = _rotated(observation[VELOCIMETER : VELOCIMETER + 2], float(heading(observation)))
    ahead = np.array([x, y]) + 0.12 * velocity
    distance = float(np.hypot(*ahead)) + 1e-9
    outwards = float(np.clip(2.5 * (RADIUS - distance), -1, 1))
    wanted = np.array([-ahead[1], ahead[0]]) / distance + outwards * ahead / distance
    wanted *= speed / float(np.hypot(*wanted))
    room = bound - abs(float(ahead[0]))
    if wanted[0] * ahead[0] > 0:
        wanted[0] = math.copysign(min(abs(wanted[0]), max(-speed, 3.0 * room)), ahead[0] if room > 0 else -ahead[0])
    return _rotated(wanted, -float(heading(observation)))


def to_goal(observation: np.ndarray, speed: float, room: float | None, pull: float = 0.0) -> np.ndarray:
    """The wanted velocity in PointGoal1, [2], to the front and to the left: the way to the goal round the hazards.

    Args:
        speed: metres a second.
        room: metres to leave beside a hazard's edge; None is not to go round them.
        pull: how strongly a hazard within reach draws the body to itself.
    """
    seen = lidars("PointGoal1", observation)
    goal = _nearest(seen["goal"])
    if goal is None:
        return np.array([0.0, speed])  # out of reach: look around
    hazards = _each(seen["hazards"])
    away = float(np.hypot(*goal))
    angles = math.atan2(goal[1], goal[0]) + 2 * math.pi * np.arange(DIRECTIONS) / DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    badness = 1.0 - np.cos(angles - angles[0])
    if len(hazards) and room is not None:
        length = min(LOOKAHEAD, away)
        along = np.clip(directions @ hazards.T, 0, length)
        gap = np.linalg.norm(hazards[None] - along[:, :, None] * directions[:, None], axis=2) - HAZARD
        badness = badness + (np.clip(room - gap, 0, None) * np.exp(-along)).max(axis=1) * 40
    way = directions[int(badness.argmin())]
    if len(hazards) and pull > 0:
        distances = np.linalg.norm(hazards, axis=1)
        nearest = int(distances.argmin())
        way = way + pull * max(0.0, 1 - distances[nearest] / PULL_REACH) * hazards[nearest] / (distances[nearest] + 1e-9)
    return speed * way / (float(np.hypot(*way)) + 1e-9)


def in_hazard(observation: np.ndarray) -> bool:
    """Whether the body's middle lies in a hazard of PointGoal1, as its lidar shows."""
    return GOAL_REACH * (1 - float(lidars("PointGoal1", observation)["hazards"].max())) <= HAZARD


def _nearest(reading: np.ndarray) -> np.ndarray | None:
    """Where the one thing is that a lidar [16] sees, [2], to the front and to the left, or None."""
    values = reading.astype(np.float64)
    most = int(values.argmax())
    if values[most] <= 0:
        return None
    within = values[(most + 1) % LIDAR_BINS] / values[most]
    return _polar((most + within) * 2 * math.pi / LIDAR_BINS, GOAL_REACH * (1 - values[most]))


def _each(reading: np.ndarray) -> np.ndarray:
    """Where the things are that a lidar [16] sees, [n, 2]: one in the middle of each bin that is as high as its neighbours."""
    values = reading.astype(np.float64)
    bins = np.flatnonzero((values > 0) & (values >= 0.7 * np.maximum(np.roll(values, 1), np.roll(values, -1))))
    places = [_polar((index + 0.5) * 2 * math.pi / LIDAR_BINS, GOAL_REACH * (1 - values[index])) for index in bins]
    return np.array(places).reshape(-1, 2)


def _polar(angle: float, distance: float) -> np.ndarray:
    return distance * np.array([math.cos(angle), math.sin(angle)])


def _rotated(vector: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([cos * vector[0] - sin * vector[1], sin * vector[0] + cos * vector[1]])
