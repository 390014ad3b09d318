"""How fast episodes are played for an evaluation, against a bare loop in one process (a script, no test).

    python tests/benchmarks/evaluate.py [--task TASK ...] [--episodes N] [--processes P]

The bare loop makes the environment and plays the same episodes by the same policy, and does nothing else; its imports are
not counted. The evaluator's time is all of it: starting processes, their imports, making environments, playing.
Aim: at least 0.8 of the bare loop times the processes. That needs as many idle cores; on a busy machine look at the ratio of
processor time, which is what would be reached with a core for each process.
"""

from __future__ import annotations

import argparse
import os
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

from presa.rollouts.evaluate import default_processes, episode_seeds, play_episodes  # noqa: E402
from presa.rollouts.policy import load  # noqa: E402
from safefeedback.simulators import make  # noqa: E402
from safefeedback.tasks import Task, find_task  # noqa: E402


def write_policy(path: Path, task: Task) -> None:
    """A policy of the usual size with random weights."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    tensors = {}
    for layer, (wide_in, wide_out) in enumerate(((task.observation_dim, 256), (256, 256), (256, task.action_dim))):
        tensors[f"weight_{layer}"] = rng.normal(size=(wide_in, wide_out)).astype(np.float32) / np.float32(wide_in**0.5)
        tensors[f"bias_{layer}"] = np.zeros(wide_out, np.float32)
    save_file(tensors, path, {"presa": "{}"})


def bare(policy_file: Path, task: Task, seeds: list[int]) -> list[float]:
    """The least that gives the same returns."""
    policy, env = load(policy_file), make(task)
    returns = []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            action = policy.act(observation[None])[0]
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    return returns


def processor_seconds() -> float:
    """Processor time of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs="+", default=["BallCircle", "DroneRun", "CarCircle"])
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--processes", type=int)
    options = parser.parse_args()
    processes = options.processes or default_processes(options.episodes)
    for name in options.task:
        task, seeds = find_task(name), episode_seeds(0, options.episodes)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "policy.safetensors"
            write_policy(file, task)
            make(task).close()  # imports
            before, started = processor_seconds(), time.perf_counter()
            expected = bare(file, task, seeds)
            alone, alone_cpu = len(seeds) / (time.perf_counter() - started), processor_seconds() - before
            before, started = processor_seconds(), time.perf_counter()
            rows = play_episodes(str(file), task, seeds, processes)
            spread, spread_cpu = len(seeds) / (time.perf_counter() - started), processor_seconds() - before
        assert [row["return"] for row in rows] == expected, "the evaluator and the bare loop played different episodes"
        ratio, by_time = spread / (alone * processes), alone_cpu / spread_cpu
        print(
            f"{name:<12} bare {alone:6.1f} episodes/s; evaluator, {processes} processes {spread:6.1f}; "
            f"{ratio:.2f} of the bare loop times the processes, {by_time:.2f} by processor time"
        )


if __name__ == "__main__":
    main()
