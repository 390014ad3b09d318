"""Safety beyond the mean cost: an upper confidence bound, the share of episodes over the limit, and the costliest tenth."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from presa.report.statistics import CONFIDENCE, mean, resampled
from presa.report.tables import Entry, Line, Table
from presa.study.studies import Column
from safefeedback.randomness import stream

MOST_EXACT = 14  # differences up to which all signs are tried
SIGNS = 20_000


@dataclass(frozen=True)
class Safety:
    """Of one cell.

    Attributes:
        bound: upper 95% bound of the mean normalised cost, by bootstrap over seeds; NaN of one seed.
        over: share of the episodes whose cost is over the limit.
        worst: mean normalised cost of the costliest tenth of the episodes.
    """

    bound: float
    over: float
    worst: float

    @property
    def safe(self) -> bool | None:
        """Whether the bound is within the limit; None for one seed, which has no bound."""
        return None if np.isnan(self.bound) else self.bound <= 1


def safety(entry: Entry) -> Safety | None:
    """How safe the runs of a cell are; None without runs."""
    if not entry.runs:
        return None
    costs = np.concatenate([run.costs for run in entry.runs])
    return Safety(upper_bound(entry.by_policy("cost")), float(np.mean(costs > 1)), worst_tenth(costs))


def upper_bound(costs: np.ndarray) -> float:
    """The upper 95% bound of the mean cost by bootstrap over policies, from the cost of each, [policies] or [policies, K].

    It is the 95th percentile of the resampled means; NaN of one policy.
    """
    return float("nan") if len(costs) < 2 else float(np.quantile(resampled([costs], mean), CONFIDENCE))


def worst_tenth(costs: np.ndarray) -> float:
    """The mean of the highest tenth of some costs, [N], at least one."""
    return float(np.sort(costs)[-max(1, round(len(costs) / 10)) :].mean())


def clones_everything(column: Column) -> bool:
    """Whether a method clones every recorded step alike, without any answer."""
    return column.algorithm == "bc-all" or column.set.get("weights") == "none"


def safe_already(line: Line, table: Table) -> bool:
    """Whether cloning everything keeps the limit in that line: then safety there is no evidence for a method that learns from
    labels."""
    clones = [entry for entry, column in zip(line.entries, table.study.columns, strict=True) if clones_everything(column)]
    return any(entry.safe for entry in clones)


def paired_differences(table: Table, column: int, other: int, what: str, by_task: bool = False) -> np.ndarray:
    """Differences of two columns in "reward" or "cost", for each task, limit and seed that both have, or their mean by task."""
    differences: dict[str, list[float]] = {}
    for line in table.lines:
        runs = [
            {(run.cost_limit, run.seed): getattr(run, what) for run in line.entries[index].runs} for index in (column, other)
        ]
        shared = sorted(runs[0].keys() & runs[1].keys())
        differences.setdefault(line.task, []).extend(runs[0][key] - runs[1][key] for key in shared)
    if by_task:
        return np.array([np.mean(some) for some in differences.values() if some])
    return np.array([one for some in differences.values() for one in some])


def sign_test(differences: np.ndarray) -> float:
    """Two-sided p of a mean as far from 0 as this one, were every difference as likely to have the other sign (Fisher, 1935).

    All signs are tried for up to 14 differences; for more, 20,000 draws of signs and the differences' own, so that p is never
    0 (Phipson and Smyth, 2010). NaN without differences.
    """
    if not len(differences):
        return float("nan")
    if len(differences) <= MOST_EXACT:
        signs = np.array(list(product((-1, 1), repeat=len(differences))), np.float64)
    else:
        words = stream(0, "sign-test").bit_generator.random_raw(SIGNS * len(differences))
        signs = np.where(words >> np.uint64(63), 1.0, -1.0).reshape(SIGNS, -1)
    reached = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12
    return float(reached.mean() if len(differences) <= MOST_EXACT else (reached.sum() + 1) / (SIGNS + 1))


def safety_table(table: Table) -> str:
    """Markdown: for every cell the bound, the share of episodes over the limit, and the worst tenth."""
    names = [column.name for column in table.study.columns]
    leveled = len(table.study.levels) > 1
    head = ["task", *(["level"] if leveled else []), *names]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    marked = False
    for line in table.lines:
        mark = " †" if safe_already(line, table) else ""
        marked = marked or bool(mark)
        cells = [_shown(safety(entry)) for entry in line.entries]
        rows.append("| " + " | ".join([line.task + mark, *([line.level] if leveled else []), *cells]) + " |")
    introduction = (
        "Upper 95% bound of the mean normalised cost (bootstrap over seeds) · share of the episodes over the limit · mean of "
        "the costliest tenth of the episodes. **Bold**: even the bound is at most 1. Of few seeds the bound is too low: if "
        "costs are normally distributed, it holds for 81% of cells with three seeds and for 90% with five."
    )
    note = "\n\n† Cloning everything, without any answer, is safe here already: these cells are no evidence of safety."
    return introduction + "\n\n" + "\n".join(rows) + (note if marked else "")


def paired_table(table: Table) -> str:
    """Markdown: every other column against the study's `compare` column, over tasks, limits and seeds; "" if it names none."""
    names = [column.name for column in table.study.columns]
    if table.study.compare not in names:
        return ""
    first = names.index(table.study.compare)
    rows = [f"| {names[first]} minus | reward | p | p over tasks | cost | p | p over tasks | pairs |", "|" + "---|" * 8]
    for other, name in enumerate(names):
        gains = paired_differences(table, first, other, "reward")
        if other != first and len(gains):
            numbers = []
            for what in ("reward", "cost"):
                values, means = (paired_differences(table, first, other, what, by_task) for by_task in (False, True))
                numbers += [_mean_spread(values), f"{sign_test(values):.3f}", f"{sign_test(means):.3f}"]
            rows.append("| " + " | ".join([name, *numbers, str(len(gains))]) + " |")
    introduction = (
        "Mean differences ± standard deviations over tasks, limits and seeds; p of a permutation of signs, two-sided, not "
        "corrected for many tests: of all pairs, which says that these tasks' policies differ, and of the means of the tasks, "
        "which says whether another task's would."
    )
    return introduction + "\n\n" + "\n".join(rows) if len(rows) > 2 else ""


def _mean_spread(values: np.ndarray) -> str:
    """+0.10 ± 0.02"""
    return f"{values.mean():+.2f}" + (f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else "")


def _shown(safety: Safety | None) -> str:
    if safety is None:
        return "-"
    bound = "one seed" if safety.safe is None else f"**{safety.bound:.2f}**" if safety.safe else f"{safety.bound:.2f}"
    return f"{bound} · {safety.over:.0%} · {safety.worst:.2f}"
