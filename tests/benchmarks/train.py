"""Training steps a second against a loop as research code has it, stacks against single runs, and loading (a script, no test).

    python tests/benchmarks/train.py [--threads 1 N] [--steps N] [--repeats N] [--pairs N]

1. PreSa's own stage, 32 pairs of 64 steps, 256 x 256 units with dropout 0.1, against a plain loop written as CPL writes it:
   every step makes tensors from NumPy, runs the reference network, drops with `nn.Dropout`, and steps `torch.optim.Adam`
   along autograd's gradients. All compute the same loss, and take turns; aim: a median ratio of at least 1.4 (fp32).
2. Nine runs in one process against nine times one run, taking turns; aim: at most 1.0. And the same as one stack.
3. Reading a dataset's training pairs into tensors against a copy of the same bytes out of `np.memmap`, both after a first time.
4. Where a step's time goes: time in each part, without the parts that it calls.

Ratios are of one run of this script; times are of a machine that may be busy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import presa.fitting.fit
from presa import losses
from presa.algorithms import configure
from presa.algorithms.base import Examples
from presa.data.pairs import load_data
from presa.fitting.batches import BatchSampler
from presa.fitting.fit import Snapshot, Tally, fit_runs, fit_stack, with_reference
from presa.networks.adam import Adam
from presa.networks.backprop import Backprop
from presa.networks.mlp import initial_parameters, log_probability
from safefeedback.dataset.build import build_dataset
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import find_task

sys.path.insert(0, str(Path(__file__).parents[1] / "presa"))
from one_run import fit

LENGTH, OBSERVATIONS, ACTIONS, BATCH, DROPOUT, RUNS = 64, 8, 2, 32, 0.1, 9


class Plain:
    """The loop to compare with, on the same arrays."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays, self.rng = arrays, np.random.default_rng(0)
        self.policy, self.reference = self.network(), self.network().eval()
        self.reference.load_state_dict(self.policy.state_dict())
        self.optimizer = torch.optim.Adam(self.policy.parameters(), 1e-4)
        self.nu = torch.tensor(1.0)
        self.weights = losses.safety_weights(torch.from_numpy(arrays["safe"]), 0.1, "unsafe-to-safe", "mean-one")

    @staticmethod
    def network() -> nn.Module:
        hidden = [
            nn.Linear(OBSERVATIONS, 256),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(256, 256),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
        ]
        return nn.Sequential(*hidden, nn.Linear(256, ACTIONS), nn.Tanh())

    def step(self) -> None:
        rows = self.rng.integers(len(self.arrays["observations"]), size=BATCH)
        batch = {name: torch.from_numpy(values[rows]) for name, values in self.arrays.items()}
        probability = log_probability(self.policy(batch["observations"]), batch["actions"])
        with torch.no_grad():
            reference = log_probability(self.reference(batch["observations"]), batch["actions"])
        score = losses.segment_score(probability, reference)
        preference = losses.preference_loss(0.2 * score, batch["preference"])
        z_ref = losses.reference_point(score, batch["safe"], "batch", self.nu)
        miss = 0.95 - losses.safety_probability(score, batch["safe"], z_ref)
        violation = losses.weighted_mean(miss, batch["safe"], self.weights, "all")
        loss = preference + self.nu * violation
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.nu = losses.nu_step(self.nu, violation, 0.005)

    def steps(self, count: int) -> Iterator[None]:
        while True:
            for _ in range(count):
                self.step()
            yield


def arrays_of(pairs: int) -> dict[str, np.ndarray]:
    """Made-up pairs."""
    rng = np.random.default_rng(0)
    return {
        "observations": rng.normal(size=(pairs, 2, LENGTH, OBSERVATIONS)).astype(np.float32),
        "actions": rng.uniform(-1, 1, size=(pairs, 2, LENGTH, ACTIONS)).astype(np.float32),
        "preference": rng.integers(2, size=pairs).astype(np.float32),
        "safe": rng.integers(2, size=(pairs, 2)).astype(np.float32),
    }


def begin(
    arrays: dict[str, np.ndarray], steps: int, runs: int, precision: str = "fp32"
) -> tuple[Any, list[Examples], list[Snapshot]]:
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    settings = {"steps": steps, "bc_steps": 0, "dropout": DROPOUT, "batch_size": BATCH, "precision": precision}
    algorithm = configure("presa", None, settings)
    labels = {name: tensors[name] for name in ("preference", "safe")}
    examples = Examples(tensors["observations"], tensors["actions"], labels, 1)
    starts = [initial_parameters(OBSERVATIONS, ACTIONS, (256, 256), seed) for seed in range(runs)]
    judged = [with_reference(examples, start) for start in starts]
    return algorithm, judged, [Snapshot(0, start, {}, algorithm.state(one)) for start, one in zip(starts, judged, strict=True)]


