"""Processor time of episodes that are played for an evaluation or recorded, beside bare loops over the same steps.

    python tests/benchmarks/evaluate.py [--task TASK ...] [--episodes N]

A task of each simulator: Bullet, MuJoCo, MetaDrive. The bare loop resets the environment, asks the policy, steps, and sums up
rewards; it does nothing else. Against it:

    evaluation    `play_episodes` in one process that has played another policy of the task before, as in a study
    recording     a collection's episodes by a script (`play_out`), and by PPO (its recorder around the environment)

Aim: at least 0.9 of the bare loop in each. What the first evaluation of a process costs beside that, its imports and the making
of the environment, is told as well.
"""

from __future__ import annotations

import os

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from measuring import environment, in_turn, ratio, told  # noqa: E402

from presa.rollouts import processes  # noqa: E402
from presa.rollouts.evaluate import episode_seeds, play_episodes  # noqa: E402
from presa.rollouts.policy import load  # noqa: E402
from safefeedback.recorder.script import play_out  # noqa: E402
from safefeedback.simulators import can_simulate, make  # noqa: E402
from safefeedback.tasks import Task, find_task  # noqa: E402

TASKS = {"BallCircle": 8, "SwimmerVelocity": 4, "easysparse": 4}  # and how many episodes


def write_policy(path: Path, task: Task) -> None:
    """A policy of the usual size with random weights."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    tensors = {}
    for layer, (wide_in, wide_out) in enumerate(((task.observation_dim, 256), (256, 256), (256, task.action_dim))):
        tensors[f"weight_{layer}"] = rng.normal(size=(wide_in, wide_out)).astype(np.float32) / np.float32(wide_in**0.5)
        tensors[f"bias_{layer}"] = np.zeros(wide_out, np.float32)
    save_file(tensors, path, {"presa": "{}"})


def bare(env: Any, act: Callable[[np.ndarray], np.ndarray], seeds: list[int]) -> list[float]:
    """The least that gives the same returns."""
    returns = []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(act(observation))
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    return returns


def processor_seconds() -> float:
    """Processor time of this process and of the players that wait."""
    ticks = 0
    for _, player in processes._waiting:
        fields = Path(f"/proc/{player.process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def took(do: Callable[[], object]) -> float:
    before = processor_seconds()
    do()
    return processor_seconds() - before


def recorded(task: Task, act: Callable[[np.ndarray], np.ndarray], seeds: list[int]) -> Callable[[], list[float]] | None:
    """The same episodes under the recorder that PPO learns through; None where it cannot be."""
    try:
        from safefeedback.recorder.ppo_lagrangian import Price, _recorder
    except ImportError:
        return None
    ended: list[Any] = []
    env = _recorder(task, Price(25.0, task.horizon, 0.0, 0.0), np.random.default_rng(0), ended.append)
    return lambda: bare(env, act, seeds)


def ratios(names: list[str], repeats: int, episodes: int | None = None) -> list[str]:
    """Lines for each task that can be simulated here."""
    lines: list[str] = []
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.update(environment())  # of the processes that play
    for name in names:
        task = find_task(name)
        if (reason := can_simulate(task)) is not None:
            lines.append(f"{name}: skipped, {reason}")
            continue
        seeds = episode_seeds(0, episodes or TASKS.get(name, 4))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "policy.safetensors"
            write_policy(file, task)
            policy = load(file)
            env = make(task)

            def act(observation: np.ndarray, policy: Any = policy) -> np.ndarray:
                return policy.act(np.asarray(observation, np.float32)[None])[0]

            def bare_loop(env: Any = env, act: Any = act, seeds: Any = seeds) -> object:
                return bare(env, act, seeds)

            def evaluated(file: Path = file, task: Task = task, seeds: Any = seeds) -> object:
                return play_episodes(str(file), task, seeds, 1)

            def scripted(env: Any = env, act: Any = act, seeds: Any = seeds) -> object:
                return [play_out(env, env.reset(seed=seed)[0], act, seed, 0) for seed in seeds]

            evaluated()  # compiles modules
            processes._close_waiting()
            processes._waiting.clear()
            rows: Any = evaluated()
            start = processor_seconds() - time.process_time()  # all that the player has used
            expected: Any = bare_loop()
            assert [row["return"] for row in rows] == expected, "the evaluator and the bare loop played different episodes"
            turns = {"evaluation, process kept": evaluated, "recording by a script": scripted}
            if task.domain != "MetaDrive" and (ppo := recorded(task, act, seeds)) is not None:
                turns["recording by PPO"] = ppo
            loop, *others = in_turn(repeats, *(lambda do=do: took(do) for do in (bare_loop, *turns.values())))
            for what, times in zip(turns, others, strict=True):
                lines.append(told(f"{name} ({task.domain}), {what}, against a bare loop", ratio(loop, times), 0.9, least=True))
            first = start - sorted(others[0])[repeats // 2]
            lines.append(f"    a first evaluation takes {first:.1f} s of processor time more, for imports and the environment")
            env.close()
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", nargs="+", default=list(TASKS))
    parser.add_argument("--episodes", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(*ratios(options.task, options.repeats, options.episodes), sep="\n")


if __name__ == "__main__":
    main()
