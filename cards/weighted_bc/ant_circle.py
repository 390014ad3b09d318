"""Why weighted-bc fails on AntCircle: what the script that recorded it earns, and how well its actions can be imitated.

    python cards/weighted_bc/ant_circle.py

Prints four things: the recorder's gait played with its careful settings; the squared error of networks fitted to the shipped
recordings, on episodes that they were not fitted to; what clones of 50 episodes of one gait earn; and the same for a gait
without memory, whose phase is read from its joints. About twenty minutes.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch

from presa.rollouts.evaluate import episode_seeds, normalized
from presa.rollouts.play import play
from safefeedback import find_task, sources
from safefeedback.recorder.gait import ANKLE, Body, Gait, correction_network, direction, gait_numbers
from safefeedback.simulators import make

TASK, LIMIT, CAREFUL = find_task("AntCircle"), 20.0, 5.6
BEATS = math.exp(gait_numbers()[0]) * 0.15  # of the gait's rhythm, a step


class Walker:
    """The recorder's gait, disturbed by noise; keeps what it sees and what it meant to do."""

    def __init__(self, bound: float, stride: float, noise: float = 0.0) -> None:
        self.setting, self.noise, self.rng = (bound, stride), noise, np.random.default_rng(0)
        self.reader: Clone | None = None  # of the phase, for a gait without memory
        self.episodes: list[list[tuple[np.ndarray, np.ndarray]]] = []
        self.joints: list[np.ndarray] = []
        self.phases: list[float] = []

    def reset(self, n: int) -> None:
        arguments = (gait_numbers(), *self.setting, correction_network())
        self.gait = Gait(*arguments) if self.reader is None else Memoryless(self.reader, *arguments)
        self.episodes.append([])

    def act(self, observations: np.ndarray) -> np.ndarray:
        action = self.gait.act(observations[0])
        self.episodes[-1].append((observations[0].copy(), action))
        self.joints.append(joints_from(Body.of(observations[0]), self.gait.front))
        self.phases.append(2 * math.pi * (self.gait.time - BEATS))
        return np.clip(action + self.noise * self.rng.standard_normal(8), -1, 1)[None].astype(np.float32)


