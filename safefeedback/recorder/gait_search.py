"""Finds the gait by the cross-entropy method (R. Rubinstein, Methodol. Comput. Appl. Probab. 1, 1999), and fits its reader.

    python -m safefeedback.recorder.gait_search [--memoryless] --generations 20
    python -m safefeedback.recorder.gait_search --reader gait_phase.npz

Each generation draws gaits around a mean, lets all walk from the same starts, and moves mean and spread to the best quarter's.
The numbers in gait.toml came from zeros in five stages of it: four of the mean speed along `direction` over 80, 80, 180 and 300
steps, without boundaries, less a penalty for falling; and the last, which is the one here, of the episode's return less half
its cost, with the stride of the fourth shortened to 0.85 of it: that was slower and fell far less.
The network in gait_correction.npz was then trained by 147,000 steps of PPO (stable-baselines3: two layers of 64 units, discount
0.97) on twice the reward, plus 0.4 of the speed along `direction`, less 0.5 of the cost and 5 for a fall, at a bound of 5.8.

The gait without memory begins from these: `--reader` fits the network that reads the phase from the joints to 48 walks, and
`--memoryless` looks for its numbers, at twice the stride, over three starts. 60 generations of 20 gaits raised the mean return
of eight other starts from 60 to about 100.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from safefeedback.recorder.gait import Body, Gait, MemorylessGait, gait_network, gait_numbers, joints_from
from safefeedback.simulators import make
from safefeedback.tasks import find_task

BOUND, STRIDE = 5.6, 2.0
PRICE = 0.5  # what a costly step counts, in reward
WALKS = ((2.0, 0.1), (2.0, 0.2), (1.5, 0.1))  # strides and noises of the walks that the reader is fitted to, 16 of each


def search(
    gait: Callable[[np.ndarray], Gait],
    start: np.ndarray,
    generations: int,
    seed: int,
    starts: int = 1,
    drawn: int = 24,
    spread: float = 0.05,
    least: float = 0.025,
) -> np.ndarray:
    """The mean of the last generation, float64 [N].

    Args:
        gait: makes one from its numbers.
        start: the mean before the first generation.
        starts: how many episodes each gait walks.
        drawn: gaits in a generation.
        spread, least: their standard deviation, at first and at least.
    """
    env, rng = make(find_task("AntCircle")), np.random.default_rng(seed)
    mean, deviation = start.copy(), np.full(len(start), spread)
    for generation in range(generations):
        numbers = mean + deviation * rng.standard_normal((drawn, len(start)))
        episodes = [int(rng.integers(2**31)) for _ in range(starts)]
        scores = []
        for drawn_numbers in numbers:
            score = 0.0
            for episode in episodes:
                walker, over = gait(drawn_numbers), False
                observation, _ = env.reset(seed=episode)
                while not over:
                    observation, reward, terminated, truncated, info = env.step(walker.act(observation))
                    score, over = score + float(reward) - PRICE * info["cost"], terminated or truncated
            scores.append(score / starts)
        best = numbers[np.argsort(scores)[-(drawn // 4) :]]
        mean = 0.2 * mean + 0.8 * best.mean(axis=0)
        deviation = np.maximum(0.3 * deviation + 0.7 * best.std(axis=0), least)
        print(f"{generation + 1}: best {max(scores):.1f}, median {np.median(scores):.1f}", flush=True)
    return mean


def fit_reader(seed: int, walks: int = 16, steps: int = 6000) -> dict[str, np.ndarray]:
    """The network that reads the phase of a `Gait` from the joints, fitted to disturbed walks: arrays as in gait_phase.npz."""
    import torch

    env, rng = make(find_task("AntCircle")), np.random.default_rng(seed)
    joints, phases = [], []
    for stride, noise in WALKS:
        for _ in range(walks):
            walker, over = Gait(gait_numbers(), BOUND, stride, gait_network("correction")), False
            observation, _ = env.reset(seed=int(rng.integers(2**31)))
            while not over:
                phase, body = 2 * math.pi * walker.time, Body.of(observation)
                action = walker.act(observation)
                joints.append(joints_from(body, walker.front))
                phases.append([math.sin(phase), math.cos(phase)])
                disturbed = np.clip(action + noise * rng.standard_normal(8), -1, 1)
                observation, _, terminated, truncated, _ = env.step(disturbed.astype(np.float32))
                over = terminated or truncated
    mean, deviation = np.mean(joints, axis=0), np.maximum(np.std(joints, axis=0), 1e-3)
    inputs = torch.as_tensor((np.array(joints) - mean) / deviation, dtype=torch.float32)
    targets = torch.as_tensor(np.array(phases), dtype=torch.float32)
    torch.manual_seed(seed)
    layers = [torch.nn.Linear(*sizes) for sizes in ((inputs.shape[1], 64), (64, 64), (64, 2))]
    network = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2], torch.nn.Tanh())
    adam = torch.optim.Adam(network.parameters(), 1e-3)
    for step in range(steps):
        adam.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
        batch = rng.integers(0, len(inputs), 256)
        loss = (network(inputs[batch]) - targets[batch]).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    arrays = {"mean": mean, "deviation": deviation}
    for number, layer in enumerate(layers):
        arrays |= {f"weight_{number}": layer.weight.detach().numpy(), f"bias_{number}": layer.bias.detach().numpy()}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memoryless", action="store_true")
    parser.add_argument("--reader", type=Path, help="only fit the reader, and write it there")
    options = parser.parse_args()
    if options.reader:
        np.savez(options.reader, **fit_reader(options.seed))  # type: ignore[arg-type]
        return
    if options.memoryless:
        begin = gait_numbers("memoryless")
        gait = partial(MemorylessGait, bound=BOUND, stride=STRIDE)
        found = search(gait, begin, options.generations, options.seed, starts=3, drawn=20, spread=0.06, least=0.02)
    else:
        found = search(partial(Gait, bound=BOUND), gait_numbers(), options.generations, options.seed)
    print(np.round(found, 4).tolist())


if __name__ == "__main__":
    main()
