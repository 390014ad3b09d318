"""PointGoal1 driven by hand: slow and fast, round the hazards and through them as often as a budget allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from safefeedback.recorder.point import PACKAGES, in_hazard, steer, to_goal, within_budget
from safefeedback.recorder.script import Script, settings_in_turn
from safefeedback.tasks import Task

SPEEDS = (1.3, 0.9, 0.5, 0.15)  # metres a second
BUDGETS = (0, 12, 30, 55, 90)  # costly steps an episode
NOISES = (0.0, 0.4)  # standard deviation of the noise added to every action
ROOM = 0.1  # metres to leave beside a hazard's edge
PULL = 1.5  # how strongly hazards draw it as long as there is a budget left


def units() -> list[dict[str, float]]:
    """The settings that an episode's `unit` indexes, noises innermost."""
    return [{"speed": speed, "budget": budget, "noise": noise} for speed in SPEEDS for budget in BUDGETS for noise in NOISES]


def drive(task: Task, setting: dict[str, float]) -> Callable[[np.ndarray], np.ndarray]:
    """observation [60] -> action [2], for one episode."""
    may_cost = within_budget(setting["budget"], task.horizon)

    def act(observation: np.ndarray) -> np.ndarray:
        careless = may_cost(in_hazard(observation))
        room, pull = (None, PULL) if careless else (ROOM, 0.0)
        return steer(observation, to_goal(observation, setting["speed"], room, pull))

    return act


SCRIPT = Script(
    play=settings_in_turn(units, drive),
    words="driven by a script, not by DSRL's policies: 4 speeds by 5 budgets of costly steps by 2 strengths of noise in its "
    "actions (safefeedback.recorder.point)",
    units=units,
    version=1,
    episodes=400,
    packages=PACKAGES,
    deciding=PACKAGES[1:],
)
