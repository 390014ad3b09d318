"""What is collected, in which units of work, and how that is written down in the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from safefeedback.errors import InputError
from safefeedback.files import file_sha256
from safefeedback.ppo_lagrangian import LearnerConfig
from safefeedback.sources.dsrl import CITATION
from safefeedback.tasks import Task

LICENSE, AUTHOR = "CC-BY-4.0", "The safefeedback authors"
DSRL_CREDIT = (
    "Warm-started by cloning episodes of DSRL: Z. Liu et al., Datasets and Benchmarks for Offline Safe Reinforcement "
    "Learning, arXiv 2306.09303, CC BY 4.0"
)
PACKAGES = (
    "safefeedback",
    "numpy",
    "torch",
    "stable-baselines3",
    "gymnasium",
    "bullet-safety-gym",
    "pybullet",
    "safety-gymnasium",
    "mujoco",
)


@dataclass(frozen=True)
class CollectConfig:
    """What is collected.

    Attributes:
        episodes: episodes in the file, at most.
        steps: training steps of each unit.
        cost_limits: mean episode cost that each unit aims at; None is reward alone.
        seeds: units per limit.
        seed: everything random follows from it.
        warm_start: a file in DSRL's schema whose behaviour is cloned first, or None.
        learner: how the policies learn.
    """

    episodes: int = 1000
    steps: int = 300_000
    cost_limits: tuple[float | None, ...] = (None, 40.0, 10.0)
    seeds: int = 1
    seed: int = 0
    warm_start: Path | None = None
    learner: LearnerConfig = field(default_factory=LearnerConfig)

    def __post_init__(self) -> None:
        for name in ("episodes", "steps", "seeds"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise InputError(f"seed must not be negative, and {self.seed} is")
        if not self.cost_limits or len(set(self.cost_limits)) < len(self.cost_limits):
            raise InputError("cost limits must be given, each once")
        if any(limit is not None and not 0 <= limit < float("inf") for limit in self.cost_limits):
            raise InputError("a cost limit is a number that is not negative, or none")


@dataclass(frozen=True)
class Unit:
    """One training run: its place in the file, its cost limit, its seed."""

    index: int
    limit: float | None
    seed: int

    @property
    def stream(self) -> int:
        """What everything random in the unit starts from: units must not begin with the same episodes."""
        limit = -1.0 if self.limit is None else self.limit
        return int.from_bytes(hashlib.sha256(f"{self.seed} {limit:g}".encode()).digest()[:4], "big")

    @property
    def name(self) -> str:
        return f"limit-{'none' if self.limit is None else format(self.limit, 'g')}-seed-{self.seed}"


def units(config: CollectConfig) -> list[Unit]:
    """The units of work, limits outermost."""
    pairs = [(limit, seed) for limit in config.cost_limits for seed in range(config.seed, config.seed + config.seeds)]
    return [Unit(index, limit, seed) for index, (limit, seed) in enumerate(pairs)]


def highest_cost(task: Task) -> float:
    """What an episode may cost to be kept: as much as any of the benchmark's, or twice the highest limit if that is more.

    The second is for CarRun, whose benchmark file ends at 40: there every episode would be safe at the highest limit.
    """
    if task.reference_costs is None:
        return float("inf")
    return max(task.reference_costs[1], 2 * task.cost_limits[-1])


def fingerprint(task: Task, unit: Unit, config: CollectConfig) -> str:
    """What the content of a unit follows from, as a sha256."""
    what = {
        "task": task.to_dict(),
        "limit": unit.limit,
        "seed": unit.seed,
        "steps": config.steps,
        "keep": max(config.episodes, 200),
        "learner": asdict(config.learner),
        "highest_cost": highest_cost(task),
        "versions": _versions(),
        "warm_start": None if config.warm_start is None else file_sha256(config.warm_start),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def attributes(task: Task, config: CollectConfig, counts: dict[str, int], kept: int) -> dict[str, Any]:
    """How the file was made, as HDF5 attributes: texts, numbers, and JSON for what has parts."""
    values: dict[str, Any] = {
        "made_by": "safefeedback collect",
        "task": task.name,
        "algorithm": "PPO (stable-baselines3) with a learnt Lagrange multiplier; every episode of training recorded, "
        "then thinned evenly over return and square root of cost",
        "learner": json.dumps(asdict(config.learner)),
        "steps_per_unit": config.steps,
        "units": json.dumps([{"cost_limit": unit.limit, "seed": unit.seed} for unit in units(config)]),
        "versions": json.dumps(_versions()),
        "seed": config.seed,
        "episodes_recorded": counts["recorded"],
        "highest_cost_kept": highest_cost(task),
        "episodes_left_out_above_highest_cost": counts["too_costly"],
        "episodes_kept": kept,
        "license": LICENSE,
        "author": AUTHOR,
        "replay": "episode_seeds[e]: reset(seed=) of a new environment from safefeedback.simulator.make, then its actions",
    }
    if config.warm_start is not None:
        values["warm_start"] = f"{config.warm_start.name} sha256 {file_sha256(config.warm_start)}"
        values.update(_credit(config.warm_start))
    return values


def _credit(warm_start: Path) -> dict[str, str]:
    """Whose behaviour was cloned: what a file of our own says of itself, or DSRL, whose files say nothing."""
    with h5py.File(warm_start, "r") as file:
        if "made_by" in file.attrs:
            return {key: file.attrs[key] for key in ("credit", "citation") if key in file.attrs}
    return {"credit": DSRL_CREDIT, "citation": CITATION}


def file_name(task: Task, costs: Sequence[float] | np.ndarray) -> str:
    """The file's name as DSRL gives it: its stem, the highest cost rounded up, the number of episodes."""
    stem = f"Safety{task.name}-v0" if task.file is None else task.file.rsplit("-", 2)[0]
    return f"{stem}-{int(np.ceil(np.max(costs)))}-{len(costs)}.hdf5"
