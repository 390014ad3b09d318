"""PointCircle1 driven by hand: slow and fast, within the boundaries and across them as often as a budget allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from safefeedback.plots.geometry import positions
from safefeedback.recorder.point import PACKAGES, along_circle, steer, within_budget
from safefeedback.recorder.script import Script, settings_in_turn
from safefeedback.tasks import Task

SPEEDS = (1.4, 1.1, 0.7, 0.3)  # metres a second
CARE = ((1.03, 0), (1.06, 0), (1.09, 0), (1.03, 30), (1.03, 90), (1.03, 150))  # bound in metres, costly steps an episode
NOISES = (0.0, 0.4)  # standard deviation of the noise added to every action
LIMIT = 1.125  # metres; |x| above it costs
NO_BOUND = 99.0


def units() -> list[dict[str, float]]:
    """The settings that an episode's `unit` indexes, noises innermost."""
    return [
        {"speed": speed, "bound": bound, "budget": budget, "noise": noise}
        for speed in SPEEDS
        for bound, budget in CARE
        for noise in NOISES
    ]


def drive(task: Task, setting: dict[str, float]) -> Callable[[np.ndarray], np.ndarray]:
    """observation [28] -> action [2], for one episode."""
    may_cost = within_budget(setting["budget"], task.horizon)

    def act(observation: np.ndarray) -> np.ndarray:
        outside = abs(positions("PointCircle1", observation)[0]) > LIMIT
        bound = NO_BOUND if may_cost(bool(outside)) else setting["bound"]
        return steer(observation, along_circle(observation, setting["speed"], bound))

    return act


SCRIPT = Script(
    play=settings_in_turn(units, drive),
    words="driven by a script, not by DSRL's policies: 4 speeds by 6 degrees of care for the boundaries by 2 strengths of "
    "noise in its actions (safefeedback.recorder.point)",
    units=units,
    version=1,
    episodes=480,
    packages=PACKAGES,
    deciding=PACKAGES[1:],
)
