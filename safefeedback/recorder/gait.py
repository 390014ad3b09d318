"""A gait for the ant of bullet-safety-gym, steered round AntCircle's circle.

Each leg's hip and ankle are pushed by a sine of one rhythm, the right legs half a beat after the left ones. The four legs stand
at equal angles, so any of four directions can be the front: the gait walks towards the wanted direction from the nearest of
them. The torso's state (heading, sideways speed, turning, leaning) is fed back into bias and stride.

A `Gait` counts its beats, which no observation shows; a policy that only sees observations can hardly imitate it
(cards/weighted_bc.md). A `MemorylessGait` reads its phase from the joints: its actions depend on the observation alone.

The numbers in gait.toml were found by the cross-entropy method; a small network that corrects the gait's actions, in
gait_correction.npz, by PPO; and one that reads the phase, in gait_phase.npz, by least squares: see gait_search.py.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
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
OUTPUT = ("weight_2", "bias_2")  # the arrays of a network's last layer
CORRECTION = 0.5  # of the network's actions is added
HALFWAY = 250  # the step that the correction network is told where steps are not counted
SWITCH = 0.3 * math.pi  # another direction becomes the front when the wanted one is this far from the present front


@dataclass(frozen=True)
class Body:
    """An observation [34] of AntCircle, decoded: bullet-safety-gym 1.4.0, envs/agents.py (`agent_specific_observation`).

    Attributes:
        place, velocity, turning: of the torso, [3] each: metres, metres a second, radians a second.
        quaternion: [4], x, y, z, w.
        joints: [4, 2, 2], leg, hip or ankle, (position, velocity) as parts of their ranges.
    """

    place: np.ndarray
    velocity: np.ndarray
    turning: np.ndarray
    quaternion: np.ndarray
    joints: np.ndarray

    @staticmethod
    def of(observation: np.ndarray) -> Body:
        """Reads an observation."""
        values = np.asarray(observation, dtype=np.float64)
        return Body(10 * values[:3], values[3:6] / 0.3, values[10:13] / 0.15, values[6:10], 2 * values[13:29].reshape(4, 2, 2))


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
        correction: the network's arrays by name, as in gait_correction.npz, or None.
    """

    def __init__(
        self,
        numbers: np.ndarray,
        bound: float | None = None,
        stride: float = 1.0,
        correction: dict[str, np.ndarray] | None = None,
    ) -> None:
        legs = numbers[1:13].reshape(2, 2, 3)[FRONT]  # leg, hip or ankle, (phase, bias, amplitude)
        self.beats = math.exp(numbers[0]) * 0.15  # a step
        self.phase = math.pi * legs[:, :, 0] + math.pi * (LEFT < 0)[:, None]
        self.bias, self.amplitude = legs[:, :, 1], stride * np.exp(0.5 * legs[:, :, 2])
        self.steering, self.balance = numbers[13:25].reshape(3, 4), numbers[25:33]
        self.width, self.bound, self.correction = math.exp(numbers[33]), bound, correction
        self.time, self.front, self.steps = 0.0, 0, 0

    def orient(self, body: Body, off: float) -> None:
        """Chooses the front and the phase before a step; `off` is the angle from the body's axis to the wanted direction."""
        if abs(_turn(off - self.front * math.pi / 2)) > SWITCH:
            self.front = round(_turn(off) / (math.pi / 2)) % 4

    def act(self, observation: np.ndarray) -> np.ndarray:
        """The action at an observation [34]: float32 [8] in [-1, 1]."""
        body = Body.of(observation)
        x, y, z, w = body.quaternion
        yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        aim = direction(body.place[0], body.place[1], self.bound, self.width)
        self.orient(body, aim - yaw)
        error, heading = _turn(aim - yaw - self.front * math.pi / 2), yaw + self.front * math.pi / 2
        ahead, sideways = _seen_from(heading, body.velocity)
        pitch, roll = _seen_from(heading, np.array([2 * (x * z + w * y), 2 * (y * z - w * x)]))
        fallen = 2 * (x * x + y * y)
        legs = self._legs(np.array([error, sideways, 0.3 * body.turning[2]]), pitch, roll, fallen)
        if self.correction is not None:
            torso = [error, math.sin(error), ahead, sideways, body.velocity[2], body.place[2] - 0.6, pitch, roll, fallen]
            legs = legs + CORRECTION * self._corrected(body, aim, heading, torso).reshape(4, 2)
        self.time, self.steps = self.time + self.beats, self.steps + 1
        legs = np.roll(legs.clip(-1, 1), self.front, axis=0)  # the gait's leg j is the body's leg j + front
        legs[:, 1] *= ANKLE
        return legs.reshape(8).astype(np.float32)

    def _legs(self, tilt: np.ndarray, pitch: float, roll: float, fallen: float) -> np.ndarray:
        """The gait's own actions [4, 2], as if its front were the body's."""
        hip_front, hip_back, *strides = tilt @ self.steering
        balance, front = self.balance, FRONT == 0
        stretch = np.where(front, balance[0] * pitch + balance[6] * fallen, balance[1] * pitch + balance[7] * fallen)
        stretch = stretch + LEFT * np.where(front, balance[2], balance[3]) * roll
        amplitude = self.amplitude * np.exp(balance[4:6] * fallen) * np.exp(LEFT[:, None] * np.array(strides))
        legs = amplitude * (np.sin(2 * math.pi * self.time + self.phase) + self.bias)
        legs[:, 0] = legs[:, 0] * LEFT + np.where(front, hip_front, hip_back)
        legs[:, 1] += stretch
        return legs.clip(-1, 1)

    def _corrected(self, body: Body, aim: float, heading: float, torso: list[float]) -> np.ndarray:
        """The network's correction of the gait's actions, [8] in [-1, 1]."""
        assert self.correction is not None
        (x, y), turning = body.place[:2], body.turning
        joints = body.joints.copy()
        joints[:, 1] *= ANKLE[:, None]
        features = [
            *torso,
            *(0.3 * value for value in _seen_from(heading, turning)),
            0.3 * turning[2],
            math.sin(2 * math.pi * self.time),
            math.cos(2 * math.pi * self.time),
            min(2.0, max(-2.0, math.hypot(x, y) - RADIUS)),
            max(0.0, abs(x) - (self.bound or 99.0) + 0.6),
            _turn(aim - math.atan2(-x, y)),
            *np.roll(joints, -self.front, axis=0).reshape(-1),
            y / RADIUS,
            x / RADIUS,
            self.steps / 500,
            1.0,
        ]
        return _output(self.correction, np.array(features), np.tanh).clip(-1, 1)


