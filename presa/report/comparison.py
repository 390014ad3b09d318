"""Any runs beside one another, whatever made them: a line for each task and cost limit, a column for each method."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from presa.report.figures import COLOURS
from presa.report.tables import Entry, Line, Run, Table
from presa.runs.card import train_command
from presa.runs.evaluation import runs_below
from presa.runs.plots import PANELS
from presa.runs.records import read_config, read_metrics
from presa.study.grid import Column, Level, Study
from safefeedback.errors import InputError
from safefeedback.plots.style import default_style, new_figure, without_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class EvaluatedRun:
    """A run and what its evaluation found.

    Attributes:
        folder: of the run.
        config: its config.json.
        rows: of its evaluation.json, one for each episode.
    """

    folder: Path
    config: dict[str, Any]
    rows: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        """The algorithm, with the settings that differ from its defaults."""
        changed = ", ".join(f"{name}={value}" for name, value in sorted(self.config.get("changed", {}).items()))
        return f"{self.config['algorithm']} ({changed})" if changed else str(self.config["algorithm"])


def find_evaluated(folders: Sequence[Path]) -> tuple[list[EvaluatedRun], list[Path]]:
    """The runs in some folders that were evaluated, each once, and those that were not.

    Raises:
        InputError: if there is no run, or an evaluation cannot be read.
    """
    places = dict.fromkeys(place for folder in folders for place in (runs_below(folder) or [folder]))
    for place in places:
        if not (place / "config.json").is_file():
            raise InputError(f"{place} is not a folder of `presa study`, and holds no run of `presa train`")
    judged, left = [], []
    for place in places:
        config, path = read_config(place), place / "evaluation.json"
        if not path.is_file():
            left.append(place)
            continue
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
            needed = ("task", "cost_limit", "seed", "normalized_return", "normalized_cost")
            assert all(row.keys() >= set(needed) for row in rows)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError):
            raise InputError(f"{path} is not an evaluation of presa's: `presa evaluate {place}` writes it anew") from None
        judged.append(EvaluatedRun(place, config, tuple(rows)))
    if not judged:
        raise InputError(f"no run in {', '.join(map(str, folders))} was evaluated yet: `presa evaluate {folders[0]}` first")
    return judged, left


def compare(judged: Sequence[EvaluatedRun]) -> Table:
    """A table of runs: methods that differ in a setting are columns of their own; no average hides a limit."""
    methods = list(dict.fromkeys(one.name for one in judged))
    places = sorted({(row["task"], float(row["cost_limit"])) for one in judged for row in one.rows})
    first = {one.name: one.config for one in reversed(judged)}
    columns = tuple(
        Column(name, str(first[name]["algorithm"]), dict(first[name].get("changed", {})), paper=False) for name in methods
    )
    levels = tuple(Level(f"limit {limit:g}") for limit in sorted({limit for _, limit in places}))
    study = Study("comparison", "Runs beside one another", columns, levels)
    found: dict[tuple[str, float, str], list[Run]] = {}
    for one in judged:
        for task, limit in dict.fromkeys((row["task"], float(row["cost_limit"])) for row in one.rows):
            rows = [row for row in one.rows if (row["task"], row["cost_limit"]) == (task, limit)]
            costs = tuple(float(row["normalized_cost"]) for row in rows)
            reward = float(np.mean([row["normalized_return"] for row in rows]))
            seed = one.config["seed"]
            found.setdefault((task, limit, one.name), []).append(Run(limit, seed, reward, float(np.mean(costs)), costs))
    lines = tuple(
        Line(
            task, f"limit {limit:g}", tuple(Entry(tuple(found.get((task, limit, name), ())), 0, None, None) for name in methods)
        )
        for task, limit in places
    )
    return Table(study, lines, (), compared=False)


def train_commands(judged: Sequence[EvaluatedRun]) -> list[str]:
    """What trains each run again, one line a run."""
    return [f"{train_command(one.config)}    # {one.folder}" for one in judged]


def learning_curves(judged: Sequence[EvaluatedRun]) -> Figure | None:
    """What the runs reported over their steps, a panel a number, a colour a method; None if they reported nothing."""
    lines = {one.folder: [line for line in read_metrics(one.folder) if line["stage"] == "main"] for one in judged}
    keys = [
        key for _, keys in PANELS for key in keys if any(line.get(key) is not None for some in lines.values() for line in some)
    ]
    if not keys:
        return None
    methods = list(dict.fromkeys(one.name for one in judged))
    wide = min(3, len(keys))
    with default_style():
        figure = new_figure(3.2 * wide, 2.3 * -(-len(keys) // wide))
        for place, key in enumerate(keys):
            axes = without_frame(figure.add_subplot(-(-len(keys) // wide), wide, place + 1))
            for one in judged:
                known = [(line["step"], line[key]) for line in lines[one.folder] if line.get(key) is not None]
                if known:
                    colour = COLOURS[methods.index(one.name) % len(COLOURS)]
                    axes.plot(*zip(*known, strict=True), color=colour, linewidth=1, alpha=0.8, label=one.name)
            axes.set(title=key.replace("_", " "), xlabel="step")
        handles = {text: line for axes in figure.axes for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure
