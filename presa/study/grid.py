"""A study is a grid declared in studies.toml; a cell of it is one column on one task at one level, for all limits and seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import safefeedback.tasks
from presa.algorithms import configure, find_algorithm
from presa.algorithms.base import Algorithm, FromCloning
from presa.algorithms.cloning import BCSafeSeg
from presa.study.studies import Column, Level, Study
from safefeedback.errors import InputError
from safefeedback.tasks import Task, find_task

PRESETS = {"BulletGym": "paper-bullet", "SafetyGym": "paper-safetygym"}
PAIRS = 10_000
OnCell = Callable[["Cell", dict[str, Any]], None]  # called with a cell that is finished, and its result


@dataclass(frozen=True)
class Scope:
    """The part of a study that is run; the defaults are the paper's.

    Attributes:
        tasks: names.
        source: "dsrl" or "recordings"; never both in one study.
        seeds: how many, from 0.
        cost_limits: "all" of each task's three, "middle", or numbers.
        steps, bc_steps: of every column, None for the preset's.
        precision: of the columns that know it; None for the default.
        settings: of an algorithm, by its name, over the others; a column's own stand.
        pairs: in every dataset.
        episodes: of each run's evaluation.
        evaluate_every: steps between rollouts while training, for learning curves; 0 for none.
        columns, levels: names of those to run; empty for all.
    """

    tasks: tuple[str, ...]
    source: str
    seeds: int = 3
    cost_limits: str | tuple[float, ...] = "all"
    steps: int | None = None
    bc_steps: int | None = None
    precision: str | None = None
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    pairs: int = PAIRS
    episodes: int = 20
    evaluate_every: int = 0
    columns: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()


QUICK: dict[str, Any] = {
    "seeds": 1,
    "cost_limits": "middle",
    "steps": 200,
    "bc_steps": 60,
    "pairs": 200,
    "episodes": 2,
    "settings": {name: {"batch_size": 16} for name in ("cdt", "safe-rlhf-cdt", "safe-rlhf-cdt-binary")},
}


@dataclass(frozen=True)
class Cell:
    """One unit of work; its hash is the name of its folder.

    Attributes:
        task: name.
        column, level: its place in the table; not part of the hash, so that studies share equal cells.
        algorithm: name.
        preset: of the task's domain, None if the algorithm takes none.
        settings: by name, over the preset.
        data: fields of the dataset's recipe.
        source: of the recordings.
        labels: fields of the labels' recipe, the cost limit excepted.
        pairs: how many to train on, None for all.
        unlabelled: see Column.
        cost_limits, seeds: a run for each combination.
        episodes, evaluate_every: see Scope.
    """

    task: str
    column: str
    level: str
    algorithm: str
    preset: str | None
    settings: dict[str, Any]
    data: dict[str, Any]
    source: str
    labels: dict[str, Any]
    pairs: int | None
    cost_limits: tuple[float, ...]
    seeds: tuple[int, ...]
    episodes: int
    evaluate_every: int
    unlabelled: bool = False

    @property
    def hash(self) -> str:
        """Sixteen digits that identify the computation, in whatever table."""
        work = {key: value for key, value in asdict(self).items() if key not in ("column", "level")}
        if not self.unlabelled:
            del work["unlabelled"]  # older studies did not have it
        algorithm = configure(self.algorithm, self.preset, self.settings)
        if isinstance(algorithm, FromCloning):  # older studies cloned segments
            work["cloning"] = algorithm.cloning
        if isinstance(algorithm, BCSafeSeg) and algorithm.cloning == "steps":  # older ones cloned segments with that setting
            work["cloning"] = algorithm.cloning
        return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def place(self) -> str:
        """Its place in the table, for people."""
        return " ".join(word for word in (self.task, self.column, self.level) if word)

    @property
    def trained_limits(self) -> tuple[float, ...]:
        """The limits that are trained for: one, where what is learnt does not depend on it."""
        if find_algorithm(self.algorithm).ignores_limit and not self.labels.get("filters"):
            return self.cost_limits[:1]
        return self.cost_limits

    @property
    def cost(self) -> float:
        """The approximate duration, in steps of a small batch; transformers are slow."""
        algorithm = configure(self.algorithm, self.preset, self.settings)
        return (
            algorithm.steps
            * algorithm.batch_size
            * (1.0 if algorithm.stackable else 5.0)
            * len(self.trained_limits)
            * len(self.seeds)
        )


def task_names(text: str) -> tuple[str, ...]:
    """Names of tasks from a list with commas; a domain's name stands for its tasks, `all` for Bullet's and SafetyGym's.

    Raises:
        InputError: for a task that is not known.
    """
    words = ("bullet,safetygym" if word.strip().lower() == "all" else word for word in text.split(","))
    found_tasks = safefeedback.tasks.find_tasks(",".join(words))
    if own := [task.name for task in found_tasks if task.name not in safefeedback.tasks.tasks()]:
        raise InputError(f"studies are of DSRL's tasks, not of your own such as {own[0]}")
    return tuple(task.name for task in found_tasks)


def study_cells(study: Study, scope: Scope) -> list[Cell]:
    """Every cell of a study, in the order of the table; those longer than an episode of their task are left out.

    Raises:
        InputError: if nothing is left of the study in that scope.
    """
    cells = []
    columns, levels = (_selected(study, kind, getattr(scope, f"{kind}s")) for kind in ("column", "level"))
    for name in scope.tasks:
        task = find_task(name)
        for level in levels:
            for column in columns:
                if column.pairs is not None and column.pairs > scope.pairs:
                    continue  # the table has a gap there
                if {**level.data, **column.data}.get("length", 64) <= task.horizon:
                    cells.append(_cell(task, column, level, scope))
    if not cells:
        raise InputError(f"study {study.name} has no cell within that: more tasks, or more --pairs")
    return cells


def _selected(study: Study, kind: str, names: tuple[str, ...]) -> list[Any]:
    """The columns or the levels of those names, all if there is no name; raises InputError for an unknown one."""
    known = {part.name: part for part in getattr(study, f"{kind}s")}
    for name in names:
        if name not in known:
            names_there = ", ".join(f"'{part}'" for part in known if part) or f"no {kind}s"
            raise InputError(f"study {study.name} has no {kind} '{name}': it has {names_there}")
    return [part for name, part in known.items() if not names or name in names]


def _cell(task: Task, column: Column, level: Level, scope: Scope) -> Cell:
    algorithm = find_algorithm(column.algorithm)
    preset = PRESETS.get(task.domain) if algorithm.takes_presets else None
    settings = {**_scope_settings(algorithm, scope), **scope.settings.get(column.algorithm, {}), **column.set}
    named = {"all": task.cost_limits, "middle": (task.default_cost_limit,)}
    limits = named[scope.cost_limits] if isinstance(scope.cost_limits, str) else scope.cost_limits
    return Cell(
        task=task.name,
        column=column.name,
        level=level.name,
        algorithm=column.algorithm,
        preset=preset,
        settings=changed_settings(column.algorithm, preset, settings),
        data={"pairs": scope.pairs, "length": 64, **level.data, **column.data},
        source=scope.source,
        labels={**level.labels, **column.labels},
        pairs=None if column.pairs == scope.pairs else column.pairs,
        cost_limits=tuple(sorted(float(limit) for limit in limits)),
        seeds=tuple(range(scope.seeds)),
        episodes=scope.episodes,
        evaluate_every=scope.evaluate_every,
        unlabelled=column.unlabelled,
    )


def _scope_settings(algorithm: type[Algorithm], scope: Scope) -> dict[str, Any]:
    """The settings of a scope that an algorithm has: steps of every kind, and the precision."""
    names = {setting.name for setting in fields(algorithm)}
    settings: dict[str, Any] = {"steps": scope.steps, "bc_steps": scope.bc_steps}
    if scope.precision in algorithm.precisions() or scope.precision not in Algorithm.choices["precision"]:
        settings["precision"] = scope.precision  # one that nobody knows is refused with the other settings
    return {name: value for name, value in settings.items() if value is not None and name in names}


def changed_settings(algorithm: str, preset: str | None, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ from the preset, so that equal work has an equal hash."""
    plain, changed = configure(algorithm, preset), configure(algorithm, preset, settings)
    return {name: getattr(changed, name) for name in settings if getattr(plain, name) != getattr(changed, name)}