class MemorylessGait(Gait):
    """The gait as a function of the observation: its front is the nearest leg, and a network reads its phase from the joints.

    Args:
        numbers: float64 [36]: as for `Gait`, then by how many tenths of a beat the phase leads what is read, and the
            logarithm of the correction's strength.
        bound, stride: as for `Gait`.
    """

    def __init__(self, numbers: np.ndarray, bound: float | None, stride: float) -> None:
        correction, strength = gait_network("correction"), math.exp(numbers[NUMBERS + 1])
        super().__init__(numbers, bound, stride, {**correction, **{name: strength * correction[name] for name in OUTPUT}})
        self.lead, self.reader = numbers[NUMBERS] / 10, gait_network("phase")

    def orient(self, body: Body, off: float) -> None:
        """See `Gait`."""
        self.front, self.steps = round(_turn(off) / (math.pi / 2)) % 4, HALFWAY
        sine, cosine = np.tanh(_output(self.reader, joints_from(body, self.front), lambda values: values.clip(0)))
        self.time = math.atan2(sine, cosine) / (2 * math.pi) + self.lead


def joints_from(body: Body, front: int) -> np.ndarray:
    """The joints as the legs of a gait with that front have them, and the torso's speeds and height: float64 [23]."""
    joints = body.joints.copy()
    joints[:, 1] *= ANKLE[:, None]
    return np.concatenate(
        [np.roll(joints, -front, axis=0).reshape(-1), 0.3 * body.velocity, 0.15 * body.turning, body.place[2:]]
    )


@cache
def gait_numbers(name: str = "numbers") -> np.ndarray:
    """The numbers of the gait, float64 [34]; those of the memoryless one, "memoryless", [36]."""
    with Path(__file__).with_name("gait.toml").open("rb") as file:
        return np.array(tomllib.load(file)[name], dtype=np.float64)


@cache
def gait_network(name: str) -> dict[str, np.ndarray]:
    """The arrays of a network: "correction" of the gait's actions, or "phase", which reads it."""
    with np.load(Path(__file__).with_name(f"gait_{name}.npz"), allow_pickle=False) as file:
        return {array: file[array].astype(np.float64) for array in file.files}


def _output(network: dict[str, np.ndarray], features: np.ndarray, activation: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What a network of two hidden layers makes of its features."""
    hidden = ((features - network["mean"]) / network["deviation"]).clip(-10, 10)
    for layer in ("0", "1"):
        hidden = activation(network[f"weight_{layer}"] @ hidden + network[f"bias_{layer}"])
    return network["weight_2"] @ hidden + network["bias_2"]


def _seen_from(heading: float, vector: np.ndarray) -> tuple[float, float]:
    """The parts of a vector along a heading and to the left of it."""
    cos, sin = math.cos(heading), math.sin(heading)
    return cos * vector[0] + sin * vector[1], -sin * vector[0] + cos * vector[1]


def _turn(angle: float) -> float:
    """The same angle between -pi and pi."""
    return (angle + math.pi) % (2 * math.pi) - math.pi
