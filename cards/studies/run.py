"""Trains and plays the runs of the studies on one machine, in a bounded time.

    python cards/studies/run.py ROOT --minutes 9 [--device cuda] [--players 10] [--out FOLDER] [--only NAME,...]
        [--seeds N,...] [--levels NAME,...] [--precision bf16] [--tiny]

Datasets are made by all cores at first; then a few processes train groups, while the others play what is finished. On a GPU
each group is one stack; on a processor its runs are trained one by one, seed by seed. The same command goes on where it was.
FOLDER gets rows.parquet (a row for each episode), findings.json (what each run rests on), the folders of the benchmark's runs
and of PreSa's, and, packed, the policies that were not played.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tarfile
import time
import traceback
import warnings
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import groups as plan  # noqa: E402
from data import Loader, all_runs, ask_all, asked, build, dataset, mark  # noqa: E402

PAIRS = 10_000
REPORTING_SEED = 2026  # of the benchmark's evaluation


def say(text: str) -> None:
    """A line at once."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def folder_of(root: Path, group: plan.Group, task: str, seed: int, level: plan.Level) -> Path:
    """The folder of a run."""
    if group.name.startswith("benchmark"):
        name = group.name.removeprefix("benchmark-")
        return root / "benchmark" / task / name / f"{task}-{name}-seed{seed}"
    return root / "runs" / group.name / f"{level.name or 'all'}" / f"{task}-seed{seed}"


