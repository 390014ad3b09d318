"""A task -> its simulator as a gymnasium environment whose episodes can be repeated.

The same seed and actions give the same episode, bit for bit on one machine; on another processor, observations and rewards
within 1e-6, costs, length and ending equal (measured: cards/recordings.md).

Each domain is a module of this folder and a line of SIMULATORS; own.py serves every other domain. A module has `make(task)`,
PACKAGES (the modules that must be importable) and INSTALL (how to install them). For `safefeedback doctor`, a domain also has
DISTRIBUTIONS (the packages whose versions are shown), EXTRA (the extra of safefeedback that installs them) and TRIAL_TASK (a
task that is quick to make). DSRL's own ids (`OfflineBallCircle-v0`) wrap the same
classes with the same arguments and time limit, but importing dsrl makes a folder in the user's home; so the simulators'
own ids are used (tests/test_simulator.py holds the two equal).

Nothing here imports gymnasium or a simulator until `make` is called.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from safefeedback.errors import InputError
from safefeedback.imports import has_module
from safefeedback.simulators.repeatable import own_random_state, quiet
from safefeedback.tasks import Task

if TYPE_CHECKING:
    import gymnasium

__all__ = ["SIMULATORS", "can_simulate", "make", "quiet"]

SIMULATORS = {
    "BulletGym": "safefeedback.simulators.bullet",
    "SafetyGym": "safefeedback.simulators.safety_gymnasium",
    "MetaDrive": "safefeedback.simulators.metadrive",
}
OWN = "safefeedback.simulators.own"


def can_simulate(task: Task) -> str | None:
    """Why the task cannot be simulated here, as one line, or None if it can. Imports no simulator."""
    if task.env_id is None and task.env is None:
        return f"task {task.name} names no simulator (field env_id)"
    simulator = _simulator(task)
    for package in simulator.PACKAGES:
        if find_spec(package) is None:
            return f"task {task.name} needs the package {package}: {simulator.INSTALL}"
    module = task.own_module
    if module is not None and not has_module(module):
        return f"task {task.name} needs the module {module}, which is neither installed nor in the working folder"
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
    os.environ.setdefault("DSRL_SUPPRESS_IMPORT_ERROR", "1")  # silences dsrl, if anything imports it later
    with quiet(), own_random_state():
        env = _simulator(task).make(task)
    _check_shapes(task, env)
    return env


def _simulator(task: Task) -> ModuleType:
    """The module of the task's domain; a task that names code of its own has none of the known domains."""
    return import_module(OWN if task.own_module is not None else SIMULATORS.get(task.domain, OWN))


def _check_shapes(task: Task, env: gymnasium.Env) -> None:
    shapes = (env.observation_space.shape, env.action_space.shape)
    expected = ((task.observation_dim,), (task.action_dim,))
    if shapes != expected:
        env.close()
        raise InputError(f"task {task.name}: observation and action shapes are {expected}, the simulator's are {shapes}")