class Memoryless(Gait):
    """The gait as a function of the observation: a network reads its phase from the joints, its front is the nearest leg."""

    def __init__(self, reader: Clone, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.reader = reader

    def act(self, observation: np.ndarray) -> np.ndarray:
        body = Body.of(observation)
        x, y, z, w = body.quaternion
        off = direction(body.place[0], body.place[1], self.bound, self.width)
        off -= math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        self.front = round(((off + math.pi) % (2 * math.pi) - math.pi) / (math.pi / 2)) % 4
        sine, cosine = self.reader.act(joints_from(body, self.front)[None])[0]
        self.time = math.atan2(sine, cosine) / (2 * math.pi)
        return super().act(observation)


def joints_from(body: Body, front: int) -> np.ndarray:
    """The joints as the gait's legs see them, and the torso's speeds and height: float32 [23]."""
    joints = body.joints.copy()
    joints[:, 1] *= ANKLE[:, None]
    turned = np.roll(joints, -front, axis=0).reshape(-1)
    return np.concatenate([turned, 0.3 * body.velocity, 0.15 * body.turning, body.place[2:]]).astype(np.float32)


class Clone:
    """A network fitted to steps of episodes; it may see the phase of the gait, which no observation holds."""

    def __init__(self, seen: np.ndarray, done: np.ndarray, time: np.ndarray, phase: bool, steps: int, width: int = 256) -> None:
        self.time = -1
        self.shift, self.scale, self.phase = seen.mean(0), np.maximum(seen.std(0), 1e-3), phase
        torch.manual_seed(0)
        sizes = (seen.shape[1] + 2 * phase, width, width, done.shape[1])
        layers = [part for a, b in itertools.pairwise(sizes) for part in (torch.nn.Linear(a, b), torch.nn.ReLU())]
        self.network = torch.nn.Sequential(*layers[:-1], torch.nn.Tanh())
        adam, rng = torch.optim.Adam(self.network.parameters(), 1e-3), np.random.default_rng(0)
        inputs, targets = self.inputs(seen, time), torch.from_numpy(done)
        for step in range(steps):
            adam.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
            batch = rng.integers(0, len(inputs), 256)
            loss = (self.network(inputs[batch]) - targets[batch]).square().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()

    def inputs(self, seen: np.ndarray, time: np.ndarray) -> torch.Tensor:
        angle = 2 * np.pi * BEATS * time[:, None]
        more = [np.sin(angle), np.cos(angle)] if self.phase else []
        return torch.from_numpy(np.concatenate([(seen - self.shift) / self.scale, *more], 1).astype(np.float32))

    @torch.no_grad()
    def error(self, seen: np.ndarray, done: np.ndarray, time: np.ndarray) -> float:
        return float((self.network(self.inputs(seen, time)) - torch.from_numpy(done)).square().mean())

    def reset(self, n: int) -> None:
        self.time = -1

    @torch.no_grad()
    def act(self, observations: np.ndarray) -> np.ndarray:
        self.time += 1
        return self.network(self.inputs(observations, np.full(len(observations), self.time))).numpy()


def judge(policy: Any, seed: int, episodes: int, name: str) -> None:
    """Plays and prints."""
    rows = [play(ENV, policy, one) for one in episode_seeds(seed, episodes)]
    scores = [normalized(row, TASK, LIMIT) for row in rows]
    reward, cost = (np.mean([one[key] for one in scores]) for key in ("normalized_return", "normalized_cost"))
    print(f"{name}: {reward:.2f} / {cost:.2f}, {np.mean([row['length'] for row in rows]):.0f} steps", flush=True)


def told(name: str, clone: Clone, train: tuple, test: tuple) -> None:
    """Prints a clone's error."""
    errors = [clone.error(*steps) for steps in (train, test)]
    print(
        f"{name}: squared error {errors[0]:.2f}, on other episodes {errors[1]:.2f} of {test[1].var(0).mean():.2f}", flush=True
    )


def main() -> None:
    """See the module."""
    torch.set_num_threads(1)
    for bound, stride in ((CAREFUL, 1.0), (CAREFUL, 2.0), (99.0, 1.0)):
        judge(Walker(bound, stride), 10, 10, f"gait that turns at {bound} m, stride {stride}")
    recorded = sources.load("recordings", TASK)
    time = np.concatenate([np.arange(length) for length in recorded.lengths])
    apart = np.isin(
        np.repeat(np.arange(len(recorded)), recorded.lengths), np.random.default_rng(0).permutation(len(recorded))[:13]
    )
    arrays = (recorded.observations, recorded.actions.clip(-1, 1), time)
    train, test = (tuple(one[where] for one in arrays) for where in (~apart, apart))
    for phase in (False, True):
        for steps in (1_500, 6_000):
            name = f"shipped recordings, {'phase, ' if phase else ''}{steps:,} steps"
            told(name, Clone(*train, phase, steps), train, test)
    walker = Walker(CAREFUL, 2.0, 0.1)
    judge(walker, 99, 60, "one gait, disturbed")
    parts = split(walker, 50)
    for phase in (False, True):
        clone = Clone(*parts[0], phase, 5_000)
        told(f"clone of one gait{', phase' if phase else ''}", clone, *parts)
        judge(clone, 10, 20, "  played")
    joints, phases = np.array(walker.joints), np.array(walker.phases)
    targets = np.stack([np.sin(phases), np.cos(phases)], 1).astype(np.float32)
    cut, nothing = len(parts[0][0]), np.zeros(len(phases))
    reader = Clone(joints[:cut], targets[:cut], nothing[:cut], False, 5_000, 64)
    read = reader.act(joints[cut:])
    off = np.angle(np.exp(1j * (np.arctan2(read[:, 0], read[:, 1]) - phases[cut:])))
    print(f"phase read from the joints, on other episodes: {np.abs(off).mean():.2f} radians off", flush=True)
    walker = Walker(CAREFUL, 2.0, 0.1)
    walker.reader = reader
    judge(walker, 99, 100, "the gait without memory, disturbed")
    parts = split(walker, 90)
    clone = Clone(*parts[0], False, 5_000, 512)
    told("clone of the gait without memory", clone, *parts)
    judge(clone, 10, 20, "  played")


def split(walker: Walker, first: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The steps of a walker's first episodes, and of its others: observations, actions, times."""
    parts = []
    for some in (walker.episodes[:first], walker.episodes[first:]):
        seen, done = (np.array([step[which] for one in some for step in one], np.float32) for which in (0, 1))
        parts.append((seen, done, np.concatenate([np.arange(len(one)) for one in some])))
    return parts


if __name__ == "__main__":
    ENV = make(TASK)
    main()
