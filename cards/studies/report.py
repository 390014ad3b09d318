"""Joins what cards/studies/run.py packed into rows.parquet and runs.parquet, and writes report.md and answers.png.

    python cards/studies/report.py [FOLDER...]

FOLDER is an --out of run.py. rows.parquet has a row for each episode and runs.parquet one for each run; a run that is there
already is replaced. Runs of 10,000 faultless answers, and of none, are those of cards/table2 with the same seeds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from presa.report.safety import upper_bound
from safefeedback import find_task, sources
from safefeedback.feedback.coverage import COVERAGE, kept_episodes
from safefeedback.feedback.variants import parse
from safefeedback.randomness import stream

sys.path.insert(0, str(Path(__file__).parent))
import groups as plan

HERE = Path(__file__).parent
RUN = ["group", "level", "task", "seed"]
TABLE2 = {"weighted-bc-feedback-20": "10,000 faultless answers", "weighted-bc-none-20": "no answers"}
INTRODUCTION = """Made by `python cards/studies/report.py`; what it means: [weighted_bc.md](../weighted_bc.md).
Normalised reward / cost at limit 20; a cost above 1 is unsafe. "!": the upper 95% bound of a cell's mean cost (one seed: its
mean) exceeds 1. A run is safe here if its mean cost is at most 1. Share of reward: of what 10,000 faultless answers give on
the same tasks and seeds."""
TITLES = {
    "answers-with-recordings": "Few answers, with the steps of all recordings",
    "answers-asked": "100 answers at random, then 100 that `presa ask` chose; with the steps of all recordings",
    "answers-shown-only": "Few answers, and only the steps that their pairs show",
    "errors-flips": "Flipped safety labels",
    "errors-people": "Errors as people make them",
    "coverage": "Where good episodes are missing",
    "coverage-none": "Where good episodes are missing: no answers",
    "coverage-true-sums": "Where good episodes are missing: weighted-bc from true sums",
    "presa-reachable": "PreSa with a bound that was reached (`--preset reachable`)",
    "presa-log": "The same with log p in place of p (`safety_form=log`)",
    "presa-bounded": "`--preset anchored` with a multiplier that rises from 1 to at most 2 (`nu_maximum=2`)",
    "settings-raw-observations": "weighted-bc on observations as they are",
    "settings-flat-rates": "weighted-bc at learning rates that do not fall",
    "trac-feedback": "TraC's loss, from feedback",
}


def gather(folders: list[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The episodes and the runs, those that are known and those of the folders; writes both tables."""
    episodes = [pd.read_parquet(folder / "rows.parquet") for folder in folders]
    runs = []
    for folder in folders:
        for name, found in json.loads((folder / "findings.json").read_text())["runs"].items():
            _, group, level, place = name.split("/")
            task, _, seed = place.rpartition("-seed")
            level = "" if level == "all" else level
            numbers = {key: value for key, value in found.items() if isinstance(value, int | float)}
            runs.append({"group": group, "level": level, "task": task, "seed": int(seed), **numbers})
    tables = []
    for name, new in (("rows", episodes), ("runs", [pd.DataFrame(runs)] if runs else [])):
        path = HERE / f"{name}.parquet"
        known = [pd.read_parquet(path)] if path.is_file() else []
        each = [*RUN, "episode"] if name == "rows" else RUN
        table = pd.concat([*known, *new], ignore_index=True).drop_duplicates(each, keep="last")
        table = table[table.group.isin(TITLES)].sort_values(each, ignore_index=True)
        table.to_parquet(path, compression="zstd", index=False)
        tables.append(table)
    played = tables[0].set_index(RUN).index
    return tables[0], tables[1][tables[1].set_index(RUN).index.isin(played)]


def table2() -> pd.DataFrame:
    """The episodes of cards/table2 at limit 20 that the studies' are compared with."""
    rows = pd.read_parquet(HERE.parent / "table2" / "rows.parquet")
    rows = rows[(rows.cost_limit == 20) & rows.algorithm.isin(TABLE2)]
    return rows.assign(group="table2", level=rows.algorithm.map(TABLE2)).drop(columns="algorithm")


def best_left(task_name: str, coverage: str) -> float:
    """The highest normalised return of an episode that keeps the limit, among those that a coverage leaves."""
    task = find_task(task_name)
    episodes = sources.load("recordings", task)
    kept = kept_episodes(episodes, parse(coverage, COVERAGE, "--coverage"), 20.0, stream(0, "coverage"))
    returns, costs = (np.add.reduceat(values, episodes.bounds[:-1]) for values in (episodes.rewards, episodes.costs))
    low, high = task.reference_returns or (0.0, 1.0)
    return float((returns[kept & (costs <= 20)].max() - low) / (high - low))


def cell(rows: pd.DataFrame) -> str:
    """Mean reward / cost of a cell's policies; "!" if its cost is not shown to be within the limit."""
    means = rows.groupby("seed")[["normalized_return", "normalized_cost"]].mean()
    cost = means.normalized_cost.mean()
    bound = upper_bound(means.normalized_cost.to_numpy()) if len(means) > 1 else cost
    return f"{means.normalized_return.mean():.2f} / {cost:.2f}{' !' if bound > 1 else ''}"


