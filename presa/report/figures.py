"""The paper's figures from a study's table: ratio of safe agents, reward against cost, sweeps, learning curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from presa.report.statistics import mean
from presa.report.tables import Table
from presa.runs.records import read_metrics
from presa.study.cells import cell_folder
from presa.study.grid import Cell
from safefeedback.plots.style import ACCENT, OTHER, SAFE, UNSAFE, default_style, new_figure, without_frame
from safefeedback.simulators.ceilings import ceiling
from safefeedback.tasks import find_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = ("-", "--", "-.", ":")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
NamedFigure = tuple[str, "Figure", str]


def draw(table: Table, root: Path, cells: Sequence[Cell]) -> list[NamedFigure]:
    """(name, figure, caption) of every figure for which the table has data."""
    figures: list[NamedFigure] = []
    with default_style():
        for maker in (ratio, scatter, sweep):
            if (figure := maker(table)) is not None:
                figures.append(figure)
        if (figure := curves(table, root, cells)) is not None:
            figures.append(figure)
    return figures


def ratio(table: Table) -> NamedFigure | None:
    """Share of safe tasks of each column (Figure 2); None where there are levels, which `sweep` shows."""
    if len(table.study.levels) > 1 or not any(entry.runs for line in table.lines for entry in line.entries):
        return None
    names = [column.name for column in table.study.columns]
    figure = new_figure(max(4.0, 1.1 * len(names)), 3.0)
    axes = without_frame(figure.add_subplot())
    series = [(-0.2, SAFE, "ours", [table.safe_count(index, "") for index in range(len(names))])]
    if table.study.paper:
        series.append((0.2, OTHER, "paper", [table.paper_safe_count(index, "") for index in range(len(names))]))
    for shift, colour, label, counts in series:
        shares = [safe / of if of else 0.0 for safe, of in counts]
        axes.bar(np.arange(len(names)) + shift, shares, 0.38, color=colour, label=label)
        for x, (safe, of) in enumerate(counts):
            axes.text(x + shift, (safe / of if of else 0) + 0.02, f"{safe}/{of}" if of else "-", ha="center", fontsize=7)
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n", 1) for name in names], fontsize=8)
    axes.set(ylim=(0, 1.12), ylabel="share of tasks within the cost limit")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return "safe-ratio", figure, "Share of tasks whose mean cost keeps the limit (the paper's Figure 2), ours and as printed."


def scatter(table: Table) -> NamedFigure | None:
    """Reward against cost, a dot per task, a panel per column (Figure 3)."""
    if len(table.study.levels) > 1:
        return None
    columns = [index for index in range(len(table.study.columns)) if any(line.entries[index].runs for line in table.lines)]
    if not columns:
        return None
    wide = min(4, len(columns))
    figure = new_figure(2.6 * wide, 2.5 * -(-len(columns) // wide))
    every = [entry for line in table.lines for entry in line.entries if entry.runs]
    right = 1.15 * max(1.2, *(entry.cost or 0 for entry in every))
    low, high = (f(entry.reward or 0 for entry in every) for f in (min, max))
    high = max([high, *(most for line in table.lines if (most := ceiling(find_task(line.task))) is not None)])
    first, high_points, wide_points = None, 110 / (high - low + 0.2), 125 / right  # inches of a panel
    for place, index in enumerate(columns):
        axes = without_frame(figure.add_subplot(-(-len(columns) // wide), wide, place + 1, sharex=first, sharey=first))
        first = first or axes
        dots = [(line.task, line.entries[index]) for line in table.lines if line.entries[index].runs]
        taken: list[tuple[float, float]] = []
        for task, entry in sorted(dots, key=lambda dot: dot[1].reward or 0):
            x, y = entry.cost or 0.0, entry.reward or 0.0
            if (most := ceiling(find_task(task))) is not None:
                axes.plot([x, x], [y, most], color=OTHER, linewidth=0.6, zorder=0)
                axes.scatter(x, most, color=OTHER, marker="_", s=60, zorder=0)
            axes.scatter(x, y, color=SAFE if entry.safe else UNSAFE, s=22)
            over = x <= 1 < x + 38 / wide_points  # its name would overlap the limit's line
            left = (over and x * wide_points > 34) or (x > 0.7 * right and x * wide_points - 38 > wide_points)
            aside = 7 + (1 - x) * wide_points if over and not left else 4  # no room on its left: right of the line
            at, up = x * wide_points + (-34 if left else aside - 4), 2.0
            while any(abs(at - other) < 36 and abs(y * high_points + up - height) < 6.5 for other, height in taken):
                up += 0.5
            taken.append((at, y * high_points + up))
            words: Any = {"textcoords": "offset points", "ha": "right" if left else "left", "fontsize": 6}
            if up > 4 or aside > 4:
                words["arrowprops"] = {"arrowstyle": "-", "linewidth": 0.4, "color": OTHER, "shrinkA": 0, "shrinkB": 0}
            axes.annotate(task, (x, y), xytext=(-4 if left else aside, up), **words)
        axes.axvline(1, color=ACCENT, linestyle=":", linewidth=1)
        axes.set(title=table.study.columns[index].name, xlim=(-0.05 * right, right), ylim=(low - 0.1, high + 0.1))
        axes.set(xlabel="normalised cost", ylabel="normalised reward" if place % wide == 0 else "")
    caption = "Normalised reward against cost, a dot a task; left of the dotted line is safe (Figure 3)."
    if any(ceiling(find_task(line.task)) is not None for line in table.lines):
        caption += " A grey bar is about the most that any policy can score in the task."
    return "reward-cost", figure, caption


def sweep(table: Table) -> NamedFigure | None:
    """Reward and cost over what is swept, with 95% intervals over runs, the mean of all tasks (Figure 4)."""
    study = table.study
    if study.sweep is None:
        return None
    names = [level.name for level in study.levels] if len(study.levels) > 1 else [column.name for column in study.columns]
    figure = new_figure(7.5, 3.0)
    for place, what in enumerate(("reward", "cost")):
        axes = without_frame(figure.add_subplot(1, 2, place + 1))
        if len(study.levels) > 1:
            for index, column in enumerate(study.columns):
                _band(axes, table, [(index, name) for name in names], what, column.name, COLOURS[index])
        else:
            first = 0
            for last in _ends(table):  # a line for each sweep of the study, eta having two
                label = "ours" if not first else None
                _band(axes, table, [(index, "") for index in range(first, last)], what, label, SAFE, first)
                _printed(axes, table, what, range(first, last), "paper (mean)" if not first else None)
                first = last
        if what == "cost":
            axes.axhline(1, color=ACCENT, linestyle=":", linewidth=1)
        axes.set_xticks(range(len(names)), names, rotation=45 if max(map(len, names)) > 8 else 0)
        axes.set(xlabel=study.sweep, ylabel=f"normalised {what}", xlim=(-0.3, len(names) - 0.7))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    tasks = len({line.task for line in table.lines})
    return (
        "sweep",
        figure,
        f"Mean over runs of up to {tasks} tasks and its 95% bootstrap interval; the dotted line is the limit (Figure 4).",
    )


def _ends(table: Table) -> list[int]:
    """Where the study's sweeps end, as indices of columns: a new one begins where the paper's columns begin again."""
    ends, levels_seen = [], set[str | None]()
    for index, column in enumerate(table.study.columns):
        if column.paper_name in levels_seen:
            ends.append(index)
            levels_seen = set()
        levels_seen.add(column.paper_name)
    return [*ends, len(table.study.columns)]


def _band(
    axes: Axes, table: Table, points: Sequence[tuple[int, str]], what: str, label: str | None, colour: str, first: int = 0
) -> None:
    """Ours at the points (column, level), the first of which stands at x = first; those without a number are left out."""
    intervals = {first + x: table.interval(index, level, what, mean) for x, (index, level) in enumerate(points)}
    drawn = {x: interval for x, interval in intervals.items() if interval is not None}
    if drawn:
        value, low, high = zip(*drawn.values(), strict=True)
        axes.plot(list(drawn), value, marker="o", markersize=4, color=colour, label=label)
        axes.fill_between(list(drawn), low, high, color=colour, alpha=0.18, linewidth=0)


def _printed(axes: Axes, table: Table, what: str, columns: range, label: str | None) -> None:
    """The mean of the paper's numbers for the same tasks."""
    means = []
    for index in columns:
        values = [getattr(line.entries[index].paper, what) for line in table.lines if line.entries[index].paper]
        if values and len(values) == len(table.lines):
            means.append((index, float(np.mean(values))))
    if means:
        axes.plot(*zip(*means, strict=True), marker="s", markersize=4, color=OTHER, linestyle="--", label=label)


