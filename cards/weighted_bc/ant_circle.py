"""How well two gaits are imitated on AntCircle: one that counts its beats, and one that acts on what it observes.

    python cards/weighted_bc/ant_circle.py

For each gait it plays 60 episodes disturbed by noise, fits networks to 50 of them, prints their squared error on the other
ten, and plays them. About ten minutes.
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
from safefeedback import find_task
from safefeedback.recorder.gait import Gait, MemorylessGait, gait_network, gait_numbers
from safefeedback.simulators import make

TASK, LIMIT = find_task("AntCircle"), 20.0
BOUND, STRIDE, NOISE = 5.6, 2.0, 0.1
BEATS = math.exp(gait_numbers()[0]) * 0.15  # of the gait's rhythm, a step


class Walker:
    """One of the recorder's gaits, disturbed by noise; keeps what it sees and what it meant to do."""

    def __init__(self, counts: bool) -> None:
        self.counts, self.rng = counts, np.random.default_rng(0)
        self.episodes: list[list[tuple[np.ndarray, np.ndarray]]] = []

    def reset(self, n: int) -> None:
        if self.counts:
            self.gait = Gait(gait_numbers(), BOUND, STRIDE, gait_network("correction"))
        else:
            self.gait = MemorylessGait(gait_numbers("memoryless"), BOUND, STRIDE)
        self.episodes.append([])

    def act(self, observations: np.ndarray) -> np.ndarray:
        action = self.gait.act(observations[0])
        self.episodes[-1].append((observations[0].copy(), action))
        return np.clip(action + NOISE * self.rng.standard_normal(8), -1, 1)[None].astype(np.float32)


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
    for name, counts in (("counts its beats", True), ("acts on what it observes", False)):
        walker = Walker(counts)
        judge(walker, 99, 60, f"the gait that {name}, disturbed")
        parts = split(walker, 50)
        for phase in (False, True) if counts else (False,):
            for steps in (1_500, 5_000):
                clone = Clone(*parts[0], phase, steps)
                told(f"its clone{', told the phase' if phase else ''}, {steps:,} steps", clone, *parts)
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
