"""Custom environments: registered with gymnasium, or returned by a function.

Each is checked when it is made: the spaces, the cost in `info`, and that equal resets and actions give equal episodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.imports import failures_of, install_package_command, load_module, load_object
from safefeedback.simulators.repeatable import make_registered, repeatable
from safefeedback.tasks import Task

if TYPE_CHECKING:
    import gymnasium

PACKAGES = ("gymnasium",)
INSTALL = install_package_command("gymnasium>=0.28")
TRIAL_STEPS = 200
_tried: set[Task] = set()  # what was found to repeat in this process


def make(task: Task) -> gymnasium.Env:
    """The task's environment; `reset(seed=n)` starts the same episode, and `info["cost"]` is the cost of a step.

    An observation space of parts (Dict, Tuple) is flattened in gymnasium's order.

    Raises:
        InputError: if there is no such environment, its code fails, or it lacks what `safefeedback.simulators` promises; the
            latter two also when it is reset or steps.
    """
    with failures_of(_code(task), everywhere=True):
        env = repeatable(_checked(_flat(_given(task) if task.env is not None else _registered(task), task), task))
        if task not in _tried:
            _check_repeats(env, task)
            _tried.add(task)
    return env


def _code(task: Task) -> str:
    """By what name messages know the user's code."""
    return task.env or task.env_module or task.env_id or ""


def _flat(env: gymnasium.Env, task: Task) -> gymnasium.Env:
    """The environment with observations [O], and actions in [-1, 1]."""
    from gymnasium import spaces
    from gymnasium.wrappers import FlattenObservation

    if not isinstance(env.observation_space, spaces.Box) or len(env.observation_space.shape) != 1:
        try:
            env = FlattenObservation(env)
        except NotImplementedError:
            raise InputError(f"task {task.name}: observations must be numbers, not {env.observation_space}") from None
    actions = env.action_space
    if not isinstance(actions, spaces.Box) or (actions.low != -1).any() or (actions.high != 1).any():
        hint = "wrap it in gymnasium.wrappers.RescaleAction(env, -1, 1)" if isinstance(actions, spaces.Box) else ""
        raise InputError(f"task {task.name}: actions must lie in Box(-1, 1), not {actions}{hint and f': {hint}'}")
    return env


def _registered(task: Task) -> gymnasium.Env:
    if task.own_module is not None:
        load_module(task.own_module)
    return make_registered(task, task.env_id or "")


def _given(task: Task) -> gymnasium.Env:
    import gymnasium

    function = load_object(task.env or "")
    if not callable(function):
        raise InputError(f"task {task.name}: {task.env} must be a class or function, not a {type(function).__name__}")
    env = function()
    if not isinstance(env, gymnasium.Env):
        raise InputError(f"task {task.name}: {task.env} must return a gymnasium.Env, not {type(env).__name__}")
    return gymnasium.wrappers.TimeLimit(env, task.horizon)


def _checked(env: gymnasium.Env, task: Task) -> gymnasium.Env:
    """The environment with the cost in `info["cost"]`, whose every observation and reward is checked."""
    import gymnasium

    shape, code = env.observation_space.shape, _code(task)

    class Checked(gymnasium.Wrapper):
        """Says in one line what fails, or is not what the environment promises."""

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
            with failures_of(code, everywhere=True):
                observation, info = self.env.reset(seed=seed, options=options)
                self._check(observation, 0.0)
            return observation, info

        def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
            with failures_of(code, everywhere=True):
                observation, reward, terminated, truncated, info = self.env.step(action)
                self._check(observation, float(reward))
            return observation, float(reward), terminated, truncated, {**info, "cost": cost_of(info, task)}

        def _check(self, observation: np.ndarray, reward: float) -> None:
            if np.shape(observation) != shape:
                raise InputError(f"task {task.name}: an observation has shape {np.shape(observation)}, its space {shape}")
            if not (np.isfinite(observation).all() and np.isfinite(reward)):
                raise InputError(f"task {task.name}: an observation or reward is NaN or infinite")

    return Checked(env)


def cost_of(info: dict[str, Any], task: Task) -> float:
    """The value in `info` at the task's `cost_key`; dots lead into nested dicts.

    Raises:
        InputError: if there is nothing, or no number of 0 or more.
    """
    value: Any = info
    for word in (task.cost_key,) if task.cost_key in info else task.cost_key.split("."):
        if not isinstance(value, dict) or word not in value:
            known = ", ".join(map(str, value)) if isinstance(value, dict) else f"a {type(value).__name__} on the way there"
            raise InputError(f"task {task.name}: info has no '{task.cost_key}' (field cost_key); it has {known or 'nothing'}")
        value = value[word]
    number = np.asarray(value)
    if number.dtype.kind not in "fiub" or number.size != 1:
        raise InputError(f"task {task.name}: info['{task.cost_key}'] must be a number, not {type(value).__name__}")
    cost = float(number.reshape(()))
    if not np.isfinite(cost) or cost < 0:
        raise InputError(f"task {task.name}: info['{task.cost_key}'] must be 0 or more, not {cost:g}")
    return cost


def _check_repeats(env: gymnasium.Env, task: Task) -> None:
    """Plays an episode, or its first TRIAL_STEPS steps, twice from one seed.

    Raises:
        InputError: if the two are not equal.
    """
    first, again = _play_trial(env, task), _play_trial(env, task)
    for step, (seen, other) in enumerate(zip(first, again, strict=False)):
        if not np.array_equal(seen, other):
            raise InputError(
                f"task {task.name}: two episodes from reset(seed=0) with equal actions differ "
                f"{f'after {step} steps' if step else 'from the start'}: all chance must come from self.np_random, which "
                "super().reset(seed=seed) sets"
            )
    if len(first) != len(again):
        raise InputError(f"task {task.name}: two episodes from reset(seed=0) with equal actions differ in length")


def _play_trial(env: gymnasium.Env, task: Task) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    observations = [np.asarray(env.reset(seed=0)[0], np.float64)]
    over = False
    while not over and len(observations) <= TRIAL_STEPS:
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(
            np.concatenate([np.asarray(observation, np.float64), [reward, info["cost"], terminated, truncated]])
        )
        over = terminated or truncated
    return observations
