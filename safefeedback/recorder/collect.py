"""Collects recordings by training policies in the simulator, and keeps episodes of every kind of behaviour during training.

The work is cut into units, one for each cost limit and seed. A finished unit lies in `<out>.parts/` under a name that says
what it is; the next run takes it from there, and starts an unfinished one again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np

from safefeedback import simulators as simulator
from safefeedback.errors import InputError
from safefeedback.imports import install_command
from safefeedback.recorder.plan import CollectConfig, Unit, attributes, file_name, fingerprint, highest_cost, stem, units
from safefeedback.recorder.ppo_lagrangian import Report, learn
from safefeedback.recorder.recording import Episode, read_recording, sums, write_recording
from safefeedback.recorder.thinning import thin_evenly
from safefeedback.sources.hdf5 import read_hdf5
from safefeedback.tasks import Task, tasks
from safefeedback.types import Episodes, Source

__all__ = ["CollectConfig", "Collected", "Unit", "collect", "reason_not_collectable"]

SAFETY_GYM = (
    "PointCircle1",
    "PointGoal1",
    "AntVelocity",
    "HalfCheetahVelocity",
    "HopperVelocity",
    "SwimmerVelocity",
    "Walker2dVelocity",
)


@dataclass(frozen=True)
class Collected:
    """The result of `collect`: the file, and how many episodes were recorded, too costly, and kept."""

    path: Path
    recorded: int
    too_costly: int
    kept: int
    reused_units: int
    parts: Path


OnProgress = Callable[[Unit, Report], None]


def reason_not_collectable(task: Task) -> str | None:
    """Why the collector refuses the task, as one line, or None."""
    reason = simulator.can_simulate(task)
    if reason is not None:
        return reason
    if task.domain == "MetaDrive" and task.own_module is None:
        return f"{task.name} is recorded with DSRL's scripted driver, by safefeedback.recorder.scripted, not by training"
    if task.domain == "SafetyGym" and task.own_module is None and task.name not in SAFETY_GYM:
        return f"collecting {task.name} is not supported: PPO has not been seen to learn it; {', '.join(SAFETY_GYM)} are"
    for package in ("stable_baselines3", "torch"):
        if find_spec(package) is None:
            return f"collecting needs the package {package}: {install_command('collect')}"
    return None


def collect(task: Task, out: Path, config: CollectConfig, on_progress: OnProgress | None = None) -> Collected:
    """Train every unit, thin what was recorded evenly over the return-cost plane, and write one file.

    Episodes that cost more than `highest_cost` are left out.

    Args:
        out: the file, or a folder, in which the name follows DSRL's: Safety<Task>-v0-<highest cost>-<episodes>.hdf5.
        on_progress: called after each rollout of a unit.

    Raises:
        InputError: if the task cannot be collected, the warm start is not a recording of it, or the file exists already.
    """
    reason = reason_not_collectable(task)
    if reason is not None:
        raise InputError(reason)
    place = OutputPaths(task, out)
    cloned = None if config.warm_start is None else _demonstrations(config.warm_start, task)
    episodes: list[Episode] = []
    counts = {"recorded": 0, "too_costly": 0, "reused": 0}
    with place.made() as parts:
        for unit in units(config):
            path = parts / f"{unit.name}-{fingerprint(task, unit, config)[:10]}.hdf5"
            counts["reused"] += path.exists()
            if not path.exists():
                _collect_unit(task, unit, config, cloned, path, on_progress)
            unit_episodes, about = read_recording(path)
            episodes += [replace(episode, unit=unit.index) for episode in unit_episodes]
            counts["recorded"] += int(about["recorded"])
            counts["too_costly"] += int(about["too_costly"])
    returns, costs = sums(episodes)
    kept = thin_evenly(returns, costs, config.episodes, np.random.default_rng([config.seed, 2]))
    episodes = [episodes[index] for index in kept]
    path = place.file(costs[kept])
    write_recording(path, episodes, attributes(task, config, cloned.source if cloned else None, counts, len(kept)))
    return Collected(path, counts["recorded"], counts["too_costly"], len(kept), counts["reused"], place.parts)


class OutputPaths:
    """Where a collection goes: `out`, a file that must not exist yet, or a folder; and its parts beside it."""

    def __init__(self, task: Task, out: Path) -> None:
        self.task, self.out = task, out
        self.into_folder = out.is_dir() or not out.suffix
        self.parts = out / f"{task.name}.parts" if self.into_folder else out.with_name(f"{out.name}.parts")
        if not self.into_folder:
            _refuse_to_overwrite(out)

    @contextmanager
    def made(self) -> Iterator[Path]:
        """The folder of the parts, made before the long work; if that fails before a part is whole, no empty folder stays."""
        new = [folder for folder in (self.parts, self.parts.parent) if not folder.exists()]
        try:
            self.parts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.parts} cannot be made: {error.strerror}; give another --out") from None
        try:
            yield self.parts
        except BaseException:
            for folder in new:
                with suppress(OSError):  # a folder that is not empty is kept
                    folder.rmdir()
            raise

    def file(self, costs: np.ndarray) -> Path:
        """The file to write; in a folder its name follows DSRL's, from the episodes' costs."""
        path = self.out / file_name(self.task, costs) if self.into_folder else self.out
        _refuse_to_overwrite(path)
        return path


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists():
        raise InputError(f"{path} exists already: move it away, or give another --out")


def _collect_unit(
    task: Task,
    unit: Unit,
    config: CollectConfig,
    cloned: Episodes | None,
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
        None if cloned is None else (cloned.observations, cloned.actions),
    )
    if not keeper.episodes:
        why = "cost too much to be kept" if keeper.recorded else f"ended within {config.steps} steps"
        raise InputError(f"{'every' if keeper.recorded else 'no'} episode of {task.name} {why}: give more --steps")
    write_recording(path, keeper.thinned(), {"recorded": keeper.recorded, "too_costly": keeper.too_costly})


class _Keeper:
    """Keeps between n and 2 n episodes: memory stays bounded however long a unit trains."""

    def __init__(self, task: Task, count: int, rng: np.random.Generator) -> None:
        self.ceiling = highest_cost(task)
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


def _demonstrations(path: Path, task: Task) -> Episodes:
    """The episodes to clone, read and checked as any source of recordings."""
    try:
        episodes = read_hdf5(path, task, Source("file", "", ""))
        with h5py.File(path, "r") as file:
            recorded = file.attrs.get("task", task.name)
    except InputError as error:
        raise InputError(f"--warm-start {error}") from None
    others = [name for name, other in tasks().items() if path.name.startswith(f"{stem(other)}") and name != task.name]
    if recorded != task.name or others:
        raise InputError(f"--warm-start {path} holds recordings of {others[0] if others else recorded}, not of {task.name}")
    return episodes
