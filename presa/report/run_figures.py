"""Figures of a comparison of runs: what they reported over their steps, and reward against cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from presa.report.comparison import EvaluatedRun, benchmark_task, mean_of
from presa.report.figures import COLOURS, STYLES, NamedFigure
from presa.runs.plots import LABELS, mark_few, panels
from presa.runs.records import read_metrics
from safefeedback.plots.style import ACCENT, OTHER, default_style, new_figure, without_frame
from safefeedback.simulators.ceilings import ceiling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = "osD^vPX*"


def draw_runs(judged: Sequence[EvaluatedRun]) -> list[NamedFigure]:
    """(name, figure, caption) of every figure for which the runs have data."""
    bounds = ceilings(judged)
    with default_style():
        figures = [
            (
                "reward-cost",
                reward_against_cost(judged),
                "Reward against cost, a dot a run, a panel a task and limit; left of the dotted line is safe."
                + " The grey line is about the most that any policy can score." * bool(bounds),
            )
        ]
        if (curves := learning_curves(judged)) is not None:
            caption = "What the runs reported over their steps, after cloning: a colour a method, a style a task and limit."
            figures.append(("curves", curves, caption))
    return figures


def ceilings(judged: Sequence[EvaluatedRun]) -> dict[str, float]:
    """The highest score that any policy can reach, of each task that has such a bound."""
    played = {name: benchmark_task(run, name) for run in judged for name, _ in run.places}
    found = {name: None if task is None else ceiling(task) for name, task in played.items()}
    return {name: most for name, most in found.items() if most is not None}


def reward_against_cost(judged: Sequence[EvaluatedRun]) -> Figure:
    """A panel for each task and limit, a dot for each run."""
    methods = list(dict.fromkeys(run.name for run in judged))
    places = sorted({place for run in judged for place in run.places})
    bounds = ceilings(judged)
    wide = min(4, len(places))
    figure = new_figure(max(4.0, 2.6 * wide), 2.4 * -(-len(places) // wide) + 0.3 * -(-len(methods) // 2))
    for index, (task, limit) in enumerate(places):
        axes = without_frame(figure.add_subplot(-(-len(places) // wide), wide, index + 1))
        for run in judged:
            if (task, limit) in run.places:
                point, method = mean_of(run, task, limit), methods.index(run.name)
                marker = MARKERS[method % len(MARKERS)]
                axes.scatter(
                    point.cost, point.reward, s=24, color=COLOURS[method % len(COLOURS)], marker=marker, label=run.name
                )
        axes.axvline(1, color=ACCENT, linestyle=":", linewidth=1)
        if task in bounds:
            axes.axhline(bounds[task], color=OTHER, linewidth=0.8, zorder=0)
        axes.set(title=f"{task}, limit {limit:g}", xlabel="normalised cost", ylabel="reward" if index % wide == 0 else "")
        axes.set_xlim(left=min(0, axes.get_xlim()[0]), right=max(1.2, axes.get_xlim()[1]))
    return with_legend(figure)


def learning_curves(judged: Sequence[EvaluatedRun]) -> Figure | None:
    """A panel for each number that runs reported; None if they reported nothing."""
    lines = {run.folder: [line for line in read_metrics(run.folder) if line["stage"] == "main"] for run in judged}
    reported = {run: panels(some) for run, some in lines.items()}
    names = {key: name for groups in reported.values() for name, some in groups for key in some}
    keys = sorted(names, key=lambda key: (*LABELS, "loss", *names).index(key))
    if not keys:
        return None
    methods = list(dict.fromkeys(run.name for run in judged))
    places = sorted({place for run in judged for place in run.places})
    wide = min(3, len(keys))
    figure = new_figure(3.2 * wide, 2.3 * -(-len(keys) // wide) + 0.3 * -(-len(methods) * len(places) // 2))
    for index, key in enumerate(keys):
        axes = without_frame(figure.add_subplot(-(-len(keys) // wide), wide, index + 1))
        for run in judged:
            shown = any(key in some for _, some in reported[run.folder])
            points = [(line["step"], line[key]) for line in lines[run.folder] if shown and line.get(key) is not None]
            if points:
                task, limit = run.places[0]
                label = f"{run.name}, {task} {limit:g}" if len(places) > 1 else run.name
                style = STYLES[places.index((task, limit)) % len(STYLES)]
                colour = COLOURS[methods.index(run.name) % len(COLOURS)]
                drawn = axes.plot(
                    *zip(*points, strict=True), color=colour, linestyle=style, linewidth=1, alpha=0.8, label=label
                )
                mark_few(drawn[0], len(points))
        title = names[key] if LABELS.get(key, key) == key else f"{names[key]}\n{LABELS[key]}"
        axes.set(title=title, xlabel="step")
        axes.set_xlim(left=0)
    return with_legend(figure)


def with_legend(figure: Figure) -> Figure:
    """The figure with every name once, below its panels."""
    handles = {text: line for axes in figure.axes for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure
