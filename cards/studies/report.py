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

from presa.report.safety import sign_test, upper_bound, worst_tenth
from safefeedback.feedback.coverage import COVERAGE, kept_episodes
from safefeedback.feedback.variants import parse
from safefeedback.randomness import stream

sys.path.extend(str(folder) for folder in list(Path(__file__).parents)[:2])
import groups as plan
from recorded import best_safe_return, recordings

HERE = Path(__file__).parent
RUN = ["group", "level", "task", "seed"]
TABLE2 = {"weighted-bc-feedback-20": "10,000 faultless answers", "weighted-bc-none-20": "no answers"}
INTRODUCTION = """Made by `python cards/studies/report.py`; what it means: [weighted_bc.md](../weighted_bc.md).
20 episodes a run, 100 in the rows "10,000 faultless answers".

Normalised reward / cost at limit 20; a cost above 1 is unsafe. "!": the upper 95% bound of a cell's mean cost (bootstrap over
seeds; of one seed its mean) exceeds 1. A run is safe here if its mean cost is at most 1. Over: share of the episodes over the
limit. Worst: mean cost of the costliest tenth. Share of reward: of what 10,000 faultless answers give on the same tasks and
seeds. Gain: over cloning everything without answers, with p of a permutation of signs over the tasks' means. "†": cloning
everything is safe there already, which is no evidence of safety: by the bound of its five seeds in table2, whatever the seeds
here. Where good episodes are missing, gain and "†" are by cloning what is left, one seed.

The rows "10,000 faultless answers" and "no answers" are those of [table2](../table2.md): the same seeds and, but for
coverage, the same pairs, fp32 on a GPU, before the share of flips was estimated as it is now. All others were trained
in bf16 on a processor, but for CDT (fp32)."""
TITLES = {
    "answers-with-recordings": "Few answers, with the steps of all recordings",
    "answers-asked": "Answers to pairs at random, then as many that `presa ask` chose; with the steps of all recordings",
    "answers-shown-only": "Few answers, and only the steps that their pairs show",
    "errors-flips": "Flipped safety labels",
    "errors-people": "Errors as people make them",
    "answers-trac-feedback": "Few answers, with the steps of all recordings: TraC's loss",
    "answers-caps-feedback": "Few answers, with the steps of all recordings: CAPS on learnt rewards and costs",
    "answers-presa-anchored": "Few answers, with the steps of all recordings: PreSa, anchored",
    "errors-few": "Few answers, some of them wrong; with the steps of all recordings",
    "coverage": "Where good episodes are missing",
    "coverage-none": "Where good episodes are missing: no answers",
    "coverage-true-sums": "Where good episodes are missing: weighted-bc from true sums",
    "presa-steps": "PreSa at its full length, every recorded step cloned once",
    "presa-segments": "PreSa at its full length, segments cloned",
    "presa-reachable": "PreSa with a bound that was reached (`--preset reachable`)",
    "presa-log": "The same with log p in place of p (`safety_form=log`)",
    "presa-bounded": "`--preset anchored` with a multiplier that rises from 1 to at most 2 (`nu_maximum=2`)",
    "settings-raw-observations": "weighted-bc on observations as they are",
    "settings-flat-rates": "weighted-bc at learning rates that do not fall",
    "trac-feedback": "TraC's loss, from feedback",
    "trac": "TraC, from true returns and costs, 10,000 steps",
    "cdt": "CDT, from true returns and costs, 1,500 steps",
    "caps-feedback": "CAPS on learnt rewards and costs",
    "caps-feedback-soft": "CAPS on learnt rewards and costs, temperature 1",
}
GROUPS = {one.name: one for one in plan.STUDIES}
NUMBERS = ["normalized_return", "normalized_cost"]