def curves(table: Table, root: Path, cells: Sequence[Cell]) -> NamedFigure | None:
    """Reward and cost of rollouts during training (Figures 6-9), if they were requested."""
    series = [(cell, points) for cell in cells if cell.evaluate_every and (points := _rollouts(root, cell)) is not None]
    tasks = list(dict.fromkeys(cell.task for cell, _ in series))
    if not series:
        return None
    columns, levels = ([one.name for one in some] for some in (table.study.columns, table.study.levels))
    figure = new_figure(2.6 * min(4, len(tasks)), 4.0 * -(-len(tasks) // 4))
    wide, high = min(4, len(tasks)), 2 * -(-len(tasks) // 4)
    for place, task in enumerate(tasks):
        for offset, what in enumerate(("reward", "cost")):
            axes = without_frame(figure.add_subplot(high, wide, (2 * (place // wide) + offset) * wide + place % wide + 1))
            for cell, (steps, values, cloned) in series:
                if cell.task == task:
                    middle, deviation = values[what].mean(0), values[what].std(0)
                    colour = COLOURS[columns.index(cell.column) % len(COLOURS)]
                    style = STYLES[levels.index(cell.level) % len(STYLES)]
                    name = f"{cell.column} {cell.level}".strip()
                    axes.plot(steps, middle, color=colour, linestyle=style, label=name, linewidth=1)
                    axes.fill_between(steps, middle - deviation, middle + deviation, color=colour, alpha=0.15, linewidth=0)
                    if cloned:
                        axes.axvline(cloned, color=OTHER, linestyle=":", linewidth=1)
            if what == "cost":
                axes.axhline(1, color=ACCENT, linestyle=":", linewidth=1)
            axes.set(title=task if what == "reward" else "", ylabel=what if place % wide == 0 else "")
            axes.set(xlabel="step" if what == "cost" else "")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=7, frameon=False)
    return (
        "curves",
        figure,
        "Rollouts while training, mean and deviation over runs; the vertical line is where cloning ends (Figures 6-9).",
    )


def _rollouts(root: Path, cell: Cell) -> tuple[list[int], dict[str, np.ndarray], int] | None:
    """Steps, reward and cost [runs, steps], and where cloning ended; None if there are none."""
    by_run: list[list[dict[str, float]]] = []
    cloned = 0
    for run in sorted(path.parent for path in cell_folder(root, cell).glob("limit*-seed*/policy.safetensors")):
        lines = read_metrics(run)
        cloned = max([cloned, *(line["step"] for line in lines if line["stage"] == "bc")])
        by_run.append([line for line in lines if line.get("evaluated_reward") is not None])
    steps = sorted(set.intersection(*({int(line["step"]) for line in lines} for lines in by_run))) if by_run else []
    if not steps:
        return None
    pick: Callable[[str], np.ndarray] = lambda key: np.array(  # noqa: E731
        [[line[key] for line in lines if line["step"] in steps] for lines in by_run]
    )
    return steps, {"reward": pick("evaluated_reward"), "cost": pick("evaluated_cost")}, cloned