def seconds(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def against_plain(arrays: dict[str, np.ndarray], steps: int, repeats: int) -> None:
    turns = {"plain loop": Plain(arrays).steps(steps)}
    for precision in ("fp32", "bf16"):
        algorithm, (examples,), (start,) = begin(arrays, steps * (repeats + 1), 1, precision)
        turns[precision] = fit(algorithm, examples, start, 0, "main", steps)
    times = [{name: seconds(lambda turn=turn: next(turn)) for name, turn in turns.items()} for _ in range(repeats + 1)][1:]
    for name in turns:
        each = 1e3 * statistics.median(took[name] for took in times) / steps
        quicker = statistics.median(took["plain loop"] / took[name] for took in times)
        print(f"  a step: {name:<11}{each:6.1f} ms, {quicker:.2f} times as quick as the plain loop")


def nine(arrays: dict[str, np.ndarray], steps: int, repeats: int) -> None:
    algorithm, examples, starts = begin(arrays, steps * (repeats + 1), RUNS)
    seeds = list(range(RUNS))
    alone = [fit(algorithm, *run, "main", steps) for run in zip(examples, starts, seeds, strict=True)]
    many = fit_runs(algorithm, examples, starts, seeds, "main", steps)
    stack = fit_stack(algorithm, examples, starts, seeds, "main", steps)

    def one_by_one() -> None:
        for run in alone:
            next(run)

    def times_once(turn: int) -> tuple[float, ...]:
        order = [one_by_one, lambda: next(many), lambda: next(stack)]
        took = {index: seconds(order[index]) for index in np.roll(range(3), turn)}  # each is first in turn
        return tuple(took[index] for index in range(3))

    times = [times_once(turn) for turn in range(repeats + 1)][1:]
    together, stacked = (statistics.median(row[column] / row[0] for row in times) for column in (1, 2))
    print(f"  nine runs against nine times one: {together:.2f}, at most 1.0 is wanted; as one stack {stacked:.2f}")


def loading(pairs: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder, _ = build_dataset(Recipe(task=find_task("DroneCircle"), pairs=pairs), "recordings", Path(place) / "data")
        os.environ["PRESA_CACHE"] = f"{place}/cache"
        train = load_data(folder).train
        arrays = [train.observations.numpy(), train.actions.numpy()]
        for index, values in enumerate(arrays):
            values.tofile(f"{place}/{index}")

        def copy() -> list[torch.Tensor]:
            maps = [np.memmap(f"{place}/{index}", np.float32, "r", shape=one.shape) for index, one in enumerate(arrays)]
            return [torch.from_numpy(np.array(one)) for one in maps]

        kept: list[object] = []  # so that both fill fresh memory, as a training does
        turns = (lambda: kept.append(load_data(folder)), lambda: kept.append(copy()))
        times = [tuple(seconds(turn) for turn in turns) for _ in range(repeats + 1)][1:]
        size = sum(values.nbytes for values in arrays) / 1e6
        one, other = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(ours / plain for ours, plain in times)
        print(f"loading {size:.0f} MB: ours {one:.0f} ms, np.memmap {other:.0f} ms; ratio {ratio:.1f}, at most 2 is wanted")


class Clock:
    """Time in functions, without the time in those that they call."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.inside: list[float] = []

    def watch(self, owner: Any, name: str, label: str) -> Callable[[], None]:
        """Times a function of a module or class from now on; returns a function that undoes this."""
        function = getattr(owner, name)

        def timed(*values: Any, **named: Any) -> Any:
            self.inside.append(0.0)
            started = time.perf_counter()
            result = function(*values, **named)
            took = time.perf_counter() - started
            self.spent[label] = self.spent.get(label, 0.0) + took - self.inside.pop()
            if self.inside:
                self.inside[-1] += took
            return result

        setattr(owner, name, timed)
        return lambda: setattr(owner, name, function)


def where_time_goes(arrays: dict[str, np.ndarray], steps: int) -> None:
    algorithm, (examples,), (start,) = begin(arrays, 2 * steps, 1)
    run = fit(algorithm, examples, start, 0, "main", steps)
    next(run)
    clock = Clock()
    parts = (
        (BatchSampler, "batch", "drawing the batch"),
        (presa.fitting.fit._Stack, "batch", "gathering it"),
        (Backprop, "draw", "dropout masks"),
        (Backprop, "forward", "network, forward"),
        (Backprop, "backward", "network, backward"),
        (presa.fitting.fit, "run_losses", "loss, forward"),
        (torch.autograd, "grad", "loss, backward"),
        (Adam, "step", "Adam"),
        (Tally, "add", "numbers to report"),
    )
    undo = [clock.watch(*part) for part in parts]
    total = seconds(lambda: next(run))
    for back in undo:
        back()
    for label, spent in {**clock.spent, "the rest": total - sum(clock.spent.values())}.items():
        print(f"    {label:<20}{1e3 * spent / steps:8.2f} ms  {spent / total:5.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, os.cpu_count() or 1}))
    parser.add_argument("--steps", type=int, default=10, help="in each turn")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--pairs", type=int, default=2000)
    options = parser.parse_args()
    arrays = arrays_of(options.pairs)
    for threads in options.threads:
        torch.set_num_threads(threads)
        print(f"{threads} thread{'s' if threads > 1 else ''}")
        against_plain(arrays, options.steps, options.repeats)
        nine(arrays, max(1, options.steps // 2), options.repeats)
        where_time_goes(arrays, options.steps)
    loading(10_000, options.repeats)


if __name__ == "__main__":
    main()
