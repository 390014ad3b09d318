"""Decodes the observations of MetaDrive's tasks: the car's speed, its place on the road, and its lidar.

Source: metadrive-simulator 0.2.6.0, obs/state_obs.py (`StateObservation`, `LidarStateObservation`); tests/test_driving.py
compares it with the running simulator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safefeedback.tasks import tasks

DIMS = 259
LASERS = 240  # laser i looks 1.5 i degrees to the right of the car's front
REACH = 50.0  # metres at which a laser reads 1: nothing is there
ROAD = 18.0  # metres that a distance to the road's edge of 1 stands for
LANE = 4.5  # metres from side to side that the place in the lane spans
TOP_SPEED = 80.0  # kilometres an hour
FREE_SPEED = 10.0  # each kilometre an hour above it costs 0.01 a step


@dataclass(frozen=True)
class DrivingState:
    """The state of the car, decoded from observations, float64 [...] each.

    Attributes:
        speed: in kilometres an hour.
        lane_offset: how far right of the lane's middle it is, in metres; 2.25 at most.
        left, right: distance to the road's edges, in metres.
        heading: how far it looks to the right of the road's direction, in radians.
        steering, throttle: the parts of the last action but one, -1 to 1; steering 1 is left, throttle below 0 brakes.
        lidar: [..., 240], metres to what is there, 50 where nothing is; the first looks ahead, and they go round clockwise.
    """

    speed: np.ndarray
    lane_offset: np.ndarray
    left: np.ndarray
    right: np.ndarray
    heading: np.ndarray
    steering: np.ndarray
    throttle: np.ndarray
    lidar: np.ndarray

    @property
    def nearest(self) -> np.ndarray:
        """Metres to the nearest thing that the lidar sees."""
        return self.lidar.min(axis=-1)


def is_driving_task(task: str, observation_dim: int) -> bool:
    """Whether the task's observations are those of MetaDrive's car."""
    found_task = tasks().get(task)
    return found_task is not None and found_task.domain == "MetaDrive" and observation_dim == DIMS


def decode_driving(observations: np.ndarray) -> DrivingState:
    """Decodes observations [..., 259] of MetaDrive's tasks."""
    values = observations.astype(np.float64)
    return DrivingState(
        speed=values[..., 3] * (TOP_SPEED + 1) - 1,
        lane_offset=(values[..., 8] - 0.5) * LANE,
        left=values[..., 0] * ROAD,
        right=values[..., 1] * ROAD,
        heading=np.arcsin(np.clip(2 * values[..., 2] - 1, -1, 1)),
        steering=2 * values[..., 5] - 1,
        throttle=2 * values[..., 6] - 1,
        lidar=values[..., -LASERS:] * REACH,
    )
