"""The two sums that decide where a body of bullet-safety-gym goes, with the same bits on every processor.

NumPy hands even `x.dot(y)` of three numbers to BLAS, and OpenBLAS adds up differently from processor to processor: with
fused multiply-adds where it uses AVX-512, without them elsewhere. A difference of 1e-17 in a drone's thrust, or in the
direction that a ball starts in, grows over an episode, and after a touch of the ground it is another episode. So these
sums are made here as an AVX-512 machine makes them, on which the shipped recordings were made. What else the package adds
up goes into observations and rewards only, and does not grow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


def fused_dot(x: Iterable[float], y: Iterable[float]) -> float:
    """x[0] y[0] + x[1] y[1] + ..., from the first to the last, each product added without being rounded before."""
    total = 0.0
    for a, b in zip(x, y, strict=True):
        product = a * b
        total = math.fsum((product, _product_error(a, b, product), total))  # fsum rounds once, at the end
    return total


def _product_error(a: float, b: float, product: float) -> float:
    """What rounding took from a * b, exactly (T. J. Dekker, A floating-point technique for extending precision, 1971)."""
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = a - a_high, b - b_high
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _upper_half(value: float) -> float:
    scaled = 134217729.0 * value  # 2^27 + 1
    return scaled - (scaled - value)


def patch_package() -> None:
    """Put them in the places of the package's own, for every environment of this process; again changes nothing."""
    from bullet_safety_gym.envs import agents, tasks

    if tasks.angle2pos is not _angle_to:
        tasks.angle2pos = _angle_to
        agents.Drone.calculate_thrust_force = _with_own_speed(agents.Drone.calculate_thrust_force)


def _with_own_speed(thrust_force: Callable) -> Callable:
    """Drone.calculate_thrust_force, with the drone's speed along its own vertical axis [m/s] summed here."""

    def with_own_speed(drone: Any, angular_speed: float, area: float, propeller_pitch: float, v0: float = 0.0) -> float:
        _, quaternion = drone.bc.getBasePositionAndOrientation(drone.body_id)
        velocity, _ = drone.bc.getBaseVelocity(drone.body_id)
        speed = fused_dot(velocity, drone.bc.getMatrixFromQuaternion(quaternion)[2::3])
        return thrust_force(drone, angular_speed, area, propeller_pitch, speed)

    return with_own_speed


def _angle_to(start: np.ndarray, end: np.ndarray) -> float:
    """The direction from one place to another, in radians, as tasks.angle2pos gives it."""
    way = end - start
    way /= math.sqrt(fused_dot(way.tolist(), way.tolist()))
    return np.arctan2(way[1], way[0])
