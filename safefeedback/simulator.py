"""The simulator of a task as a gymnasium environment whose episodes can be repeated bit for bit.

Two simulators are known: bullet-safety-gym (domain "BulletGym") and safety-gymnasium (domain "SafetyGym"). DSRL's own
ids (`OfflineBallCircle-v0`) wrap the same classes with the same arguments and time limit, but importing dsrl makes a
folder in the user's home; so the simulators' own ids are used here (tests/test_simulator.py holds the two equal).

This module imports neither gymnasium nor a simulator until `make` is called.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.tasks import Task

if TYPE_CHECKING:
    import gymnasium

PACKAGES = {"BulletGym": "bullet_safety_gym", "SafetyGym": "safety_gymnasium"}
INSTALL = "uv sync --extra sim (Python 3.10 or 3.11)"


def can_simulate(task: Task) -> str | None:
    """Why the task cannot be simulated here, as one line, or None if it can. Imports nothing."""
    if task.env_id is None:
        return f"task {task.name} names no simulator (field env_id)"
    if task.domain not in PACKAGES:
        known = " and ".join(PACKAGES)
        return f"task {task.name} belongs to {task.domain}, whose simulator is not supported; {known} are"
    for package in ("gymnasium", PACKAGES[task.domain]):
        if find_spec(package) is None:
            return f"task {task.name} needs the package {package}: {INSTALL}"
    return None


def make(task: Task) -> gymnasium.Env:
    """The task's environment; `reset(seed=n)` starts the same episode, whatever was played before it.

    Steps return gymnasium's five values with the cost in `info["cost"]`; `terminated` is a true end (a fall), `truncated`
    the time limit of `task.horizon` steps. Observations are float64 as the simulator gives them, actions float32 [A].

    Raises:
        InputError: if the task has no simulator, a package is missing, or the simulator's shapes are not the task's.
    """
    reason = can_simulate(task)
    if reason is not None:
        raise InputError(reason)
    with quiet(), _own_random_state():
        import gymnasium

        _register(task.domain)
        name = (task.env_id or "").replace("Offline", "Safety", 1)
        try:
            env = gymnasium.make(name, max_episode_steps=task.horizon, disable_env_checker=True)
        except gymnasium.error.Error as error:
            raise InputError(f"task {task.name}: the simulator has no environment {name}: {error}") from None
    _check_shapes(task, env)
    return _repeatable(env, bullet=task.domain == "BulletGym")


def _check_shapes(task: Task, env: gymnasium.Env) -> None:
    found = (env.observation_space.shape, env.action_space.shape)
    wanted = ((task.observation_dim,), (task.action_dim,))
    if found != wanted:
        env.close()
        raise InputError(f"task {task.name}: observation and action shapes are {wanted}, the simulator's are {found}")


def _register(domain: str) -> None:
    """Import the simulator, which registers its environments with gymnasium."""
    os.environ.setdefault("DSRL_SUPPRESS_IMPORT_ERROR", "1")  # should anything import dsrl later, it stays silent
    if domain == "BulletGym":
        import bullet_safety_gym  # noqa: F401
    else:
        from safety_gymnasium.assets.color import COLOR

        # Its dataclasses use these arrays as defaults, and since Python 3.11 a default must be hashable. An array
        # that hashes by identity is one; doing it again changes nothing.
        for name, colour in COLOR.items():
            COLOR[name] = colour.view(_HashableArray)


class _HashableArray(np.ndarray):
    __hash__ = object.__hash__  # type: ignore[assignment]


def _repeatable(env: gymnasium.Env, bullet: bool) -> gymnasium.Env:
    import gymnasium

    class Repeatable(gymnasium.Wrapper):
        """Makes `reset(seed=)` exact; without a seed the environment draws one from its own generator."""

        def __init__(self, env: gymnasium.Env) -> None:
            super().__init__(env)
            self._seeds = np.random.default_rng()
            self._start = _BulletStart(env.unwrapped) if bullet else None

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
            if seed is None:
                seed = int(self._seeds.integers(2**31))
            else:
                self._seeds = np.random.default_rng(seed)
            with _own_random_state():
                np.random.seed(seed)  # the Bullet tasks draw from the global generator
                if self._start is not None:
                    self._start.restore()
                return self.env.reset(seed=seed, options=options)

    return Repeatable(env)


class _BulletStart:
    """The state of a bullet-safety-gym environment just after it was made, to return to before each episode.

    The package saves the world inside its FIRST reset and returns to that, so the first episode's random pose leaks into
    later ones, and so do joint motors, which Bullet's saved states leave out. Returning to the state before any reset,
    with the motors as the constructors leave them, gives bit for bit what a new environment gives, in 1 ms instead of
    13-350 (tests/test_simulator.py compares the two for all eight tasks).
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self.world = env.bc.saveState()
        self.attributes = [(owner, _plain_attributes(owner)) for owner in (env.agent, env.task)]

    def restore(self) -> None:
        env = self.env
        env.bc.restoreState(self.world)
        if env.stored_state_id >= 0:  # the package's own snapshot, which the coming reset takes anew
            env.bc.removeState(env.stored_state_id)
            env.stored_state_id = -1
        for owner, attributes in self.attributes:
            for name, value in attributes.items():
                setattr(owner, name, value.copy() if isinstance(value, np.ndarray) else value)
        for joint in env.agent.joint_list:
            joint.init_motor()
        if type(env.agent).__name__ == "RaceCar":  # its constructor sets the motors a second time
            for joint in env.agent.joint_list:
                env.bc.setJointMotorControl2(env.agent.body_id, joint.index, env.bc.VELOCITY_CONTROL, targetVelocity=0, force=0)


def _plain_attributes(owner: Any) -> dict[str, Any]:
    """Copies of the numbers and arrays an object holds, by name."""
    kinds = (np.ndarray, float, int, bool, type(None))
    return {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in vars(owner).items()
        if isinstance(value, kinds)
    }


@contextmanager
def _own_random_state() -> Any:
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
