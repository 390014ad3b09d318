"""Rows of episodes -> a table in the paper's layout: a line for each task and level, a column for each method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from presa.report.paper import PaperResult, paper_average, paper_result
from presa.report.statistics import Interval, interquartile_mean, stratified_interval
from presa.study.studies import Study
from safefeedback.simulators.ceilings import ended_early
from safefeedback.tasks import find_task

if TYPE_CHECKING:
    from presa.study.grid import Cell


@dataclass(frozen=True)
class Run:
    """One trained policy.

    Attributes:
        cost_limit: that it was evaluated at.
        seed: of its training.
        reward, cost: normalised, means over episodes.
        costs: of each episode, normalised.
        rewards: of each episode, normalised.
        length: of its episodes, their mean, None where that is not known.
        early: share of the episodes that ended before the task's time limit, and not by arriving, likewise.
        recorded: normalised reward of the recorded segments, likewise.
    """

    cost_limit: float
    seed: int
    reward: float
    cost: float
    costs: tuple[float, ...] = ()
    rewards: tuple[float, ...] = ()
    length: float | None = None
    early: float | None = None
    recorded: float | None = None


@dataclass(frozen=True)
class Entry:
    """One number pair of the table.

    Attributes:
        runs: the runs of which it is the mean.
        missing: number of requested runs that are not there.
        cell: the cell whose work it is, None for an average.
        paper: what the paper printed.
    """

    runs: tuple[Run, ...]
    missing: int
    cell: Cell | None
    paper: PaperResult | None

    @property
    def reward(self) -> float | None:
        """Mean over runs."""
        return float(np.mean([run.reward for run in self.runs])) if self.runs else None

    @property
    def cost(self) -> float | None:
        """Mean over runs; at most 1 is safe."""
        return float(np.mean([run.cost for run in self.runs])) if self.runs else None

    def spread(self, what: str) -> float | None:
        """Standard deviation of "reward" or "cost" over runs (with N - 1); None of a single run."""
        values = [getattr(run, what) for run in self.runs]
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    def known(self, what: str) -> float | None:
        """Mean over runs of "length", "early" or "recorded"; None if it is not known of each."""
        values = [getattr(run, what) for run in self.runs]
        return None if not values or None in values else float(np.mean(values))

    def by_policy(self, what: str) -> np.ndarray:
        """ "reward" or "cost" of the runs, [policies, K]: a policy that does not depend on the limit was judged at K limits."""
        once = self.cell is not None and len(self.cell.trained_limits) < len(self.cell.cost_limits)
        groups: dict[Any, list[float]] = {}
        for run in self.runs:
            groups.setdefault(run.seed if once else (run.seed, run.cost_limit), []).append(getattr(run, what))
        return np.array(list(groups.values()))

    @property
    def safe(self) -> bool:
        """Whether the mean cost keeps the limit."""
        return self.cost is not None and self.cost <= 1


@dataclass(frozen=True)
class Line:
    """One line of the table; `average` of how many tasks it is one, 0 for a task's own."""

    task: str
    level: str
    entries: tuple[Entry, ...]
    average: int = 0


@dataclass(frozen=True)
class Table:
    """A study's results.

    Attributes:
        study: what was asked.
        lines: for each task and level.
        averages: over the tasks of each domain and level; only columns without a gap have one.
        compared: whether differences from the paper mean anything: the recordings are DSRL's.
    """

    study: Study
    lines: tuple[Line, ...]
    averages: tuple[Line, ...]
    compared: bool

    def safe_count(self, column: int, level: str) -> tuple[int, int]:
        """How many tasks a column keeps safe, of how many it has numbers for."""
        known = [line.entries[column] for line in self.lines if line.level == level and line.entries[column].runs]
        return sum(entry.safe for entry in known), len(known)

    def paper_safe_count(self, column: int, level: str) -> tuple[int, int]:
        """The same of the paper's printed numbers, for the tasks that `safe_count` counts."""
        known = [line.entries[column].paper for line in self.lines if line.level == level and line.entries[column].runs]
        return sum(paper.cost < 1 for paper in known if paper), sum(paper is not None for paper in known)

    def interval(
        self, column: int, level: str, what: str, average: Callable[[np.ndarray], np.ndarray] = interquartile_mean
    ) -> Interval | None:
        """An average of "reward" or "cost" over runs and tasks."""
        entries = [line.entries[column] for line in self.lines if line.level == level]
        strata = [entry.by_policy(what) for entry in entries if entry.runs]
        return stratified_interval(strata, average) if strata else None


