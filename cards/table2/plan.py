"""What the table is made of: groups of runs, most valuable first. Frozen before any task but the development ones was run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEVELOPMENT = ("BallCircle", "CarRun", "DroneRun", "DroneCircle")  # their rollouts were seen while settings were chosen
TASKS = ("BallRun", "CarCircle", "AntRun", "AntCircle", *DEVELOPMENT)
SEEDS = (10, 11, 12, 13, 14)  # of the draw of pairs and of the training; none was used before
PAIRS, LENGTH = 10_000, 64


@dataclass(frozen=True)
class Group:
    """Runs of one algorithm on every task.

    Attributes:
        name: of its folder.
        algorithm, settings, preset: as in `presa train`.
        limits: of cost.
        seeds: of pairs and training alike.
        episodes: that judge each run.
        reads_truth: whether it is given recordings with true rewards and costs.
    """

    name: str
    algorithm: str
    settings: dict[str, Any] = field(default_factory=dict)
    preset: str | None = None
    limits: tuple[float, ...] = (20.0,)
    seeds: tuple[int, ...] = SEEDS
    episodes: int = 20
    reads_truth: bool = False


def weighted(weights: str, limits: tuple[float, ...] = (20.0,), episodes: int = 20) -> Group:
    """weighted-bc, or one of its controls."""
    name = f"weighted-bc-{weights}-" + "-".join(f"{limit:g}" for limit in limits)
    return Group(name, "weighted-bc", {"weights": weights}, None, limits, SEEDS, episodes, weights.startswith("true"))


OTHERS = (10.0, 40.0)
WEIGHTED = (
    weighted("feedback", episodes=100),
    weighted("true-sums"),
    weighted("none"),
    weighted("feedback", OTHERS, episodes=100),
    weighted("true-safe"),
    weighted("shuffled"),
    weighted("random"),
    weighted("safety"),
    weighted("preferences"),
    weighted("true-upper-fifth"),
    weighted("true-sums", OTHERS),
    weighted("true-safe", OTHERS),
)
PRESA = tuple(
    Group(f"presa-{cloning}", "presa", {"cloning": cloning}, "paper-bullet", seeds=(0,)) for cloning in ("steps", "segments")
)


FROM_FEEDBACK = (
    Group("trac-feedback", "trac-feedback", seeds=SEEDS[:3]),
    Group("presa-anchored", "presa", preset="anchored", seeds=SEEDS[:3]),
    Group("trac-20000", "trac", {"steps": 20_000, "bc_steps": 6_000}, seeds=SEEDS[:3], reads_truth=True),
    Group("caps-feedback", "caps-feedback", seeds=SEEDS[:3]),
    Group("caps-feedback-soft", "caps-feedback", {"temperature": 1.0}, seeds=SEEDS[:3]),
    Group("caps-feedback-mean", "caps-feedback", {"expectile": 0.5}, seeds=SEEDS[:3]),
)

LONGER = {"steps": 43_600, "bc_steps": 12_000}  # four times as long, the models as they are
ANT_CIRCLE = tuple(  # what helps on AntCircle, where weighted-bc fails: --only ant-circle --tasks AntCircle
    Group(f"ant-circle-{name}", "weighted-bc", {"model_steps": 1_800, **settings}, seeds=SEEDS[:3])
    for name, settings in {
        "longer": LONGER,
        "no-dropout": {**LONGER, "dropout": 0.0},
        "wide": {**LONGER, "hidden": (1024, 1024)},
        "weighted-only": {"steps": 43_600, "bc_steps": 0},
        "sharper": {**LONGER, "edge": 0.6, "temperature": 0.15},
    }.items()
)


def tiny(group: Group) -> Group:
    """The same in seconds, to see that everything runs."""
    steps = {"steps": 46, "bc_steps": 10, "hidden": (16, 16)}
    if group.algorithm == "caps-feedback":
        steps.pop("bc_steps")
    models = {"weighted-bc": 6, "trac-feedback": 6, "caps-feedback": 6}.get(group.algorithm)
    steps |= {"model_steps": models, "model_hidden": (16,)} if models else {"warm_up_steps": 10}
    return Group(group.name, group.algorithm, {**group.settings, **steps}, group.preset, group.limits, group.seeds[:2], 2,
                 group.reads_truth)  # fmt: skip


def dataset(root: Path, task: str, seed: int) -> Path:
    """Where a draw of pairs lies."""
    return root / "data" / f"{task}-seed{seed}"