def gather(folders: list[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The episodes and the runs, those that are known and those of the folders; writes both tables."""
    runs = []
    for folder in folders:
        packed = json.loads((folder / "findings.json").read_text())
        failed = {name: why for group in packed["groups"].values() for name, why in group["failed"].items()}
        for name, found in (packed["runs"] | {name: {"failed": why} for name, why in failed.items()}).items():
            if name.startswith("runs/"):
                _, group, level, place = name.split("/")
                task, _, seed = place.rpartition("-seed")
                numbers = {key: value for key, value in found.items() if key == "failed" or isinstance(value, int | float)}
                runs.append(
                    {"group": group, "level": "" if level == "all" else level, "task": task, "seed": int(seed)} | numbers
                )
    tables = []
    for name, new in (
        ("rows", [pd.read_parquet(folder / "rows.parquet") for folder in folders]),
        ("runs", [pd.DataFrame(runs)] if runs else []),
    ):
        path = HERE / f"{name}.parquet"
        table = pd.read_parquet(path) if path.is_file() else pd.DataFrame(columns=RUN)
        for some in new:
            some = some[some.group.isin(GROUPS)]
            replaced = table.set_index(RUN).index.isin(some.set_index(RUN).index)
            table = pd.concat([table[~replaced], some], ignore_index=True) if len(table) else some
        table = table.sort_values([*RUN, *(["episode"] if name == "rows" else [])], ignore_index=True)
        table.to_parquet(path, compression="zstd", index=False)
        tables.append(table)
    return tables[0], tables[1]


def table2() -> pd.DataFrame:
    """The episodes of cards/table2 at limit 20 that the studies' are compared with."""
    rows = pd.read_parquet(HERE.parent / "table2" / "rows.parquet")
    rows = rows[(rows.cost_limit == 20) & rows.algorithm.isin(TABLE2)]
    return rows.assign(group="table2", level=rows.algorithm.map(TABLE2)).drop(columns="algorithm")


def best_left(task_name: str, coverage: str, seeds: list[int]) -> float:
    """The highest normalised return of an episode that keeps the limit, among those that a coverage leaves; mean over seeds."""
    episodes, rule = recordings(task_name), parse(coverage, COVERAGE, "--coverage")
    left = [kept_episodes(episodes, rule, plan.LIMIT, stream(seed, "coverage")) for seed in seeds]
    return float(np.mean([best_safe_return(task_name, plan.LIMIT, kept) for kept in left]))


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean reward and cost of each task's runs, by task and seed."""
    return rows.groupby(["task", "seed"])[NUMBERS].mean()


def cost_bound(rows: pd.DataFrame) -> float:
    """The upper bound of a cell's mean cost over its seeds; of a single seed its mean."""
    costs = means(rows).normalized_cost.to_numpy()
    return upper_bound(costs) if len(costs) > 1 else float(costs.mean())


def cell(rows: pd.DataFrame, none: pd.DataFrame) -> str:
    """Mean reward / cost of a cell's policies; "!" if its cost is not shown to be within the limit, "†" if that of cloning
    everything is."""
    reward, cost = means(rows).mean()
    already = len(none) and cost_bound(none) <= 1
    return f"{reward:.2f} / {cost:.2f}{' !' if cost_bound(rows) > 1 else ''}{' †' if already else ''}"


def gain(rows: pd.DataFrame, none: pd.DataFrame) -> str:
    """Reward and cost over those of cloning everything, on the same tasks and seeds, with p over tasks; "" without any."""
    apart = (means(rows) - means(none)).dropna().groupby("task").mean()
    if not len(apart):
        return ""
    return ", ".join(f"{apart[what].mean():+.2f} (p {sign_test(apart[what].to_numpy()):.3f})" for what in NUMBERS)


def table(group: str, every: pd.DataFrame, runs: pd.DataFrame, compared: pd.DataFrame) -> list[str]:
    """One group's Markdown."""
    rows = every[every.group == group]
    tasks = [task for task in plan.ALL_TASKS if task in set(rows.task)]
    seeds = sorted(rows.seed.unique())
    full, none = (compared[(compared.level == level) & compared.task.isin(tasks)] for level in TABLE2.values())
    full_rewards = means(full).normalized_return
    lines = [f"## {TITLES[group]}", "", f"Seeds {', '.join(map(str, seeds))}.", ""]
    columns = [*tasks, "mean", "safe runs", "over", "worst", "share of reward", "gain in reward, cost", "effective episodes"]
    lines += ["| reward / cost | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns) + 1)]
    levels = [level.name for level in GROUPS[group].levels]
    shown = [(level, rows[rows.level == level]) for level in levels]
    shown += [(level, some[some.seed.isin(seeds)]) for level, some in zip(TABLE2.values(), (full, none), strict=True)]
    for level, some in shown:
        own = runs[(runs.group == group) & (runs.level == level)]
        failed = own.failed.notna().sum() if "failed" in own else 0
        if not len(some):
            continue
        own_recordings = group.startswith("coverage") and level in levels
        if level == "no answers" or (own_recordings and group == "coverage-none"):
            control = none[:0]  # these are the runs that clone everything
        elif own_recordings:
            control = every[(every.group == "coverage-none") & (every.level == level)]
        else:
            control = none
        each = means(some)
        both = each.index.intersection(full_rewards.index)
        ours, theirs = (some[both].groupby("task").mean().sum() for some in (each.normalized_return, full_rewards))
        rests_on = own.effective_episodes.dropna() if "effective_episodes" in own else own.seed[:0]
        average = each.groupby("task").mean().mean()
        whole = each.index.get_level_values("task").nunique() == len(tasks)
        texts = [
            cell(some[some.task == task], control[control.task == task]) if (some.task == task).any() else "" for task in tasks
        ]
        texts += [f"{average.normalized_return:.2f} / {average.normalized_cost:.2f}" if whole else ""]
        texts += [f"{(each.normalized_cost <= 1).sum()} of {len(each)}" + (f", {failed} failed" if failed else "")]
        texts += [f"{(some.normalized_cost > 1).mean():.0%}", f"{worst_tenth(some.normalized_cost.to_numpy()):.2f}"]
        texts += [f"{ours / theirs:.2f}" if len(both) else "", gain(some, control)]
        texts += [f"{rests_on.median():.0f}, least {rests_on.min():.0f}" if len(rests_on) else ""]
        lines += [f"| {level or 'all'} | " + " | ".join(texts) + " |"]
        if group == "coverage" and level in levels:
            coverage = next(one.coverage for one in plan.COVERAGE if one.name == level)
            best = [f"{best_left(task, coverage, seeds):.2f}" if (some.task == task).any() else "" for task in tasks]
            lines += ["| best left | " + " | ".join(best) + " |" + " |" * 7]
    return [*lines, ""]


def draw(rows: pd.DataFrame, compared: pd.DataFrame) -> None:
    """Reward and cost by the number of answers: the mean over tasks of each seed, and over seeds."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    styles = {
        "answers-with-recordings": ("random pairs, steps of all recordings", "#0072B2", "o"),
        "answers-shown-only": ("random pairs, their own steps only", "#E69F00", "^"),
        "answers-asked": ("random pairs, then as many that presa ask chose", "#D55E00", "D"),
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
        panel.set(xscale="log", xlabel="answered pairs (means of seven tasks)", ylabel=f"normalised {title}", ylim=(0, None))
        panel.set_xticks([10, 20, 50, 100, 200, 500, 1000], ["10", "20", "50", "100", "200", "500", "1,000"], minor=False)
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
    for group in GROUPS:
        if (rows.group == group).any():
            lines += table(group, rows, runs, compared)
    (HERE / "report.md").write_text("\n".join(lines).rstrip() + "\n")
    draw(rows, compared)


if __name__ == "__main__":
    main()
