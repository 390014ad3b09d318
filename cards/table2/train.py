"""Trains the table's policies, on a GPU if there is one, in a bounded time, and packs them to be judged where simulators are.

    python cards/table2/train.py ROOT --minutes 9 [--device cuda] [--out FOLDER] [--tiny]

Needs neither simulators nor a network. The same command goes on where it was; what is finished is packed at the end, at most
15 MB a file. Weights are stored with 16 bits. All runs of a group with examples of one length, whatever
their task, are one stack on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import plan  # noqa: E402

MOST_BYTES = 15_000_000


def build(root: Path, task: str, seed: int, pairs: int) -> None:
    """Draws and labels the pairs, and unpacks their segments into presa's cache."""
    from presa.data.pairs import load_data
    from safefeedback.dataset.build import build_dataset
    from safefeedback.feedback.recipe import Recipe
    from safefeedback.tasks import find_task

    folder = plan.dataset(root, task, seed)
    if not folder.exists():
        recipe = Recipe(task=find_task(task), pairs=pairs, length=plan.LENGTH, cost_limit=20, seed=seed)
        build_dataset(recipe, "recordings", folder)
    load_data(folder)


def work(root: Path, groups: list[plan.Group], tasks: list[str], device: str, deadline: float) -> None:
    """Trains groups, one after another, until they are done or the time is."""
    import torch

    from presa.algorithms import configure
    from presa.data.limits import load_limits
    from presa.data.trajectories import find_episodes
    from presa.runs.records import MonitorSettings
    from presa.runs.run import Job, train_all

    torch.set_num_threads(1)
    loaded: dict[tuple, list] = {}
    for group in groups:
        done = root / "runs" / group.name / "done.json"
        if done.is_file() or time.time() > deadline:
            continue
        began = time.time()
        try:
            algorithm = configure(group.algorithm, group.preset, group.settings)
            jobs = []
            for task in tasks:
                for seed in group.seeds:
                    key = (task, seed, group.limits)
                    if key not in loaded:
                        datas = load_limits(plan.dataset(root, task, seed), group.limits, device=device)
                        first = next(iter(loaded[other] for other in loaded if other[:2] == key[:2]), datas)[0]
                        for one in datas:  # one copy of segments and steps for all limits
                            if one.train.observations is not first.train.observations:
                                same = {name: getattr(first.train, name) for name in ("observations", "actions")}
                                object.__setattr__(one, "train", replace(one.train, **same))
                            one.__dict__["steps"] = first.steps
                        loaded[key] = datas
                    for data in loaded[key]:
                        if group.reads_truth:
                            steps = data.steps
                            data = data.with_episodes(find_episodes(data.task, data.identity["source_sha256"]))
                            data.__dict__["steps"] = steps
                        place = root / "runs" / group.name / f"{task}-limit{data.cost_limit:g}-seed{seed}"
                        jobs.append(Job(data, seed, place))
            every = max(1, algorithm.steps // 10) if group.algorithm == "presa" else algorithm.steps
            settings = MonitorSettings(report_every=every, checkpoint_every=every if group.algorithm == "presa" else 10**9)
            say(f"{group.name}: {len(jobs)} runs, data ready after {time.time() - began:.0f} s")
            summaries = train_all(group.algorithm, algorithm, jobs, settings)
            failed = {Path(one["folder"]).name: one["failed"] for one in summaries if "failed" in one}
            done.write_text(json.dumps({"seconds": round(time.time() - began, 1), "runs": len(jobs), "failed": failed}))
            say(f"{group.name}: done after {time.time() - began:.0f} s, {len(failed)} failed")
        except KeyboardInterrupt:
            say(f"{group.name}: interrupted; goes on from its last checkpoint")
            return
        except Exception:
            (root / f"{group.name}.error.txt").write_text(traceback.format_exc())
            say(f"{group.name}: {traceback.format_exc()}")


def say(text: str) -> None:
    """A line at once."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def pack(root: Path, out: Path, groups: list[plan.Group]) -> None:
    """The finished groups' policies and what they rest on, in files of at most MOST_BYTES, the most valuable group first."""
    import torch
    from safetensors.torch import save_file

    from presa.tensors import load_tensors

    out.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    facts: dict[str, dict] = {}
    count = 0

    def flush() -> None:
        nonlocal tensors, facts, count
        if tensors:
            save_file(tensors, out / f"policies-{count}.safetensors", {"facts": json.dumps(facts)})
            tensors, facts, count = {}, {}, count + 1

    for group in groups:
        folder = root / "runs" / group.name
        if not (folder / "done.json").is_file():
            continue
        for run in sorted(path.parent for path in folder.glob("*/policy.safetensors")):
            weights, policy_facts = load_tensors(run / "policy.safetensors")
            findings = run / "findings.json"
            rests = json.loads(findings.read_text()) if findings.is_file() else {}
            lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
            last = {line["stage"]: line for line in lines}
            config = json.loads((run / "config.json").read_text())
            name = f"{group.name}/{run.name}"
            facts[name] = {
                "policy": policy_facts,
                "findings": {key: value for key, value in rests.items() if key != "episodes"},
                "metrics": last,
                "data": config["data"],
                "versions": config["versions"],
                "group": json.loads((folder / "done.json").read_text()) | {"episodes": group.episodes},
            }
            tensors |= {f"{name}/{key}": value.half() for key, value in weights.items()}
            if sum(2 * value.numel() for value in tensors.values()) + 3000 * len(facts) > MOST_BYTES - 400_000:
                flush()
    flush()
    say(f"packed into {count} files in {out}")


def main() -> None:
    """Reads the command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tasks", default=",".join(plan.TASKS))
    parser.add_argument("--only", default="", help="groups whose names begin so")
    parser.add_argument("--precision", default="bf16", help="of PreSa's runs")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    root, tasks, deadline = given.root.resolve(), given.tasks.split(","), time.time() + 60 * given.minutes
    root.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PRESA_CACHE", str(root / "cache"))
    cut = plan.tiny if given.tiny else lambda group: group
    weighted = [cut(group) for group in plan.WEIGHTED if group.name.startswith(given.only)]
    presa = [cut(replace(group, settings={**group.settings, "precision": given.precision})) for group in plan.PRESA
             if group.name.startswith(given.only)]  # fmt: skip
    others = [cut(group) for group in plan.FROM_FEEDBACK if group.name.startswith(given.only)]
    others += [cut(group) for group in plan.ANT_CIRCLE if given.only and group.name.startswith(given.only)]
    every = [*weighted, *presa, *others]
    drawn_datasets = sorted({(seed, task) for group in every for seed in group.seeds for task in tasks}, reverse=True)
    with ProcessPoolExecutor(min(16, os.cpu_count() or 1), get_context("spawn")) as pool:
        pairs = 200 if given.tiny else plan.PAIRS
        for result in [pool.submit(build, root, task, seed, pairs) for seed, task in drawn_datasets]:
            result.result()
    say(f"{len(drawn_datasets)} datasets are there")
    shares = [weighted[::2], weighted[1::2], *([group] for group in presa), others]
    context = get_context("spawn")
    workers = [context.Process(target=work, args=(root, share, tasks, given.device, deadline)) for share in shares if share]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(0.0, deadline - time.time()))
    for worker in workers:
        if worker.is_alive():
            os.kill(worker.pid, signal.SIGTERM)  # SIGINT is ignored in a job that a script left in the background
    for worker in workers:
        worker.join(10)
        if worker.is_alive():
            worker.terminate()
            worker.join()
    pack(root, given.out or root / "packed", every)


if __name__ == "__main__":
    main()