def work(root: Path, groups: list[plan.Group], device: str, deadline: float) -> None:
    """Trains groups, one after another, each when its datasets are there, until they are done or the time is."""
    import torch

    from presa.algorithms import configure
    from presa.runs.card import write_card_and_plots
    from presa.runs.records import MonitorSettings
    from presa.runs.run import Job, train_all

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    loader = Loader(root, device)
    for group in groups:
        done = root / "done" / f"{group.name}-{'-'.join(map(str, group.seeds))}.json"
        places = [
            place for _, place in all_runs([group]) if not (folder_of(root, group, *place) / "policy.safetensors").is_file()
        ]
        awaited = {(dataset(root, group, *place), asked(place[2]) if place[2].asked else "ready") for place in places}
        while time.time() < deadline and not all(
            mark(folder, kind).exists() or mark(folder, "failed").exists() for folder, kind in awaited
        ):
            time.sleep(0.5)
        places = [place for place in places if not mark(dataset(root, group, *place), "failed").exists()]
        if not places or time.time() >= deadline:
            continue
        began = time.time()
        try:
            algorithm = configure(group.algorithm, group.preset, group.settings)
            every = max(1, algorithm.steps // 10) if group.algorithm == "presa" else algorithm.steps
            settings = MonitorSettings(report_every=every, checkpoint_every=every if group.algorithm == "presa" else 10**9)
            if group.name.startswith("benchmark"):
                settings = MonitorSettings()
            failed: dict[str, str] = {}
            for some in [places] if device.startswith("cuda") else [[place] for place in places]:
                if time.time() >= deadline:
                    raise KeyboardInterrupt
                jobs = [Job(loader.load(group, *place), place[1], folder_of(root, group, *place)) for place in some]
                say(f"{group.name}: {len(jobs)} of {len(places)} runs, data ready after {time.time() - began:.0f} s")
                summaries = train_all(group.algorithm, algorithm, jobs, settings)
                failed |= {str(Path(one["folder"]).relative_to(root)): one["failed"] for one in summaries if "failed" in one}
                if group.name.startswith("benchmark"):
                    for job in jobs:
                        write_card_and_plots(job.folder)
            done.write_text(json.dumps({"seconds": round(time.time() - began, 1), "runs": len(places), "failed": failed}))
            say(f"{group.name}: done after {time.time() - began:.0f} s, {len(failed)} failed")
        except KeyboardInterrupt:
            say(f"{group.name}: interrupted; goes on from its last checkpoint")
            return
        except Exception:
            (root / f"{group.name}.error.txt").write_text(traceback.format_exc())
            say(f"{group.name}: {traceback.format_exc()}")


def play(root: Path, group: plan.Group, place: tuple[str, int, plan.Level]) -> str:
    """Evaluates a run on the episodes of `presa evaluate` and writes its rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch

    from presa.runs.evaluation import evaluate_run

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    folder, (_, seed, level) = folder_of(root, group, *place), place
    judged = evaluate_run(folder, group.episodes, REPORTING_SEED if group.name.startswith("benchmark") else seed, processes=1)
    tags = {"group": group.name, "level": level.name}
    path = folder / "rows.parquet"
    pq.write_table(
        pa.Table.from_pylist([{**tags, **row, "seed": seed} for row in judged["rows"]]), path.with_suffix(".partial")
    )
    path.with_suffix(".partial").rename(path)
    means = [sum(row[key] for row in judged["rows"]) / len(judged["rows"]) for key in ("normalized_return", "normalized_cost")]
    return f"{folder.relative_to(root)}: {means[0]:.3f} / {means[1]:.3f}"


def pack(root: Path, out: Path, groups: list[plan.Group]) -> None:
    """Writes what is worth taking along into a few files; see the module."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out.mkdir(parents=True, exist_ok=True)
    tables, findings, unplayed = [], {}, []
    for group, place in all_runs(groups):
        folder = folder_of(root, group, *place)
        if (folder / "rows.parquet").is_file():
            tables.append(pq.read_table(folder / "rows.parquet"))
        elif (folder / "policy.safetensors").is_file():
            unplayed.append(folder)
        if (folder / "findings.json").is_file():
            found = json.loads((folder / "findings.json").read_text())
            name = str(folder.relative_to(root))
            findings[name] = {key: value for key, value in found.items() if key != "episodes"}
    if tables:
        pq.write_table(pa.concat_tables(tables, promote_options="default"), out / "rows.parquet", compression="zstd")
    done = {path.stem: json.loads(path.read_text()) for path in sorted((root / "done").glob("*.json"))}
    (out / "findings.json").write_text(json.dumps({"groups": done, "runs": findings}))
    benchmark, half = sorted((root / "benchmark").glob("*/*")), len(plan.ALL_TASKS) // 2
    ours = [folder for folder in benchmark if folder.name == "weighted-bc"]
    for name, folders in (
        ("benchmark-weighted-bc-1", ours[:half]),
        ("benchmark-weighted-bc-2", ours[half:]),
        ("benchmark-bc-all", [folder for folder in benchmark if folder.name == "bc-all"]),
        ("benchmark-shuffled", [folder for folder in benchmark if folder.name == "shuffled"]),
        ("presa", sorted((root / "runs").glob("presa-*"))),
        ("unplayed", [folder for folder in unplayed if "benchmark" not in str(folder.relative_to(root))]),
    ):
        if folders:
            with tarfile.open(out / f"{name}.tgz", "w:gz", compresslevel=1) as packed:
                for folder in folders:
                    packed.add(folder, str(folder.relative_to(root)), filter=lambda entry: _light(root, entry))
    say(f"packed: {len(tables)} runs played, {len(unplayed)} not")


def _light(root: Path, entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leaves out pictures, models, rows that are packed already, and the checkpoints of finished runs."""
    path = Path(entry.name)
    finished = path.name == "checkpoints" and (root / path.parent / "policy.safetensors").is_file()
    model = path.name.startswith(("cost_", "reward_", "reference"))
    return None if path.suffix == ".png" or path.name == "rows.parquet" or finished or model else entry


def datasets(root: Path, groups: list[plan.Group], pool: ProcessPoolExecutor, pairs: int) -> list[Future]:
    """Starts to make every dataset, PreSa's first, and the label sets that one lacks."""
    wanted: dict[Path, dict[str, Any]] = {}
    for group, (task, seed, level) in all_runs(sorted(groups, key=lambda group: not group.name.startswith("presa"))):
        folder = dataset(root, group, task, seed, level)
        one = wanted.setdefault(folder, {"task": task, "seed": seed, "coverage": level.coverage, "choices": []})
        if level.labels and level.labels not in one["choices"]:
            one["choices"].append(level.labels)
    for folder in wanted:
        mark(folder, "ready").unlink(missing_ok=True)
    return [pool.submit(build, folder, one["task"], one["seed"], one["coverage"], pairs, one["choices"])
            for folder, one in wanted.items()]  # fmt: skip


def main() -> None:
    """Reads the command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--players", type=int, default=10)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="", help="groups of these names, or whose names begin so")
    parser.add_argument("--seeds", default="", help="only these of each group's seeds")
    parser.add_argument("--levels", default="", help="only these of each group's levels")
    parser.add_argument("--precision", help="of weighted-bc's and TraC's runs")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    root, deadline = given.root.resolve(), time.time() + 60 * given.minutes
    (root / "done").mkdir(parents=True, exist_ok=True)
    (root / "data").mkdir(exist_ok=True)
    for failed in (root / "data").glob("*.failed"):
        failed.unlink()
    os.environ.setdefault("PRESA_CACHE", str(root / "cache"))
    every, wanted = (*plan.STUDIES, *plan.BENCHMARK), given.only.split(",")
    begins = tuple(name for name in wanted if name not in {group.name for group in every})
    groups = [group for group in every if group.name in wanted or group.name.startswith(begins)]
    if given.seeds:
        chosen = {int(seed) for seed in given.seeds.split(",")}
        groups = [replace(group, seeds=tuple(seed for seed in group.seeds if seed in chosen)) for group in groups]
    if given.levels:
        named = set(given.levels.split(","))
        groups = [replace(group, levels=tuple(level for level in group.levels if level.name in named)) for group in groups]
    if given.precision:
        groups = [replace(group, settings={**group.settings, "precision": given.precision})
                  if group.algorithm in ("weighted-bc", "trac-feedback", "trac") else group for group in groups]  # fmt: skip
    groups = [tiny(group) for group in groups] if given.tiny else groups
    context = get_context("spawn")
    shares = [[g for g in groups if g.name in names] for names in plan.SHARES]
    workers = [context.Process(target=work, args=(root, share, given.device, deadline)) for share in shares if share]
    workers.append(context.Process(target=ask_all, args=(root, groups, given.device, deadline)))
    with ProcessPoolExecutor(given.players, context) as pool:
        made = datasets(root, groups, pool, 300 if given.tiny else PAIRS)
        for worker in workers:
            worker.start()
        todo = [one for one in all_runs(groups) if not (folder_of(root, one[0], *one[1]) / "rows.parquet").is_file()]
        playing: list[Future] = []
        while time.time() < deadline + 20 and (todo or playing or any(worker.is_alive() for worker in workers)):
            for one in list(todo):
                waits = one[0].name.startswith("benchmark") and len(playing) > given.players  # the longest, and last
                if not waits and (folder_of(root, one[0], *one[1]) / "policy.safetensors").is_file():
                    todo.remove(one)
                    playing.append(pool.submit(play, root, *one))
            for job in [job for job in (*playing, *made) if job.done()]:
                (playing if job in playing else made).remove(job)
                error = job.exception()
                if error is not None or job.result() is not None:
                    say(repr(error) if error is not None else job.result())
            if time.time() > deadline:
                for worker in workers:
                    if worker.is_alive():
                        os.kill(worker.pid, signal.SIGTERM)  # SIGINT is ignored in a job that a script left in the background
                for worker in workers:
                    worker.join(10)
                    worker.kill()
                workers = []
            if not any(worker.is_alive() for worker in workers) and not playing and not made:
                break
            time.sleep(0.3)
        pack(root, given.out or root / "packed", groups)
        for process in list((pool._processes or {}).values()):
            process.terminate()
        os._exit(0)


def tiny(group: plan.Group) -> plan.Group:
    """The same in seconds, to see that everything runs."""
    steps: dict[str, Any] = {"steps": 46, "bc_steps": 10, "hidden": (16, 16)}
    steps |= {"model_steps": 6, "model_hidden": (16,)} if group.algorithm == "weighted-bc" else {}
    steps |= {"warm_up_steps": 10} if group.algorithm in ("presa", "cdt") else {}
    steps |= {"delta_steps": 5} if group.preset == "reachable" else {}
    steps |= {"model_steps": 6, "model_hidden": (16,)} if "feedback" in group.algorithm else {}
    if group.algorithm in ("bc-all", "caps-feedback", "cdt"):
        steps.pop("bc_steps")
    levels = tuple(replace(one, pairs=min(one.pairs, 20 * (1 + i)), asked=min(one.asked, 10)) if one.pairs else one
                   for i, one in enumerate(group.levels))  # fmt: skip
    return replace(
        group, settings={**group.settings, **steps}, seeds=group.seeds[:1], tasks=group.tasks[:2], levels=levels, episodes=1
    )


if __name__ == "__main__":
    main()
