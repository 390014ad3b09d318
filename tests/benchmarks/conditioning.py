"""How much return and cost to go tell of what was done: squared error of cloned actions on held-out episodes, by inputs.

A decision transformer can follow a cost target only where episodes that cost more acted otherwise in the same states. Here an
MLP (2 x 128 units, Adam at 1e-3, 3,000 steps of 512 rows) is fitted to a task's recordings from the observation and the time
alone, and with the return to go, the cost to go, or both. Every tenth episode is held out; mean of three seeds.

    python tests/benchmarks/conditioning.py CarCircle BallCircle DroneRun
"""

from __future__ import annotations

import sys

import numpy as np
import torch

from presa.algorithms.cdt.sequences import to_go
from safefeedback.sources import load
from safefeedback.tasks import find_task

SEEDS, STEPS, BATCH, EVERY = 3, 3_000, 512, 10


def error(inputs: torch.Tensor, actions: torch.Tensor, held_out: torch.Tensor, seed: int) -> float:
    """Mean squared error on the held-out rows; inputs [T, I], actions [T, A], held_out bool [T]."""
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(inputs.shape[1], 128), torch.nn.ReLU(), torch.nn.Linear(128, 128), torch.nn.ReLU()]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(128, actions.shape[1]))
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    rows = (~held_out).nonzero()[:, 0]
    for _ in range(STEPS):
        batch = rows[torch.randint(len(rows), (BATCH,))]
        loss = (network(inputs[batch]) - actions[batch]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return float((network(inputs[held_out]) - actions[held_out]).square().mean())


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    print("| task | observation, time | + return to go | + cost to go | + both |\n|---|---|---|---|---|")
    for name in names:
        episodes = load("recordings", find_task(name))
        bounds = episodes.bounds
        time = np.concatenate([np.arange(length) for length in episodes.lengths])
        sums = [to_go(values, bounds) for values in (episodes.rewards, episodes.costs)]
        columns = np.concatenate([episodes.observations, np.stack([time, *sums], 1)], 1)
        columns = torch.from_numpy(((columns - columns.mean(0)) / (columns.std(0) + 1e-6)).astype(np.float32))
        actions = torch.from_numpy(episodes.actions.clip(-1, 1))
        held_out = torch.from_numpy(np.repeat(np.arange(len(bounds) - 1) % EVERY == 0, episodes.lengths))
        shown = []
        for left_out in ((-2, -1), (-1,), (-2,), ()):
            kept = [k for k in range(columns.shape[1]) if k - columns.shape[1] not in left_out]
            found = [error(columns[:, kept], actions, held_out, seed) for seed in range(SEEDS)]
            shown.append(f"{np.mean(found):.4f} +- {np.std(found):.4f}")
        print(f"| {name} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["CarCircle", "BallCircle", "DroneRun"])
