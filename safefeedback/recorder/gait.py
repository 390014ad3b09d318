"""A gait for the ant of bullet-safety-gym, steered round AntCircle's circle.

Each leg's hip and ankle are pushed by a sine of one rhythm, the right legs half a beat after the left ones. The four legs stand
at equal angles, so any of four directions can be the front: the gait walks towards the wanted direction from the nearest of
them. What the torso shows (where it points, sideways speed, turning, leaning) is fed back into bias and stride.

The 34 numbers in gait.toml were found by the cross-entropy method: see gait_search.py.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NUMBERS = 34
RADIUS = 7.0  # of the circle, in metres
FRONT = np.array([0, 1, 1, 0])  # legs front left, back left, back right, front right: which are back legs
LEFT = np.array([1.0, 1.0, -1.0, -1.0])
ANKLE = np.array([1.0, -1.0, -1.0, 1.0])  # in which direction an ankle's torque stretches the leg
SWITCH = 0.3 * math.pi  # another direction becomes the front when the wanted one is this far from the present front


@dataclass(frozen=True)
class Torso:
    """Where the ant is and how it moves: metres, metres a second, radians a second, a quaternion."""

    x: float
    y: float
    velocity_x: float
    velocity_y: float
    turning: float
    quaternion: tuple[float, float, float, float]

    @staticmethod
    def of(observation: np.ndarray) -> Torso:
        """Reads an observation [34]; bullet-safety-gym 1.4.0, envs/agents.py (`agent_specific_observation`)."""
        values = np.asarray(observation, dtype=np.float64)
        return Torso(
            10 * values[0], 10 * values[1], values[3] / 0.3, values[4] / 0.3, values[12] / 0.15, tuple(values[6:10])
        )  # fmt: skip


def direction(x: float, y: float, bound: float | None, width: float) -> float:
    """Where to walk from (x, y), in radians: clockwise along the circle, towards it, and back before |x| = bound.

    Half a right angle towards the circle from `width` metres off it on, and less where nearer.
    """
    distance = math.hypot(x, y) + 1e-9
    outwards = min(1.0, max(-1.0, (RADIUS - distance) / width))
    to_x, to_y = (y + outwards * x) / distance, (-x + outwards * y) / distance
    if bound is not None and abs(x) > bound - 0.6 and to_x * x > 0:
        to_x *= max(-1.0, (bound - abs(x) - 0.3) / 0.3)
    return math.atan2(to_y, to_x)


class Gait:
    """Walks one episode.

    Args:
        numbers: float64 [34], as in gait.toml.
        bound: where to turn away from the boundaries at |x| = 6, in metres, or None.
        stride: the amplitudes are multiplied by it.
    """

    def __init__(self, numbers: np.ndarray, bound: float | None = None, stride: float = 1.0) -> None:
        legs = numbers[1:13].reshape(2, 2, 3)[FRONT]  # leg, hip or ankle, (phase, bias, amplitude)
        self.beats = math.exp(numbers[0]) * 0.15  # a step
        self.phase = math.pi * legs[:, :, 0] + math.pi * (LEFT < 0)[:, None]
        self.bias, self.amplitude = legs[:, :, 1], stride * np.exp(0.5 * legs[:, :, 2])
        self.steering, self.balance = numbers[13:25].reshape(3, 4), numbers[25:33]
        self.width = math.exp(numbers[33])
        self.bound, self.time, self.front = bound, 0.0, 0

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The action at an observation [34]: float32 [8] in [-1, 1]."""
        torso = Torso.of(observation)
        x, y, z, w = torso.quaternion
        yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        wanted = direction(torso.x, torso.y, self.bound, self.width) - yaw
        if abs(_turn(wanted - self.front * math.pi / 2)) > SWITCH:
            self.front = round(_turn(wanted) / (math.pi / 2)) % 4
        error = _turn(wanted - self.front * math.pi / 2)
        cos, sin = math.cos(yaw + self.front * math.pi / 2), math.sin(yaw + self.front * math.pi / 2)
        sideways = -sin * torso.velocity_x + cos * torso.velocity_y
        up_x, up_y, fallen = 2 * (x * z + w * y), 2 * (y * z - w * x), 2 * (x * x + y * y)
        pitch, roll = cos * up_x + sin * up_y, -sin * up_x + cos * up_y
        hip_front, hip_back, *strides = np.array([error, sideways, 0.3 * torso.turning]) @ self.steering
        balance = self.balance
        stretch = np.where(FRONT == 0, balance[0] * pitch + balance[6] * fallen, balance[1] * pitch + balance[7] * fallen)
        stretch = stretch + LEFT * np.where(FRONT == 0, balance[2], balance[3]) * roll
        amplitude = self.amplitude * np.exp(balance[4:6] * fallen) * np.exp(LEFT[:, None] * np.array(strides))
        legs = amplitude * (np.sin(2 * math.pi * self.time + self.phase) + self.bias)
        legs[:, 0] = legs[:, 0] * LEFT + np.where(FRONT == 0, hip_front, hip_back)
        legs[:, 1] += stretch
        self.time += self.beats
        legs = np.roll(legs.clip(-1, 1), self.front, axis=0)  # the gait's leg j is the body's leg j + front
        legs[:, 1] *= ANKLE
        return legs.reshape(8).astype(np.float32)


@cache
def found() -> np.ndarray:
    """The numbers of the gait that is recorded, float64 [34]."""
    with Path(__file__).with_name("gait.toml").open("rb") as file:
        return np.array(tomllib.load(file)["numbers"], dtype=np.float64)


def _turn(angle: float) -> float:
    """The same angle between -pi and pi."""
    return (angle + math.pi) % (2 * math.pi) - math.pi
