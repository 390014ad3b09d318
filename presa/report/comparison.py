"""Compares any runs: a line for each task and cost limit, a column for each method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from presa.report.tables import Entry, Line, Run, Table
from presa.runs.card import train_command
from presa.runs.evaluation import runs_below
from presa.runs.records import WRONG_SHAPE, read_config, read_evaluation
from presa.study.studies import Column, Level, Study
from safefeedback.errors import InputError
from safefeedback.simulators.ceilings import ended_early
from safefeedback.tasks import Task, tasks

WIDE = 12  # characters of a name or hash that are shown
LEARNT_FROM = {  # word -> its key in config.json
    "labels": "labels",
    "pairs": "pairs",
    "data": "content_sha256",
    "unlabelled": "unlabelled_sha256",
    "trajectories": "trajectories_sha256",
    "trained at": "cost_limit",
    "code": "code_sha256",  # of an algorithm of one's own
}


@dataclass(frozen=True)
class EvaluatedRun:
    """A run and what its evaluation found.

    Attributes:
        folder: of the run.
        config: its config.json.
        rows: of its evaluation.json, one for each episode.
        summary: of its evaluation.json.
        name: of the method, with whatever distinguishes it from the other runs; "" until `name_methods` sets it.
    """

    folder: Path
    config: dict[str, Any]
    rows: tuple[dict[str, Any], ...]
    summary: dict[str, Any]
    name: str = ""

    @property
    def places(self) -> list[tuple[str, float]]:
        """The tasks and cost limits that it was evaluated at."""
        return list(dict.fromkeys((row["task"], float(row["cost_limit"])) for row in self.rows))


def find_evaluated(folders: Sequence[Path]) -> tuple[list[EvaluatedRun], list[Path]]:
    """The runs in some folders that were evaluated, each once, and those that were not.

    Raises:
        InputError: if there is no run, or the records of one cannot be read.
    """
    places = dict.fromkeys(place for folder in folders for place in (runs_below(folder) or [folder]))
    for place in places:
        if not (place / "config.json").is_file():
            raise InputError(f"{place} is not a folder of `presa study`, and holds no run of `presa train`")
    judged, left = [], []
    for place in places:
        config, found = read_config(place), read_evaluation(place)
        if found is None:
            left.append(place)
            continue
        run = EvaluatedRun(place, config, tuple(found["rows"]), found["summary"])
        try:
            compare(name_methods([run])), train_commands([run])
        except WRONG_SHAPE as error:  # records that somebody has edited
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise InputError(f"{place} holds records that presa did not write ({reason}): leave it out") from None
        judged.append(run)
    if not judged:
        raise InputError(f"no run in {', '.join(map(str, folders))} was evaluated yet: `presa evaluate {folders[0]}` first")
    return name_methods(judged), left


def name_methods(judged: Sequence[EvaluatedRun]) -> list[EvaluatedRun]:
    """The runs with the names of their methods: the algorithm, the settings that differ from its defaults, and what they learnt
    from where runs that are the same otherwise differ in it, so that no two methods are taken for two seeds of one."""
    described = []
    for run in judged:
        changed = [f"{name}={value}" for name, value in sorted(run.config.get("changed", {}).items())]
        described.append((run, run.config["algorithm"], changed))
    parts = []
    for run, algorithm, changed in described:
        rivals = [
            _learnt_from(other.config)
            for other, *same in described
            if same == [algorithm, changed] and set(other.places) & set(run.places)
        ]
        data = [
            f"{word}={str(_learnt_from(run.config).get(key))[:WIDE]}"
            for word, key in LEARNT_FROM.items()
            if len({str(rival.get(key)) for rival in rivals}) > 1
        ]
        settings = ", ".join([*changed, *data])
        parts.append(replace(run, name=f"{algorithm} ({settings})" if settings else str(algorithm)))
    return parts


def _learnt_from(config: dict[str, Any]) -> dict[str, Any]:
    """The keys of config.json that LEARNT_FROM names."""
    return {**config["data"], "cost_limit": config["cost_limit"], "code_sha256": config.get("code_sha256")}


def comparison_warnings(judged: Sequence[EvaluatedRun]) -> list[str]:
    """Warnings for a comparison of runs: how they were evaluated, and which of them are identical."""
    warnings = []
    episodes = {(len(run.rows) // max(1, len(run.places)), run.summary.get("evaluation_seed")) for run in judged}
    if len(episodes) > 1:
        shown = ", ".join(f"{count} of seed {seed}" for count, seed in sorted(episodes, key=str))
        warnings.append(f"the runs were evaluated on different episodes ({shown}): evaluate them alike")
    twice: dict[Any, list[str]] = {}
    for run in judged:
        for place in run.places:
            twice.setdefault((run.name, place, run.config["seed"]), []).append(str(run.folder))
    for (name, (task, limit), seed), folders in twice.items():
        if len(folders) > 1:
            where = " and ".join(folders)
            warnings.append(f"{where} are both {name} on {task}, limit {limit:g}, seed {seed}: they count as two runs")
    raw = sorted({row["task"] for run in judged for row in run.rows if row["normalized_return"] is None})
    if raw:
        warnings.append(f"rewards of {', '.join(raw)} are plain returns: the task names no reference returns")
    return warnings


def compare(judged: Sequence[EvaluatedRun]) -> Table:
    """A table of runs: methods that differ in a setting are columns of their own; no average hides a limit."""
    methods = list(dict.fromkeys(run.name for run in judged))
    places = sorted({place for run in judged for place in run.places})
    first = {run.name: run.config for run in reversed(judged)}
    columns = tuple(
        Column(name, str(first[name]["algorithm"]), dict(first[name].get("changed", {})), paper=False) for name in methods
    )
    levels = tuple(Level(f"limit {limit:g}") for limit in sorted({limit for _, limit in places}))
    study = Study("comparison", "Runs beside one another", columns, levels)
    runs: dict[tuple[str, float, str], list[Run]] = {}
    for run in judged:
        for task, limit in run.places:
            runs.setdefault((task, limit, run.name), []).append(mean_of(run, task, limit))
    lines = tuple(
        Line(
            task, f"limit {limit:g}", tuple(Entry(tuple(runs.get((task, limit, name), ())), 0, None, None) for name in methods)
        )
        for task, limit in places
    )
    return Table(study, lines, (), compared=False)


def mean_of(run: EvaluatedRun, task: str, limit: float) -> Run:
    """A run's results at a limit; the plain return where the task has no reference returns."""
    rows = [row for row in run.rows if (row["task"], row["cost_limit"]) == (task, limit)]
    costs = tuple(float(row["normalized_cost"]) for row in rows)
    rewards = [row["return"] if row["normalized_return"] is None else row["normalized_return"] for row in rows]
    horizon, lengths = run.summary.get("horizon"), [row["length"] for row in rows if row.get("length") is not None]
    complete = horizon is not None and len(lengths) == len(rows)
    known = benchmark_task(run, task)
    return Run(
        limit,
        run.config["seed"],
        float(np.mean(rewards)),
        float(np.mean(costs)),
        costs,
        tuple(map(float, rewards)),
        float(np.mean(lengths)) if complete else None,
        float(np.mean([_early(row, horizon, known) for row in rows])) if complete else None,
        run.summary.get("recorded_normalized_return"),
    )


def _early(row: dict[str, Any], horizon: Any, task: Task | None) -> bool:
    """Whether an episode ended early, of a task that the benchmark has or of another."""
    return bool(row["length"] < horizon) if task is None else ended_early(task, row["length"], row["return"])


def benchmark_task(run: EvaluatedRun, name: str) -> Task | None:
    """The benchmark's task that a run played by that name; None if the run's own is another one of that name."""
    known, own = tasks().get(name), run.config["task"]
    return None if known is not None and own.get("name") == name and own != known.to_dict() else known


def train_commands(judged: Sequence[EvaluatedRun]) -> list[str]:
    """The commands that train each run again, one line for each."""
    return [f"{train_command(run.config)}    # {run.folder}" for run in judged]
