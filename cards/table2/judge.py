"""Evaluates the packed policies of the table in their simulators, and writes the report.

    python cards/table2/judge.py play PACKED ROOT [--processes 2] [--only weighted-bc-feedback-20]
    python cards/table2/judge.py report ROOT

`play` writes a Parquet file for each run under ROOT/rows and skips the runs that have one; `report` joins these files into
cards/table2/rows.parquet and writes cards/table2/report.md. A run is evaluated with the seed that it was trained with.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent), str(HERE)]

import numpy as np  # noqa: E402
import plan  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from recorded import best_safe_return  # noqa: E402

from presa.report.safety import sign_test, upper_bound, worst_tenth  # noqa: E402
from presa.report.statistics import interquartile_mean  # noqa: E402

NO_ANSWERS = "weighted-bc-none-20"
INTRODUCTION = """Upper bound: the 95% bound of the mean normalised cost, by bootstrap over seeds, as in `presa report`.
A cell is safe if this bound is at most 1; a single seed has no bound and is judged by its mean. "!" marks unsafe cells.
p: of a two-sided permutation of signs, as in `presa report`."""


def unpack(packed: Path, root: Path) -> dict[str, dict]:
    """Writes each policy to ROOT/policies/<group>/<run>.safetensors, and returns what is recorded of each run, by its name."""
    from safetensors import safe_open

    from presa.tensors import save_tensors

    runs: dict[str, dict] = {}
    for file in sorted(packed.glob("policies-*.safetensors")):
        with safe_open(file, "pt") as opened:
            facts = json.loads(opened.metadata()["facts"])
            for name, run_facts in facts.items():
                path = root / "policies" / f"{name}.safetensors"
                if not path.is_file():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    parts = [key for key in opened.keys() if key.rpartition("/")[0] == name]  # noqa: SIM118
                    save_tensors(
                        path, {key.rpartition("/")[2]: opened.get_tensor(key).float() for key in parts}, run_facts["policy"]
                    )
            runs |= facts
    known = root / "facts.json"
    known.write_text(json.dumps((json.loads(known.read_text()) if known.is_file() else {}) | runs, indent=1))
    return runs


def play(packed: Path, root: Path, processes: int, only: str, episodes: int | None) -> None:
    """Evaluates the runs without a result, the most valuable group first; a process makes each simulator once."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    root.mkdir(parents=True, exist_ok=True)
    runs = unpack(packed, root)
    order = [group.name for group in (*plan.WEIGHTED, *plan.PRESA, *plan.FROM_FEEDBACK, *plan.ANT_CIRCLE)]
    todo = [name for name in runs if name.startswith(only) and not (root / "rows" / f"{name}.parquet").is_file()]
    todo.sort(key=lambda name: (order.index(name.split("/")[0]), name.rpartition("seed")[2], name))
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        jobs = [pool.submit(play_run, root, name, runs[name], episodes) for name in todo]
        for count, job in enumerate(as_completed(jobs)):
            print(f"{count + 1}/{len(todo)} {job.result()}", flush=True)


ENVIRONMENTS: dict[str, object] = {}


def play_run(root: Path, name: str, runs: dict, episodes: int | None) -> str:
    """Evaluates one run on the episodes of `presa evaluate`, and writes its rows."""
    from presa.rollouts.evaluate import episode_seeds, normalized
    from presa.rollouts.play import find_policy
    from presa.rollouts.play import play as play_episode
    from safefeedback.simulators import make
    from safefeedback.tasks import Task

    facts, group = runs["policy"], name.split("/")[0]
    task, limit = Task.from_dict(facts["task"]), facts["cost_limit"]
    if task.name not in ENVIRONMENTS:
        ENVIRONMENTS[task.name] = make(task)
    policy = find_policy(str(root / "policies" / f"{name}.safetensors"), limit)
    rows = []
    for episode, seed in enumerate(episode_seeds(facts["seed"], episodes or runs["group"]["episodes"])):
        row = play_episode(ENVIRONMENTS[task.name], policy, seed)
        tags = {"algorithm": group, "task": task.name, "cost_limit": limit, "seed": facts["seed"], "episode": episode}
        rows.append({**tags, **row, **normalized(row, task, limit)})
    path = root / "rows" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path.with_suffix(".partial"))
    path.with_suffix(".partial").rename(path)
    reward, cost = (float(np.mean([row[key] for row in rows])) for key in ("normalized_return", "normalized_cost"))
    return f"{name}: {reward:.3f} / {cost:.3f}"


def without_answers(rows: pa.Table, limit: float) -> pa.Table:
    """The episodes of the policies that clone everything, judged by another limit, on which their training does not depend."""
    alike = rows.filter(pc.equal(rows["algorithm"], NO_ANSWERS))
    costs = pc.divide(pc.cast(alike["cost"], pa.float64()), limit)
    changed = {"cost_limit": pa.array([limit] * len(alike)), "normalized_cost": costs}
    return pa.table({name: changed.get(name, alike[name]) for name in rows.column_names}).cast(rows.schema)


