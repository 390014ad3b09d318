"""Where in an episode trained policies act as the recordings did: squared error by step, and the mean first action.

Windows of L steps that are drawn uniformly from episodes of T steps hold step 0 in one of T - L + 1, and a step in the middle
in L of them: what is learnt from segments has seen few beginnings.

    python tests/benchmarks/starts.py studies-recordings/cells/*/limit20-seed0
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import presa
from safefeedback.sources import load
from safefeedback.tasks import find_task

BINS = ((0, 2), (2, 10), (10, 30), (30, 100), (100, 1_000))


def main(folders: list[str]) -> None:
    print("| task | algorithm | " + " | ".join(f"{low} to {high - 1}" for low, high in BINS) + " | first action, mean |")
    print("|---|---|" + "---|" * len(BINS) + "---|")
    for folder in folders:
        config = json.loads((Path(folder) / "config.json").read_text())
        if not (Path(folder) / "policy.safetensors").is_file() or "cdt" in config["algorithm"]:
            continue  # a transformer acts on its last steps, which are not given here
        episodes = load("recordings", find_task(config["task"]["name"]))
        step = np.concatenate([np.arange(length) for length in episodes.lengths])
        recorded = episodes.actions.clip(-1, 1)
        policy = presa.load(folder)
        policy.reset(len(recorded))
        acted = np.asarray(policy.act(episodes.observations)).clip(-1, 1)
        error = np.square(acted - recorded).mean(1)
        shown = [f"{error[(step >= low) & (step < high)].mean():.3f}" if (step >= low).any() else "-" for low, high in BINS]
        first = " ".join(f"{value:.2f}" for value in acted[step == 0].mean(0))
        wanted = " ".join(f"{value:.2f}" for value in recorded[step == 0].mean(0))
        print(
            f"| {config['task']['name']} | {config['algorithm']} | {' | '.join(shown)} | {first} (recorded {wanted}) |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
