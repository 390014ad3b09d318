"""The settings of a collection, its units of work, and the attributes of its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.files import file_sha256, module_sha256
from safefeedback.recorder.ppo_lagrangian import LearnerConfig
from safefeedback.sources.dsrl import CITATION
from safefeedback.tasks import Task
from safefeedback.types import Source
from safefeedback.values import convert_fields

DSRL_CREDIT = (
    "Warm-started by cloning episodes of DSRL: Z. Liu et al., Datasets and Benchmarks for Offline Safe Reinforcement "
    "Learning, arXiv 2306.09303, CC BY 4.0"
)
MOST_UNITS = 1000
LEARNER_VERSION = 1  # to be raised whenever the same settings give other episodes
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
        seed: of every random choice.
        warm_start: a file in DSRL's schema whose behaviour is cloned first, or None.
        license, author: terms of the file, for the cards of datasets made from it; empty where nothing is to be stated.
        learner: how the policies learn.
    """

    episodes: int = 1000
    steps: int = 300_000
    cost_limits: tuple[float | None, ...] = (None, 40.0, 10.0)
    seeds: int = 1
    seed: int = 0
    warm_start: Path | None = None
    license: str = ""
    author: str = ""
    learner: LearnerConfig = field(default_factory=LearnerConfig)

    def __post_init__(self) -> None:
        convert_fields(self)
        for name in ("episodes", "steps", "seeds"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.seed < 2**62:
            raise InputError(f"seed must lie between 0 and 2^62 - 1, not {self.seed}")
        if self.seeds * len(self.cost_limits) > MOST_UNITS:
            raise InputError(f"{self.seeds} seeds for each limit are more than {MOST_UNITS:,} training runs in all")
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
    """The highest cost of an episode that is kept: the highest of the benchmark's, or twice the highest limit if that is more.

    The second is for CarRun, whose benchmark file ends at 40: there every episode would be safe at the highest limit.
    """
    if task.reference_costs is None:
        return float("inf")
    return max(task.reference_costs[1], 2 * task.cost_limits[-1])


def fingerprint(task: Task, unit: Unit, config: CollectConfig) -> str:
    """The sha256 of everything that determines the content of a unit."""
    identity = {
        "task": task.to_dict(),
        "limit": unit.limit,
        "seed": unit.seed,
        "steps": config.steps,
        "keep": max(config.episodes, 200),
        "learner": asdict(config.learner),
        "learner_version": LEARNER_VERSION,
        "highest_cost": highest_cost(task),
        "versions": versions(),
        "warm_start": None if config.warm_start is None else file_sha256(config.warm_start),
    }
    if task.own_module is not None:
        identity["environment"] = module_sha256(task.own_module)
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The version of each package that is installed."""
    installed = {}
    for package in packages:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


def attributes(
    task: Task, config: CollectConfig, warm_start: Source | None, counts: dict[str, int], kept: int
) -> dict[str, Any]:
    """How the file was made, as HDF5 attributes: texts, numbers, and JSON for what has parts."""
    values: dict[str, Any] = {
        "made_by": "safefeedback collect",
        "task": task.name,
        "algorithm": "PPO (stable-baselines3) with a learnt Lagrange multiplier; every episode of training recorded, "
        "then thinned evenly over return and square root of cost",
        "learner": json.dumps(asdict(config.learner)),
        "steps_per_unit": config.steps,
        "units": json.dumps([{"cost_limit": unit.limit, "seed": unit.seed} for unit in units(config)]),
        "versions": json.dumps(versions()),
        "seed": config.seed,
        "episodes_recorded": counts["recorded"],
        "highest_cost_kept": highest_cost(task),
        "episodes_left_out_above_highest_cost": counts["too_costly"],
        "episodes_kept": kept,
        "replay": "episode_seeds[e]: reset(seed=) of a new environment from safefeedback.simulators.make, then its actions; "
        "bit for bit on the machine that recorded it, on another observations and rewards within 1e-6, the rest equal",
    }
    values |= {key: text for key, text in (("license", config.license), ("author", config.author)) if text}
    if warm_start is not None:
        values["warm_start"] = f"{warm_start.file} sha256 {warm_start.fingerprint}"
        values |= _credit(task, warm_start)
    return values


def _credit(task: Task, cloned: Source) -> dict[str, str]:
    """Whose behaviour was cloned: what the file says of itself, or DSRL, whose files say nothing but have its names."""
    if cloned.credit:
        credit, citation = cloned.credit, cloned.citation
    elif cloned.author or cloned.license:
        terms = f" ({cloned.license})" if cloned.license else ""
        credit, citation = f"Warm-started by cloning episodes of {cloned.author or cloned.file}{terms}", cloned.citation
    elif cloned.file.startswith(stem(task)):
        credit, citation = DSRL_CREDIT, CITATION
    else:
        credit, citation = f"Warm-started by cloning episodes of {cloned.file}, whose author and licence are not stated", ""
    return {key: text for key, text in (("credit", credit), ("citation", citation)) if text}


def stem(task: Task) -> str:
    """How the names of DSRL's files of the task begin."""
    return f"Safety{task.name}-v0" if task.file is None else task.file.rsplit("-", 2)[0]


def file_name(task: Task, costs: Sequence[float] | np.ndarray) -> str:
    """The file's name as DSRL gives it: its stem, the highest cost rounded up, the number of episodes."""
    return f"{stem(task)}-{int(np.ceil(np.max(costs)))}-{len(costs)}.hdf5"