def make_table(study: Study, cells: Sequence[Cell], rows: pa.Table, source: str) -> Table:
    """The table of a study.

    Args:
        study: whose columns are the table's.
        cells: of it, as they were asked for.
        rows: as `presa.study.rows.collect` gives.
        source: of the recordings.
    """
    by_place: dict[tuple[str, str, str], Cell] = {(cell.task, cell.level, cell.column): cell for cell in cells}
    runs = _runs(rows)
    lines = []
    for task in dict.fromkeys(cell.task for cell in cells):
        for level in study.levels:
            entries = []
            for column in study.columns:
                place = (task, level.name, column.name)
                cell, cell_runs = by_place.get(place), runs.get(place, ())
                expected = len(cell.cost_limits) * len(cell.seeds) if cell else 0
                paper = paper_result(study.paper, task, level.name, column.paper_name)
                entries.append(Entry(cell_runs, expected - len(cell_runs), cell, paper))
            lines.append(Line(task, level.name, tuple(entries)))
    return Table(study, tuple(lines), tuple(_averages(study, lines)), source == "dsrl")


def _runs(rows: pa.Table) -> dict[tuple[str, str, str], tuple[Run, ...]]:
    """The runs by task, level and column, each the mean of its episodes."""
    keys = ["task", "level", "column", "cost_limit", "seed"]
    key_pairs = [(f"normalized_{what}", how) for what in ("return", "cost") for how in ("mean", "list")]
    key_pairs += [("length", "list"), ("return", "list")]
    means = rows.group_by(keys, use_threads=False).aggregate(key_pairs)
    by_cell: dict[tuple[str, str, str], list[Run]] = {}
    for row in means.sort_by([(key, "ascending") for key in keys]).to_pylist():
        reward, cost = row["normalized_return_mean"], row["normalized_cost_mean"]
        rewards, costs, lengths = (tuple(row[f"{name}_list"]) for name in ("normalized_return", "normalized_cost", "length"))
        task = find_task(row["task"])
        early = float(np.mean([ended_early(task, *of) for of in zip(lengths, row["return_list"], strict=True)]))
        run = Run(row["cost_limit"], row["seed"], reward, cost, costs, rewards, float(np.mean(lengths)), early)
        by_cell.setdefault((row["task"], row["level"], row["column"]), []).append(run)
    return {place: tuple(runs) for place, runs in by_cell.items()}


def _averages(study: Study, lines: Sequence[Line]) -> list[Line]:
    averages = []
    for domain in dict.fromkeys(find_task(line.task).domain for line in lines):
        for level in study.levels:
            chosen = [line for line in lines if find_task(line.task).domain == domain and line.level == level.name]
            if len(chosen) < 2:
                continue
            entries = []
            for index, column in enumerate(study.columns):
                parts = [line.entries[index] for line in chosen]
                whole = all(part.runs for part in parts)
                means = tuple(Run(0, 0, part.reward or 0.0, part.cost or 0.0) for part in parts) if whole else ()
                entries.append(
                    Entry(means, sum(part.missing for part in parts), None, _papers_average(study, domain, column, parts))
                )
            averages.append(Line(domain, level.name, tuple(entries), len(chosen)))
    return averages


def _papers_average(study: Study, domain: str, column: Any, parts: list[Entry]) -> PaperResult | None:
    """As printed if the table has the tasks that the paper averaged over, else of the printed numbers of these tasks."""
    known = [part.paper for part in parts if part.paper is not None]
    average = paper_average(study.paper, domain, column.paper_name)
    if average is not None and len(parts) == {"BulletGym": 8, "SafetyGym": 21}.get(domain):
        return average
    if len(known) < len(parts) or not known:
        return None
    return PaperResult(*(float(np.mean([getattr(result, what) for result in known])) for what in ("reward", "cost")))
