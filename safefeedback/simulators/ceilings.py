"""The highest possible score where it is not 1: MetaDrive's tasks are evaluated on one map, and driving fast costs.

Scores are returns normalised by DSRL's recordings, which are of ten maps; evaluation is on the road's first, and arriving there
earns the same however it is driven, within a few parts in a hundred for the lane. *Measured* with MetaDrive's own PPO expert
and with slow drivers that keep their lane (cards/recordings.md).
"""

from __future__ import annotations

from safefeedback.tasks import Task

ARRIVING = {"easy": 425.5, "medium": 262.5, "hard": 306.0}  # return on the first map of each road
PER_METRE = 1.045  # return: 1 for the way, and 0.1 of speed / 80 km/h for each 0.1 s
ARRIVED = 0.98  # of what arriving earns: cars keep their lanes differently well
FREE_SPEED = 10.0  # km/h; each km/h above it costs 0.01 a step


def ceiling(task: Task, cost_limit: float | None = None) -> float | None:
    """The approximate highest score of any policy; None for tasks where no bound below DSRL's best return is known.

    Args:
        cost_limit: of the episode's cost. Within T steps and a cost of kappa a car gets (10 T + 100 kappa) / 36 metres far,
            since it may cover 10 km/h * T * 0.1 s at no cost, and each metre beyond costs 0.36. None is no limit.
    """
    reached = _arriving(task)
    if reached is None or task.reference_returns is None:
        return None
    if cost_limit is not None:
        reached = min(reached, PER_METRE * (FREE_SPEED * task.horizon + 100 * cost_limit) / 36)
    low, high = task.reference_returns
    return (reached - low) / (high - low)


def ended_early(task: Task, length: int, episode_return: float) -> bool:
    """Whether an episode ended before the task's time limit with the task undone; arriving, which ends MetaDrive's, does it."""
    reached = _arriving(task)
    return length < task.horizon and (reached is None or episode_return < ARRIVED * reached)


def _arriving(task: Task) -> float | None:
    """The return of arriving on the map of evaluations; None outside MetaDrive."""
    if task.domain != "MetaDrive" or task.own_module is not None:
        return None
    return next((reached for road, reached in ARRIVING.items() if task.name.startswith(road)), None)


def describe_ceiling(task: Task, cost_limit: float) -> str | None:
    """A sentence about it, or None."""
    most, safe = ceiling(task), ceiling(task, cost_limit)
    if most is None or safe is None:
        return None
    kept = (
        f", and about {safe:.2f} within a cost of {cost_limit:g}, since speed above 10 km/h costs"
        if safe < most - 0.005
        else ""
    )
    return (
        f"Evaluation is on one map, on which arriving earns a normalised return of about {most:.2f}: that is the most that any "
        f"policy can score{kept}."
    )
