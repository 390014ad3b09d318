"""Finds the numbers of the gait by the cross-entropy method (R. Rubinstein, Methodol. Comput. Appl. Probab. 1, 1999).

    python -m safefeedback.recorder.gait_search --generations 20

Each generation draws gaits around a mean, lets all walk from one start, and moves mean and spread to the best quarter's.
The numbers in gait.toml came from zeros in five stages of it: four of the mean speed along `direction` over 80, 80, 180 and 300
steps, without boundaries, less a penalty for falling; and the last, which is the one here, of the episode's return less half
its cost, with the stride of the fourth shortened to 0.85 of it: that was slower and fell far less.
The network in gait_correction.npz was then trained by 147,000 steps of PPO (stable-baselines3: two layers of 64 units, discount
0.97) on twice the reward, plus 0.4 of the speed along `direction`, less 0.5 of the cost and 5 for a fall, at a bound of 5.8.
"""

from __future__ import annotations

import argparse

import numpy as np

from safefeedback.recorder.gait import NUMBERS, Gait, gait_numbers
from safefeedback.simulators import make
from safefeedback.tasks import find_task

BOUND = 5.6
PRICE = 0.5  # what a costly step counts, in reward


def search(
    start: np.ndarray, generations: int, seed: int, drawn: int = 24, spread: float = 0.05, least: float = 0.025
) -> np.ndarray:
    """The mean of the last generation, float64 [34]."""
    env, rng = make(find_task("AntCircle")), np.random.default_rng(seed)
    mean, deviation = start.copy(), np.full(NUMBERS, spread)
    for generation in range(generations):
        gaits = mean + deviation * rng.standard_normal((drawn, NUMBERS))
        episode = int(rng.integers(2**31))
        scores = []
        for numbers in gaits:
            gait, score, over = Gait(numbers, BOUND), 0.0, False
            observation, _ = env.reset(seed=episode)
            while not over:
                observation, reward, terminated, truncated, info = env.step(gait.act(observation))
                score, over = score + float(reward) - PRICE * info["cost"], terminated or truncated
            scores.append(score)
        best = gaits[np.argsort(scores)[-(drawn // 4) :]]
        mean = 0.2 * mean + 0.8 * best.mean(axis=0)
        deviation = np.maximum(0.3 * deviation + 0.7 * best.std(axis=0), least)
        print(f"{generation + 1}: best {max(scores):.1f}, median {np.median(scores):.1f}", flush=True)
    return mean


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(np.round(search(gait_numbers(), options.generations, options.seed), 4).tolist())


if __name__ == "__main__":
    main()
