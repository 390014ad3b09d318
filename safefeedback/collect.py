"""Recordings of our own: train in the simulator, keep every kind of behaviour seen on the way.

The work is cut into units, one for each cost limit and seed. A finished unit lies in `<out>.parts/` under a name that says
what it is; the next run takes it from there, and starts an unfinished one again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from safefeedback import simulator
from safefeedback.errors import InputError
from safefeedback.ppo_lagrangian import LearnerConfig, Report, learn
from safefeedback.recording import Episode, read_recording, sums, write_recording
from safefeedback.sources.dsrl import CITATION
from safefeedback.tasks import Task
from safefeedback.thinning import thin_evenly

SAFETY_GYM = (
    "PointCircle1",
    "PointGoal1",
    "AntVelocity",
    "HalfCheetahVelocity",
    "HopperVelocity",
    "SwimmerVelocity",
    "Walker2dVelocity",
)
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


@dataclass(frozen=True)
class Collected:
    """What `collect` made: the file, and how many episodes were recorded, too costly, and kept."""

    path: Path
    recorded: int
    too_costly: int
    kept: int
    reused_units: int
    parts: Path


OnProgress = Callable[[Unit, Report], None]


def units(config: CollectConfig) -> list[Unit]:
    """The units of work, limits outermost."""
    pairs = [(limit, seed) for limit in config.cost_limits for seed in range(config.seed, config.seed + config.seeds)]
    return [Unit(index, limit, seed) for index, (limit, seed) in enumerate(pairs)]


def why_not(task: Task) -> str | None:
    """Why the collector refuses the task, as one line, or None."""
    reason = simulator.can_simulate(task)
    if reason is not None:
        return reason
    if task.domain == "SafetyGym" and task.name not in SAFETY_GYM:
        return f"collecting {task.name} is not supported: PPO has not been seen to learn it; {', '.join(SAFETY_GYM)} are"
    for package in ("stable_baselines3", "torch"):
        if find_spec(package) is None:
            return f'collecting needs the package {package}: pip install "safefeedback[collect]"'
    return None


def collect(task: Task, out: Path, config: CollectConfig, on_progress: OnProgress | None = None) -> Collected:
    """Train every unit, thin what was recorded evenly over the return-cost plane, and write one file.

    Episodes that cost more than any of the benchmark's own (task.reference_costs) are left out, as DSRL does.

    Args:
        out: the file, or a folder, in which the name follows DSRL's: Safety<Task>-v0-<highest cost>-<episodes>.hdf5.
        on_progress: called after each rollout of a unit.

    Raises:
        InputError: if the task cannot be collected, or the warm start is not a recording of it.
    """
    reason = why_not(task)
    if reason is not None:
        raise InputError(reason)
    into_folder = out.is_dir() or out.suffix not in (".hdf5", ".h5")
    parts = out / f"{task.name}.parts" if into_folder else out.with_name(f"{out.name}.parts")
    cloned = None if config.warm_start is None else _demonstrations(config.warm_start, task)
    episodes: list[Episode] = []
    counts = {"recorded": 0, "too_costly": 0, "reused": 0}
    for unit in units(config):
        path = parts / f"{unit.name}-{_fingerprint(task, unit, config)[:10]}.hdf5"
        counts["reused"] += path.exists()
        if not path.exists():
            _collect_unit(task, unit, config, cloned, path, on_progress)
        found, attributes = read_recording(path)
        episodes += [replace(episode, unit=unit.index) for episode in found]
        counts["recorded"] += int(attributes["recorded"])
        counts["too_costly"] += int(attributes["too_costly"])
    returns, costs = sums(episodes)
    kept = thin_evenly(returns, costs, config.episodes, np.random.default_rng([config.seed, 2]))
    episodes = [episodes[index] for index in kept]
    path = out / _file_name(task, costs[kept]) if into_folder else out
    write_recording(path, episodes, _attributes(task, config, counts, len(kept)))
    return Collected(path, counts["recorded"], counts["too_costly"], len(kept), counts["reused"], parts)


def _collect_unit(
    task: Task,
    unit: Unit,
    config: CollectConfig,
    cloned: tuple[np.ndarray, np.ndarray] | None,
    path: Path,
    on_progress: OnProgress | None,
) -> None:
    keeper = _Keeper(task, max(config.episodes, 200), np.random.default_rng([unit.stream, 1]))
    learn(
        task,
        unit.limit,
        config.steps,
        unit.stream,
        config.learner,
        keeper.add,
        (lambda report: None) if on_progress is None else (lambda report: on_progress(unit, report)),
        cloned,
    )
    if not keeper.episodes:
        raise InputError(f"no episode of {task.name} ended within {config.steps} steps: give more --steps")
    write_recording(path, keeper.thinned(), {"recorded": keeper.recorded, "too_costly": keeper.too_costly})


class _Keeper:
    """Keeps between n and 2 n episodes: memory stays bounded however long a unit trains."""

    def __init__(self, task: Task, count: int, rng: np.random.Generator) -> None:
        self.ceiling = float("inf") if task.reference_costs is None else task.reference_costs[1]
        self.count, self.rng = count, rng
        self.episodes: list[Episode] = []
        self.recorded = self.too_costly = 0

    def add(self, episode: Episode) -> None:
        self.recorded += 1
        if episode.total_cost > self.ceiling:
            self.too_costly += 1
            return
        self.episodes.append(episode)
        if len(self.episodes) >= 2 * self.count:
            self.episodes = self.thinned()

    def thinned(self) -> list[Episode]:
        kept = thin_evenly(*sums(self.episodes), self.count, self.rng)
        return [self.episodes[index] for index in kept]


def _demonstrations(path: Path, task: Task) -> tuple[np.ndarray, np.ndarray]:
    try:
        with h5py.File(path, "r") as file:
            observations, actions = file["observations"][:], file["actions"][:]
    except (OSError, KeyError) as error:
        raise InputError(f"--warm-start {path} cannot be read as a recording: {error}".splitlines()[0]) from None
    found = (observations.shape[1:], actions.shape[1:])
    if found != ((task.observation_dim,), (task.action_dim,)) or len(observations) != len(actions):
        raise InputError(f"--warm-start {path} is not a recording of {task.name}: its shapes are {found}")
    return observations.astype(np.float32), actions.astype(np.float32)


def _fingerprint(task: Task, unit: Unit, config: CollectConfig) -> str:
    """What the content of a unit follows from, as a sha256."""
    what = {
        "task": task.to_dict(),
        "limit": unit.limit,
        "seed": unit.seed,
        "steps": config.steps,
        "keep": max(config.episodes, 200),
        "learner": asdict(config.learner),
        "versions": _versions(),
        "warm_start": None if config.warm_start is None else _sha256(config.warm_start),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _attributes(task: Task, config: CollectConfig, counts: dict[str, int], kept: int) -> dict[str, Any]:
    """How the file was made, as HDF5 attributes: texts, numbers, and JSON for what has parts."""
    attributes: dict[str, Any] = {
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
        "episodes_left_out_above_reference_cost": counts["too_costly"],
        "episodes_kept": kept,
        "license": LICENSE,
        "author": AUTHOR,
        "replay": "episode_seeds[e]: reset(seed=) of a new environment from safefeedback.simulator.make, then its actions",
    }
    if config.warm_start is not None:
        attributes["warm_start"] = f"{config.warm_start.name} sha256 {_sha256(config.warm_start)}"
        attributes.update(_credit(config.warm_start))
    return attributes


def _credit(warm_start: Path) -> dict[str, str]:
    """Whose behaviour was cloned: what a file of our own says of itself, or DSRL, whose files say nothing."""
    with h5py.File(warm_start, "r") as file:
        if "made_by" in file.attrs:
            return {key: file.attrs[key] for key in ("credit", "citation") if key in file.attrs}
    return {"credit": DSRL_CREDIT, "citation": CITATION}


def _file_name(task: Task, costs: Sequence[float] | np.ndarray) -> str:
    stem = f"Safety{task.name}-v0" if task.file is None else task.file.rsplit("-", 2)[0]
    return f"{stem}-{int(np.ceil(np.max(costs)))}-{len(costs)}.hdf5"
