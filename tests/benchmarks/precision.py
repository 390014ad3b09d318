"""Whether policies trained with bf16 matrix products are those trained with fp32 ones, within seed noise (a script, no test).

    python tests/benchmarks/precision.py [--tasks T T] [--steps N] [--bc-steps N] [--seeds N] [--batch N] [--pairs N]
    python tests/benchmarks/precision.py --episodes 20 --seeds 6 --tasks BallRun CarCircle --steps 4000

Trains PreSa on the shipped recordings with both precisions and the same seeds, one thread, from cloning on. Of each number that
needs no simulator it prints the mean over the seeds, their standard deviation, and what bf16 changes in the mean, in standard
deviations of fp32's seeds; and the root mean square distance of the policies' actions on held-out states, between seeds and
between precisions. With --episodes every policy is played as well, and each seed's normalised reward and cost are printed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from presa.algorithms import configure
from presa.data.pairs import load_data
from presa.rollouts.policy import load
from presa.runs.evaluation import evaluate
from presa.runs.records import MonitorSettings, read_metrics
from presa.runs.run import job_grid, train_all
from safefeedback.dataset.build import build_dataset
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import find_task

NUMBERS = (
    "test_preference_accuracy",
    "test_safe_accuracy",
    "test_unsafe_accuracy",
    "preference_loss",
    "p_safe",
    "p_unsafe",
    "nu",
    "data_mse",
    "saturated",
)
ROLLOUTS = ("normalized_return", "normalized_cost")


def compare(task: str, options: argparse.Namespace, place: Path) -> None:
    recipe = Recipe(task=find_task(task), pairs=options.pairs, test_fraction=0.2)
    data = load_data(build_dataset(recipe, "recordings", place / "data")[0])
    lines: dict[str, list[dict]] = {}
    actions: dict[str, list[np.ndarray]] = {}
    took: dict[str, float] = {}
    assert data.test is not None
    states = data.test.observations.flatten(0, -2).numpy()
    for precision in ("fp32", "bf16"):
        settings = {"steps": options.steps, "bc_steps": options.bc_steps, "batch_size": options.batch, "precision": precision}
        algorithm = configure("presa", None, {**settings, "warm_up_steps": max(1, (options.steps - options.bc_steps) // 2)})
        jobs = job_grid([data], range(options.seeds), place / precision)
        started = time.process_time()
        train_all("presa", algorithm, jobs, MonitorSettings(report_every=options.steps // 10))
        took[precision] = time.process_time() - started
        lines[precision] = [read_metrics(job.folder)[-1] for job in jobs]
        if options.episodes:
            for line, job in zip(lines[precision], jobs, strict=True):
                line.update(evaluate(job.folder, episodes=options.episodes, processes=1, quiet=True)["summary"])
        actions[precision] = [load(job.folder).act(states) for job in jobs]
    print(f"{task}: bf16 took {took['bf16'] / took['fp32']:.2f} of fp32's processor time")
    for name in (*NUMBERS, *(ROLLOUTS if options.episodes else ())):
        full, half = ([line[name] for line in lines[precision]] for precision in ("fp32", "bf16"))
        noise, change = statistics.stdev(full), statistics.mean(half) - statistics.mean(full)
        told = f"{statistics.mean(full):8.4f} +- {noise:.4f}  bf16 {statistics.mean(half):8.4f} +- {statistics.stdev(half):.4f}"
        print(f"  {name:<26}fp32 {told}  {change / noise if noise else 0.0:+.2f} deviations")
        if name in ROLLOUTS:
            for precision, values in (("fp32", full), ("bf16", half)):
                print(f"    {precision}, by seed:", *(f"{value:.3f}" for value in values), flush=True)

    def distance(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
        return statistics.mean(float(np.sqrt(np.square(one - other).mean())) for one, other in pairs)

    seeds = distance(list(itertools.combinations(actions["fp32"], 2)))
    precisions = distance(list(zip(actions["fp32"], actions["bf16"], strict=True)))
    print(f"  distance of actions between seeds {seeds:.4f}, between precisions {precisions:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["BallCircle", "DroneRun"])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--bc-steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--episodes", type=int, default=0, help="to play of every policy")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for task in options.tasks:
        with tempfile.TemporaryDirectory() as place:
            os.environ["PRESA_CACHE"] = f"{place}/cache"
            compare(task, options, Path(place))


if __name__ == "__main__":
    main()
