"""Scripted behaviour for collections, instead of trained policies.

One line of SCRIPTS for each domain or task that is recorded so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from safefeedback.recorder.recording import Episode
from safefeedback.simulators import make
from safefeedback.tasks import Task

SCRIPTS = {  # a task or its domain -> the module that holds its SCRIPT
    "MetaDrive": "safefeedback.recorder.driver",
    "AntCircle": "safefeedback.recorder.walker",
    "PointCircle1": "safefeedback.recorder.point_circle",
    "PointGoal1": "safefeedback.recorder.point_goal",
}
REPLAY = {"replay": "episode_seeds[e]: reset(seed=) of a new environment from safefeedback.simulators.make, then its actions"}


@dataclass(frozen=True)
class Script:
    """What is recorded.

    Attributes:
        play: (task, seed of the collection, index) -> episode `index`, which depends on nothing else.
        words: its description in the files, a short one before a colon; `units` is what an episode's `unit` counts.
        version: to be raised whenever the same settings give other episodes.
        episodes: the size of a full collection.
        packages: whose versions are stored in the files.
        deciding: packages whose versions determine an episode.
        trainable: whether PPO may be trained in the task as well, from recordings to begin with.
        facts: further attributes of the files; by default how an episode is replayed.
    """

    play: Callable[[Task, int, int], Episode]
    words: str
    units: Callable[[], list[dict[str, Any]]]
    version: int
    episodes: int
    packages: tuple[str, ...]
    deciding: tuple[str, ...]
    trainable: bool = True
    facts: dict[str, str] = field(default_factory=REPLAY.copy)


def play_out(env: Any, observation: np.ndarray, act: Callable[[np.ndarray], np.ndarray], seed: int, unit: int) -> Episode:
    """The whole episode that begins with an observation, as `act` (observation [O] -> action [A]) plays it."""
    observations, actions, rewards, costs, over = [observation], [], [], [], False
    while not over:
        action = act(observation).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(reward)
        costs.append(info["cost"])
        over = terminated or truncated
    return Episode(
        np.array(observations, np.float32),
        np.array(actions, np.float32),
        np.array(rewards, np.float32),
        np.array(costs, np.float32),
        terminal=bool(terminated),
        seed=seed,
        unit=unit,
    )


def settings_in_turn(
    units: Callable[[], list[dict[str, float]]],
    behave: Callable[[Task, dict[str, float]], Callable[[np.ndarray], np.ndarray]],
) -> Callable[[Task, int, int], Episode]:
    """The `play` of a script that uses its settings in turn.

    Args:
        units: returns the settings, each with `noise`, the standard deviation of what is added to every action.
        behave: (task, setting) -> what turns observations [O] into actions [A] in one episode.
    """

    def play(task: Task, collection: int, index: int) -> Episode:
        settings = units()
        unit = index % len(settings)
        seed = int(np.random.default_rng([collection, index]).integers(2**31))
        rng = np.random.default_rng([seed, 1])
        chosen = behave(task, settings[unit])
        env = _environment(task)
        first, _ = env.reset(seed=seed)

        def act(observation: np.ndarray) -> np.ndarray:
            noise = settings[unit]["noise"] * rng.standard_normal(env.action_space.shape)
            return np.clip(chosen(observation) + noise, -1, 1)

        return play_out(env, first, act, seed, unit)

    return play


@lru_cache(maxsize=1)
def _environment(task: Task) -> Any:
    """The environment of a collection; `make` guarantees that an episode does not depend on earlier ones.

    A new one for each episode would double the time of SafetyGym's, which build their world twice at first.
    """
    return make(task)


def find_script(task: Task) -> Script | None:
    """The script that the task is recorded by, or None where policies learn it."""
    module = None if task.own_module is not None else SCRIPTS.get(task.name) or SCRIPTS.get(task.domain)
    return import_module(module).SCRIPT if module is not None else None
