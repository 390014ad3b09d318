"""Presets that collect whole domains in one command: a plan for each task.

`full` is about DSRL's size and spread for the eight Bullet tasks: as many episodes as the benchmark's file holds, or 1,000,
from three policies, of which two aim at costs of 40 and 10 and one has no limit. AntRun and DroneCircle begin from the
recordings that are shipped, which were themselves warm-started from DSRL's; AntCircle is walked by its script.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from safefeedback.errors import InputError
from safefeedback.tasks import Task


@dataclass(frozen=True)
class Plan:
    """The collection plan of one task.

    Attributes:
        episodes: in the file, at most.
        steps: of each policy; None where a script plays.
        warm: whether the shipped recordings are cloned first.
    """

    episodes: int
    steps: int | None = None
    warm: bool = False


PRESETS: dict[str, dict[str, Plan]] = {
    "full": {
        "BallRun": Plan(1000, 200_000),
        "CarRun": Plan(1000, 150_000),
        "DroneRun": Plan(1990, 300_000),
        "AntRun": Plan(1816, 200_000, warm=True),
        "BallCircle": Plan(1000, 300_000),
        "CarCircle": Plan(1450, 300_000),
        "DroneCircle": Plan(1923, 300_000, warm=True),
        "AntCircle": Plan(5728),
    }
}


def find_plan(preset: str, task: Task) -> Plan:
    """The preset's plan of the task.

    Raises:
        InputError: if there is no such preset, or the task is none of its.
    """
    if preset not in PRESETS:
        raise InputError(f"there is no preset '{preset}': choose from {', '.join(PRESETS)}")
    if task.name not in PRESETS[preset]:
        raise InputError(f"the preset {preset} is for {', '.join(PRESETS[preset])}, not for {task.name}")
    return PRESETS[preset][task.name]


def options(plan: Plan, warm_start: Any) -> dict[str, Any]:
    """The plan as options of `safefeedback collect`, those that it leaves open left out."""
    settings = {"episodes": plan.episodes, "steps": plan.steps, "warm_start": warm_start if plan.warm else None}
    return {name: value for name, value in settings.items() if value is not None}
