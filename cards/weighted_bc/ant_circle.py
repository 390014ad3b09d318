"""Why weighted-bc fails on AntCircle: what the script that recorded it earns, and how well its actions can be imitated.

    python cards/weighted_bc/ant_circle.py

Prints three things: the recorder's gait played with its careful settings; the squared error of networks fitted to the shipped
recordings, on episodes that they were not fitted to; and what clones of 50 episodes of one gait earn. About ten minutes.
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
from safefeedback.recorder.gait import Gait, correction_network, gait_numbers
from safefeedback.simulators import make

TASK, LIMIT, CAREFUL = find_task("AntCircle"), 20.0, 5.6
BEATS = math.exp(gait_numbers()[0]) * 0.15  # of the gait's rhythm, a step


class Walker:
    """The recorder's gait, disturbed by noise; keeps what it sees and what it meant to do."""

    def __init__(self, bound: float, stride: float, noise: float = 0.0) -> None:
        self.setting, self.noise, self.rng = (bound, stride), noise, np.random.default_rng(0)
        self.episodes: list[list[tuple[np.ndarray, np.ndarray]]] = []

    def reset(self, n: int) -> None:
        self.gait = Gait(gait_numbers(), *self.setting, correction_network())
        self.episodes.append([])

    def act(self, observations: np.ndarray) -> np.ndarray:
        action = self.gait.act(observations[0])
        self.episodes[-1].append((observations[0].copy(), action))
        return np.clip(action + self.noise * self.rng.standard_normal(8), -1, 1)[None].astype(np.float32)


class Clone:
    """A network fitted to steps of episodes; it may see the phase of the gait, which no observation holds."""

    def __init__(self, seen: np.ndarray, done: np.ndarray, time: np.ndarray, phase: bool, steps: int, width: int = 256) -> None:
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
        self.time = 0

    @torch.no_grad()
    def act(self, observations: np.ndarray) -> np.ndarray:
        self.time += 1
        return self.network(self.inputs(observations, np.array([self.time - 1]))).numpy()


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
    parts = []
    for some in (walker.episodes[:50], walker.episodes[50:]):
        seen, done = (np.array([step[which] for one in some for step in one], np.float32) for which in (0, 1))
        parts.append((seen, done, np.concatenate([np.arange(len(one)) for one in some])))
    for phase in (False, True):
        clone = Clone(*parts[0], phase, 5_000)
        told(f"clone of one gait{', phase' if phase else ''}", clone, *parts)
        judge(clone, 10, 20, "  played")


if __name__ == "__main__":
    ENV = make(TASK)
    main()
