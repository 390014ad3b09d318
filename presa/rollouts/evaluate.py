"""Rolls a policy out in the simulator and scores it by DSRL's normalised return and cost."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from presa.rollouts.play import checked, play
from presa.rollouts.processes import EpisodeProcess, borrowed
from safefeedback.errors import InputError
from safefeedback.imports import is_object
from safefeedback.parallel import cores
from safefeedback.randomness import stream
from safefeedback.simulators import can_simulate, make
from safefeedback.simulators.ceilings import ended_early
from safefeedback.tasks import Task
from safefeedback.values import to_python


def roll_out(
    policy: Any,
    task: Task,
    cost_limit: float,
    episodes: int = 20,
    seed: int = 0,
    processes: int | None = None,
    labels: dict[str, Any] | None = None,
    on_episode: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Plays episodes and normalises their returns and costs.

    Episode k starts from a seed made of (seed, k): the same numbers to the bit in any order and any number of processes.

    Args:
        policy: a run's folder, a policy file, `package.module:function` that returns a policy, or a policy, which plays in
            this process.
        task: to play.
        cost_limit: kappa.
        episodes: how many.
        seed: of the evaluation.
        processes: how many play at once; None for one a core, but no more than are worth starting.
        labels: joins every row, such as algorithm and training seed.
        on_episode: called with how many episodes are done, and of how many.

    Returns:
        {"rows": a dict an episode, "summary": means and what they were made with}.

    Raises:
        InputError: if the task cannot be simulated here, or the policy cannot act in it.
    """
    cost_limit, episodes, seed = to_python(cost_limit), to_python(episodes), to_python(seed)
    if episodes < 1:
        raise InputError(f"--episodes must be at least 1, not {episodes}")
    if not (math.isfinite(cost_limit) and cost_limit >= 0):
        raise InputError(f"--cost-limit must be 0 or a positive number, not {cost_limit}")
    if (reason := can_simulate(task)) is not None:
        raise InputError(reason)
    seeds = episode_seeds(seed, episodes)
    if isinstance(policy, str):
        played = play_episodes(policy, task, seeds, processes or default_processes(episodes), on_episode, cost_limit)
    else:
        played = play_here(policy, task, seeds, on_episode, cost_limit)
    tags = {"algorithm": None, "task": task.name, "cost_limit": cost_limit, "seed": None, **(labels or {})}
    rows = [{**tags, "episode": k, **row, **normalized(row, task, cost_limit)} for k, row in enumerate(played)]
    return {"rows": rows, "summary": {**tags, **summarize(rows, task, cost_limit), "evaluation_seed": seed}}


def episode_seeds(seed: int, episodes: int) -> list[int]:
    """Episode k's seed, below 2^31; it depends on (seed, k) alone."""
    return [int(stream(seed, f"evaluation-episode-{k}").bit_generator.random_raw() >> 33) for k in range(episodes)]


def normalized(row: dict[str, Any], task: Task, cost_limit: float) -> dict[str, float | None]:
    """(R - r_min) / (r_max - r_min), None where the task has no reference returns, and (C + eps) / (kappa + eps)."""
    score = None
    if task.reference_returns is not None:
        low, high = task.reference_returns
        score = (row["return"] - low) / (high - low)
    return {
        "normalized_return": score,
        "normalized_cost": (row["cost"] + epsilon(cost_limit)) / (cost_limit + epsilon(cost_limit)),
    }


def epsilon(cost_limit: float) -> float:
    """Keeps the normalised cost finite at a limit of 0."""
    return 1.0 if cost_limit == 0 else 0.0


def summarize(rows: list[dict[str, Any]], task: Task, cost_limit: float) -> dict[str, Any]:
    """Means and standard deviations over episodes, whether the mean cost keeps the limit, and what normalises."""
    summary: dict[str, Any] = {"episodes": len(rows)}
    for name in ("return", "cost", "length", "normalized_return", "normalized_cost"):
        values = [row[name] for row in rows]
        complete = None not in values
        summary[name] = float(np.mean(values)) if complete else None
        summary[f"{name}_std"] = float(np.std(values)) if complete else None
    return summary | {
        "ended_early": float(np.mean([ended_early(task, row["length"], row["return"]) for row in rows])),
        "horizon": task.horizon,
        "safe": summary["normalized_cost"] <= 1,
        "epsilon": epsilon(cost_limit),
        "reference_returns": None if task.reference_returns is None else list(task.reference_returns),
    }


def default_processes(episodes: int) -> int:
    """One a core this process may use, and at least two episodes for each."""
    return max(1, min(cores(), episodes // 2))


def play_episodes(
    policy: str,
    task: Task,
    seeds: list[int],
    processes: int,
    on_episode: Callable[[int, int], None] = lambda done, total: None,
    cost_limit: float | None = None,
) -> list[dict[str, Any]]:
    """Plays one episode for each seed, distributed over the processes; the results are in the order of the seeds.

    The processes stay, with what they have imported and their environment, for whatever is played next.

    Raises:
        InputError: what a process says is wrong, or what it last printed if it died.
    """
    todo: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    for job in enumerate(seeds):
        todo.put(job)
    results: list[dict[str, Any]] = [{}] * len(seeds)
    done, stop = queue.SimpleQueue(), threading.Event()  # type: ignore[var-annotated]

    def work(player: EpisodeProcess) -> None:
        try:
            player.prepare(policy, task, cost_limit)
            while not stop.is_set():
                index, seed = todo.get_nowait()
                results[index] = player.play(seed)
                done.put(None)
        except queue.Empty:
            pass
        except Exception as error:  # whatever it is, the main thread must receive it
            done.put(error)

    with borrowed(processes, reusable(policy, task)) as players, ThreadPoolExecutor(processes) as threads:
        for player in players:
            threads.submit(work, player)
        try:
            for count in range(len(seeds)):
                if (error := done.get()) is not None:
                    raise error
                on_episode(count + 1, len(seeds))
        except BaseException:
            stop.set()
            for player in players:
                player.process.kill()
            raise
    return results


def reusable(policy: str, task: Task) -> bool:
    """Whether a process can play others afterwards: not where it imports code of the user's, which may be edited meanwhile."""
    return not is_object(policy) and task.own_module is None


def play_here(
    policy: Any, task: Task, seeds: list[int], on_episode: Callable[[int, int], None], cost_limit: float
) -> list[dict[str, Any]]:
    """Plays one episode a seed with a policy of this process, one after another."""
    policy, env = checked(policy, "the policy", cost_limit), make(task)
    played = []
    for done, seed in enumerate(seeds, 1):
        played.append(play(env, policy, seed))
        on_episode(done, len(seeds))
    env.close()
    return played