def report(root: Path) -> None:
    """Writes rows.parquet and report.md beside this file."""
    rows = pa.concat_tables(
        [pq.read_table(path) for path in sorted((root / "rows").rglob("*.parquet"))], promote_options="default"
    )
    pq.write_table(rows, HERE / "rows.parquet", compression="zstd")
    facts = json.loads((root / "facts.json").read_text())
    rows = pa.concat_tables([rows, *(without_answers(rows, limit) for limit in (10.0, 40.0))])
    table = {name: np.array(rows[name].to_pylist()) for name in rows.column_names}
    kinds = np.array([name.removeprefix("weighted-bc-").rstrip("0123456789-") for name in table["algorithm"]])
    lines, means = [], {}
    for limit in sorted(set(table["cost_limit"]), key=lambda value: (value != 20, value)):
        present = [kind for kind in dict.fromkeys(kinds) if ((kinds == kind) & (table["cost_limit"] == limit)).any()]
        tasks = [task for task in plan.TASKS if (table["task"] == task).any()]
        lines += [f"## Limit {limit:g}", "", "| reward / cost (upper bound) | " + " | ".join(tasks) + " | mean | safe cells |"]
        lines += ["|" + "---|" * (len(tasks) + 3)]
        best = {task: best_safe_return(task, limit) for task in tasks}
        for kind in present:
            cells, rewards, costs, safe = [], [], [], 0
            for task in tasks:
                chosen = (kinds == kind) & (table["cost_limit"] == limit) & (table["task"] == task)
                if not chosen.any():
                    cells.append("")
                    continue
                seeds = sorted(set(table["seed"][chosen]))
                each = np.array([[table[name][chosen & (table["seed"] == seed)].mean() for seed in seeds]
                                 for name in ("normalized_return", "normalized_cost")])  # fmt: skip
                bound = upper_bound(each[1])
                cost = table["normalized_cost"][chosen]
                means[kind, limit, task] = each[0], each[1], float((cost > 1).mean()), worst_tenth(cost)
                kept = (each[1].mean() if np.isnan(bound) else bound) <= 1
                safe += kept
                rewards.append(each[0].mean())
                costs.append(each[1].mean())
                shown = "one seed" if np.isnan(bound) else f"{bound:.2f}"
                cells.append(f"{each[0].mean():.2f} / {each[1].mean():.2f} ({shown}){'' if kept else ' !'}")
            lines.append(f"| {kind} | " + " | ".join(cells) + f" | {np.mean(rewards):.2f} / {np.mean(costs):.2f} "
                         f"| {safe} of {len(rewards)} |")  # fmt: skip
        unproven = [
            task for task in tasks if ("none", limit, task) in means and upper_bound(means["none", limit, task][1]) <= 1
        ]
        lines += ["| best safe recorded | " + " | ".join(f"{best[task]:.2f}" for task in tasks) + " | | |", ""]
        shares = [
            (kind, [(means[kind, limit, t][0].mean() / best[t]) for t in tasks if (kind, limit, t) in means])
            for kind in present
        ]
        lines += [f"Safe without any answer, and so no evidence of safety: {', '.join(unproven) or 'none'}.", ""]
        lines += ["| share of the best safe recorded return | mean | interquartile mean | least |", "|---|---|---|---|"]
        lines += [f"| {kind} | {np.mean(r):.2f} | {interquartile_mean(np.array(r)):.2f} | {min(r):.2f} |" for kind, r in shares]
        lines += [
            "",
            "| weighted-bc from feedback | episodes over the limit | cost of the worst tenth | effective episodes |",
            "|---|---|---|---|",
        ]
        for task in tasks:
            if ("feedback", limit, task) in means:
                _, _, over, worst = means["feedback", limit, task]
                of = [one["findings"]["effective_episodes"] for name, one in facts.items()
                      if name.startswith("weighted-bc-feedback") and f"/{task}-limit{limit:g}-" in name]  # fmt: skip
                lines.append(f"| {task} | {over:.0%} | {worst:.2f} | {min(of):.0f} to {max(of):.0f} |")
        lines.append("")
        for kind in present:
            both = [(means["feedback", limit, t][0], means[kind, limit, t][0]) for t in tasks
                    if ("feedback", limit, t) in means and (kind, limit, t) in means]  # fmt: skip
            if kind == "feedback" or not both or any(len(a) != len(b) for a, b in both):
                continue
            ours, theirs = (np.concatenate(side) for side in zip(*both, strict=True))
            p, by_task = sign_test(ours - theirs), sign_test(np.array([np.mean(a - b) for a, b in both]))
            lines.append(f"- from feedback against {kind}: reward {np.mean(ours - theirs):+.3f}, over {len(ours)} task and "
                         f"seed pairs, p {f'= {p:.4f}' if p >= 1e-4 else '< 0.0001'}; "
                         f"over the means of {len(both)} tasks p = {by_task:.2f}")  # fmt: skip
        lines.append("")
    (HERE / "report.md").write_text("\n".join(["# table2: what the answers are worth", "", INTRODUCTION, "", *lines]) + "\n")
    print((HERE / "report.md").read_text())


def main() -> None:
    """Reads the command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("play")
    one.add_argument("packed", type=Path)
    one.add_argument("root", type=Path)
    one.add_argument("--processes", type=int, default=2)
    one.add_argument("--only", default="")
    one.add_argument("--episodes", type=int, help="of every run, in place of the plan's")
    commands.add_parser("report").add_argument("root", type=Path)
    given = parser.parse_args()
    if given.command == "play":
        play(given.packed, given.root, given.processes, given.only, given.episodes)
    else:
        report(given.root)


if __name__ == "__main__":
    main()
