"""The domain SafetyGym: the navigation and velocity tasks of safety-gymnasium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from safefeedback.simulators.repeatable import make_registered, repeatable
from safefeedback.tasks import Task

if TYPE_CHECKING:
    import gymnasium

PACKAGES = ("gymnasium", "safety_gymnasium")
INSTALL = "uv sync --extra sim (Python 3.10 or 3.11)"


def make(task: Task) -> gymnasium.Env:
    """The task's environment; `reset(seed=n)` starts the same episode."""
    from safety_gymnasium.assets.color import COLOR  # importing the package registers its environments with gymnasium

    # Its dataclasses use these arrays as defaults, and since Python 3.11 a default must be hashable. An array
    # that hashes by identity is one; doing it again changes nothing.
    for name, colour in COLOR.items():
        COLOR[name] = colour.view(_HashableArray)
    return repeatable(make_registered(task, (task.env_id or "").replace("Offline", "Safety", 1)))


class _HashableArray(np.ndarray):
    __hash__ = object.__hash__  # type: ignore[assignment]
