"""Makes `reset(seed=)` of environments exact, and silences the banners of simulators."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.tasks import Task

if TYPE_CHECKING:
    import gymnasium


def make_registered(task: Task, name: str) -> gymnasium.Env:
    """The environment registered with gymnasium under `name`, cut at the task's horizon.

    Raises:
        InputError: if there is none.
    """
    import gymnasium

    try:
        return gymnasium.make(name, max_episode_steps=task.horizon, disable_env_checker=True)
    except gymnasium.error.Error as error:
        raise InputError(f"task {task.name}: the simulator has no environment {name}: {error}") from None


def repeatable(env: gymnasium.Env, before_reset: Callable[[], None] | None = None) -> gymnasium.Env:
    """`env` with an exact `reset(seed=)`; `before_reset` restores the simulator's state after an episode."""
    import gymnasium

    class Repeatable(gymnasium.Wrapper):
        """Makes `reset(seed=)` exact; without a seed the environment draws one from its own generator."""

        def __init__(self) -> None:
            super().__init__(env)
            self._seeds = np.random.default_rng()

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
            if seed is None:
                seed = int(self._seeds.integers(2**31))
            else:
                self._seeds = np.random.default_rng(seed)
            with own_random_state():
                np.random.seed(seed)  # the Bullet tasks draw from the global generator
                if before_reset is not None:
                    before_reset()
                return self.env.reset(seed=seed, options=options)

    return Repeatable()


@contextmanager
def own_random_state() -> Any:
    """Leave NumPy's global generator as it was found."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)


@contextmanager
def quiet() -> Any:
    """Drop the banners that the simulators print while they are imported, from Python and from C.

    Python's own streams are put back for that time: bullet-safety-gym looks up the C stream by the stream's name, and
    fails under pytest and in notebooks, whose streams have other names.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    with open(os.devnull, "w") as nowhere, redirect_stdout(sys.__stdout__), redirect_stderr(sys.__stderr__):
        for descriptor, _ in kept:
            os.dup2(nowhere.fileno(), descriptor)
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for descriptor, copy in kept:
                os.dup2(copy, descriptor)
                os.close(copy)
