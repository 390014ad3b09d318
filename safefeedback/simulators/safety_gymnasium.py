"""The domain SafetyGym: the navigation and velocity tasks of safety-gymnasium."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from safefeedback.errors import InputError
from safefeedback.imports import install_command
from safefeedback.simulators.repeatable import make_registered, repeatable
from safefeedback.tasks import Task

if TYPE_CHECKING:
    import gymnasium

TRY_ANOTHER = "unset it, or set it to egl, osmesa or glfw, whichever this machine has"
PACKAGES = ("gymnasium", "safety_gymnasium")
EXTRA = "sim"
INSTALL = install_command(EXTRA)
DISTRIBUTIONS = ("safety-gymnasium", "mujoco")
TRIAL_TASK = "SwimmerVelocity"


def make(task: Task) -> gymnasium.Env:
    """The task's environment; `reset(seed=n)` starts the same episode.

    Raises:
        InputError: if MUJOCO_GL, which MuJoCo reads where it is imported, names what this machine has not.
    """
    try:
        import mujoco  # noqa: F401 - safety_gymnasium imports it later, where its failure would be a traceback
    except Exception as error:  # each platform's OpenGL fails in its own way
        if "MUJOCO_GL" not in os.environ:
            raise
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"MuJoCo cannot start with MUJOCO_GL={os.environ['MUJOCO_GL']} ({why}): {TRY_ANOTHER}") from None
    from safety_gymnasium.assets.color import COLOR  # importing the package registers its environments with gymnasium

    # Its dataclasses use these arrays as defaults, and since Python 3.11 a default must be hashable. An array
    # that hashes by identity is one; doing it again changes nothing.
    for name, colour in COLOR.items():
        COLOR[name] = colour.view(_HashableArray)
    return repeatable(make_registered(task, (task.env_id or "").replace("Offline", "Safety", 1)))


class _HashableArray(np.ndarray):
    __hash__ = object.__hash__  # type: ignore[assignment]
