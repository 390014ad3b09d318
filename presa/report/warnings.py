"""Warnings for the reader of a report: identical methods, and policies that hardly moved from cloning, are idle, or fell
over."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from presa.report.safety import clones_everything, paired_differences, sign_test
from presa.report.tables import Entry, Line, Table
from presa.runs.records import read_metrics

SIGNIFICANT = 0.05
FEWEST = 6  # differences whose signs can give p < 0.05: 2 / 2^6
IDLE = 0.25  # of what cloning, or the data, earn
MANY_EARLY = 0.1  # share of the episodes
AT_REFERENCE = {"p_safe": 0.5, "p_unsafe": 0.5, "preference_loss": math.log(2)}  # of a policy that equals its reference
NEAR = 0.005
SHOWN = 3  # examples of each kind


def table_warnings(table: Table) -> list[str]:
    """Warnings about a table, a sentence each."""
    return [*_same_policies(table), *_not_told_apart(table), *_idle_or_fallen(table)]


def unmoved(folders: Iterable[Path]) -> list[str]:
    """Names the runs whose policy hardly moved from its cloned reference, as their last report shows."""
    names = []
    for folder in folders:
        last = ([line for line in read_metrics(folder) if line["stage"] == "main"] or [{}])[-1]
        readings = {name: last[name] for name in AT_REFERENCE if last.get(name) is not None}
        if readings and all(abs(value - AT_REFERENCE[name]) < NEAR for name, value in readings.items()):
            names.append(f"{folder} ({', '.join(f'{name} {value:.3f}' for name, value in readings.items())})")
    if not names:
        return []
    return [f"hardly moved from the cloned reference, and act as it does (more steps, or a larger rate): {_first_of(names)}"]


def baseline(line: Line, table: Table) -> float | None:
    """The reward of cloning everything in a line, or else of the recorded segments; None if neither is known."""
    for entry, column in zip(line.entries, table.study.columns, strict=True):
        if clones_everything(column) and entry.reward is not None:
            return entry.reward
    return next((recorded for entry in line.entries if (recorded := entry.known("recorded")) is not None), None)


def is_idle(entry: Entry, line: Line, table: Table) -> bool:
    """Whether a cell's reward is close to nothing compared with cloning or the data."""
    reference = baseline(line, table)
    return reference is not None and entry.reward is not None and reference > 0 and entry.reward < IDLE * reference


def _same_policies(table: Table) -> list[str]:
    """Columns whose runs played the same episodes, step for step as far as rewards and costs show."""
    pairs = []
    for column, other_column in combinations(range(len(table.study.columns)), 2):
        same = count = 0
        for line in table.lines:
            runs = [{(run.cost_limit, run.seed): run for run in line.entries[index].runs} for index in (column, other_column)]
            for key in runs[0].keys() & runs[1].keys():
                first, second = runs[0][key], runs[1][key]
                count += 1
                same += bool(first.rewards) and (first.rewards, first.costs) == (second.rewards, second.costs)
        if same:
            names = " and ".join(table.study.columns[index].name for index in (column, other_column))
            pairs.append(f"{names} played the very same episodes in {same} of {count} runs: there they are one policy")
    return pairs


def _not_told_apart(table: Table) -> list[str]:
    pairs, few = [], 0
    for column, other_column in combinations(range(len(table.study.columns)), 2):
        gains, costs = (paired_differences(table, column, other_column, what) for what in ("reward", "cost"))
        if not len(gains):
            continue
        few = max(few, len(gains))
        if min(sign_test(gains), sign_test(costs)) >= SIGNIFICANT:
            pairs.append(" and ".join(table.study.columns[index].name for index in (column, other_column)))
    if not pairs:
        return []
    if few < FEWEST:
        return [
            f"no two methods can be told apart by {few} paired run{'s' * (few > 1)}: no test reaches p < {SIGNIFICANT} with "
            f"fewer than {FEWEST} of the same task, limit and seed"
        ]
    return [f"cannot be told apart, in reward or in cost (p of {SIGNIFICANT} or more): {'; '.join(pairs)}"]


def _idle_or_fallen(table: Table) -> list[str]:
    idle, fallen = [], []
    for line in table.lines:
        for entry, column in zip(line.entries, table.study.columns, strict=True):
            cell = ", ".join(part for part in (column.name, line.task, line.level) if part)
            if is_idle(entry, line, table):
                idle.append(f"{cell} ({entry.reward:.2f} beside {baseline(line, table):.2f})")
            if (early := entry.known("early")) is not None and early > MANY_EARLY:
                fallen.append(f"{cell} ({early:.0%})")
    warnings = []
    if idle:
        warnings.append(
            f"idle, which is safe for nothing (below {IDLE:.0%} of what cloning or the data earn): {_first_of(idle)}"
        )
    if fallen:
        warnings.append(
            f"ended early in more than {MANY_EARLY:.0%} of the episodes, and so cost and earn less: {_first_of(fallen)}"
        )
    return warnings


def _first_of(names: list[str]) -> str:
    more = len(names) - SHOWN
    return "; ".join(names[:SHOWN]) + (f"; and {more} more, marked in the tables" if more > 0 else "")