def table(group: str, rows: pd.DataFrame, runs: pd.DataFrame, compared: pd.DataFrame) -> list[str]:
    """One group's Markdown."""
    tasks = [task for task in plan.ALL_TASKS if task in set(rows.task)]
    levels = [
        level.name
        for one in (*plan.GROUPS, *plan.REPAIRED, *plan.SETTINGS, *plan.FROM_FEEDBACK)
        if one.name == group
        for level in one.levels
    ]
    seeds = sorted(rows.seed.unique())
    lines = [f"## {TITLES[group]}", "", f"Seeds {', '.join(map(str, seeds))}.", ""]
    lines += ["| reward / cost | " + " | ".join(tasks) + " | mean | safe runs | share of reward | effective episodes |"]
    lines += ["|" + "---|" * (len(tasks) + 5)]
    shown = [(level, rows[rows.level == level]) for level in levels]
    shown += [(level, compared[(compared.level == level) & compared.seed.isin(seeds)]) for level in TABLE2.values()]
    for level, some in shown:
        cells = [some[some.task == task] for task in tasks]
        present = [(task, one) for task, one in zip(tasks, cells, strict=True) if len(one)]
        if not present:
            continue
        means = some[some.task.isin(tasks)].groupby(["task", "seed"])[["normalized_return", "normalized_cost"]].mean()
        full = compared[compared.level == TABLE2["weighted-bc-feedback-20"]].groupby(["task", "seed"]).normalized_return.mean()
        both = means.index.intersection(full.index)
        share = means.normalized_return[both].groupby("task").mean().sum() / full[both].groupby("task").mean().sum()
        rests_on = runs[(runs.group == group) & (runs.level == level)].effective_episodes.dropna()
        said = f"{rests_on.median():.0f}, least {rests_on.min():.0f}" if len(rests_on) else ""
        average = means.groupby("task").mean().mean()
        mean = f"{average.normalized_return:.2f} / {average.normalized_cost:.2f}" if len(present) == len(tasks) else ""
        safe = f"{(means.normalized_cost <= 1).sum()} of {len(means)}"
        texts = [cell(one) if len(one) else "" for one in cells]
        lines += [f"| {level or 'all'} | " + " | ".join(texts) + f" | {mean} | {safe} | {share:.2f} | {said} |"]
        if group.startswith("coverage") and level in levels:
            coverage = next(one.coverage for one in plan.COVERAGE if one.name == level)
            best = {task: best_left(task, coverage) for task, _ in present}
            lines += ["| best left | " + " | ".join(f"{best[t]:.2f}" if t in best else "" for t in tasks) + " | | | | |"]
    return [*lines, ""]


def draw(rows: pd.DataFrame, compared: pd.DataFrame) -> None:
    """Reward and cost by the number of answers: the mean over tasks of each seed, and over seeds."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    styles = {
        "answers-with-recordings": ("random pairs, steps of all recordings", "#0072B2", "o"),
        "answers-shown-only": ("random pairs, their own steps only", "#E69F00", "^"),
        "answers-asked": ("100 random pairs, 100 that presa ask chose", "#D55E00", "D"),
    }
    for panel, what, title in zip(panels, ("normalized_return", "normalized_cost"), ("reward", "cost"), strict=True):
        for group, (label, colour, marker) in styles.items():
            some = rows[rows.group == group]
            complete = some.groupby(["level", "seed"]).filter(lambda one: one.task.nunique() == len(plan.TASKS))
            if not len(complete):
                continue
            means = complete.groupby(["level", "seed", "task"])[what].mean().groupby(["level", "seed"]).mean()
            places = means.index.get_level_values("level").astype(int)
            panel.scatter(places, means, color=colour, marker=marker, s=14, alpha=0.6)
            line = means.groupby(places).mean()
            panel.plot(line.index, line, color=colour, marker=marker, markersize=4, label=label)
        for level, style in ((TABLE2["weighted-bc-feedback-20"], "-"), (TABLE2["weighted-bc-none-20"], "--")):
            some = compared[(compared.level == level) & compared.task.isin(plan.TASKS)]
            panel.axhline(some.groupby("task")[what].mean().mean(), color="0.4", linestyle=style, linewidth=1, label=level)
        panel.set(xscale="log", xlabel="answered pairs", ylabel=f"normalised {title}, mean of seven tasks", ylim=(0, None))
        panel.set_xticks([50, 100, 200, 500, 1000], ["50", "100", "200", "500", "1,000"], minor=False)
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.savefig(HERE / "answers.png", dpi=110, metadata={"Software": None})


def main() -> None:
    """Reads the command line; see the module."""
    rows, runs = gather([Path(name) for name in sys.argv[1:]])
    compared = table2()
    lines = ["# The studies, as they stand", "", *INTRODUCTION.splitlines(), ""]
    for group in TITLES:
        if (rows.group == group).any():
            lines += table(group, rows[rows.group == group], runs, compared)
    (HERE / "report.md").write_text("\n".join(lines).rstrip() + "\n")
    draw(rows, compared)


if __name__ == "__main__":
    main()
