"""Checks a results file: every number against its rows, and a sample of the rows against their policies."""

from __future__ import annotations

import hashlib
import json
import math
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from presa.report.comparison import EvaluatedRun
from presa.report.results import deviations, member, numbers, protocol, read_results, refused, runs_of
from presa.rollouts.evaluate import episode_seeds, normalized, play_episodes
from presa.rollouts.policy import load
from presa.runs.own_policy import is_own, own_source_sha256
from presa.runs.records import readable
from safefeedback.simulators import can_simulate
from safefeedback.tasks import Task, tasks
from safefeedback.verification.check import Check

NOT_IMPORTED = "which is played too with --import-policies: only where you trust its authors"
EXACT = 1e-9  # relative tolerance of numbers computed from the same rows
RETURN_TOLERANCE = 0.02  # of the task's range of returns; processors add up differently, and an episode amplifies it
COST_TOLERANCE = 2.0  # of one episode
NONE_PLAYED = "no episode was played again"
APART = 0.2  # share of the episodes that may lie further apart: of 30, two to four did between OpenBLAS's kernels


def check_results(
    file: Path,
    sample: int | None = 10,
    seed: int | None = None,
    on_episode: Callable[[int, int], None] = lambda done, of: None,
    import_policies: bool = False,
) -> list[Check]:
    """Checks a results file, offline.

    Args:
        file: as `presa report --submit` writes it.
        sample: how many episodes are repeated, drawn over all runs; None for every one.
        seed: of the draw; None for an unpredictable one.
        on_episode: called with how many episodes are done, and of how many.
        import_policies: whether policies that are given as "package.module:function" are imported, which runs their code.

    Returns:
        The checks, each with what it found wrong: "policies", "rows", "numbers", "episodes" and "protocol"; deviations from the
        protocol are named in a note, as a file may hold other results than the benchmark's.

    Raises:
        InputError: if it is not a results file.
    """
    results = read_results(file)
    runs = runs_of(file, results)
    with readable(refused(file)):
        checks = [_policies(file, results["runs"], import_policies), _rows(runs), _numbers(results["numbers"], runs)]
        if any(check.problems for check in checks[:2]):
            checks.append(Check("episodes", (), "not played: what is above comes first"))
        else:
            checks.append(_episodes(file, results["runs"], runs, sample, seed, on_episode, import_policies))
        version = results["benchmark"]
        return [*checks, Check("protocol", (), protocol(version, runs), differs=bool(deviations(runs, version)))]


def _policies(file: Path, runs: Sequence[dict[str, Any]], import_policies: bool) -> Check:
    """Every policy exists, has the stated hash, and belongs to its run."""
    problems, code = [], 0
    for run in runs:
        digest, config = run["policy_sha256"], run["config"]
        if is_own(config):
            code += 1
            if import_policies and own_source_sha256(config["policy"]) != digest:
                problems.append(f"{run['folder']}: the source of {config['policy']} is another one here than its sha256 says")
            continue
        content = member(file, f"policies/{digest}.safetensors")
        if hashlib.sha256(content).hexdigest() != digest:
            problems.append(f"{run['folder']}: the policy is another one than its sha256 says")
            continue
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        facts = json.loads(header["__metadata__"]["presa"])
        expected = {"algorithm": config["algorithm"], "seed": config["seed"], "cost_limit": config["cost_limit"]}
        differs = [name for name, value in expected.items() if facts.get(name) != value]
        if facts["task"]["name"] != config["task"]["name"]:
            differs.append("task")
        if differs:
            problems.append(f"{run['folder']}: the policy is of another {' and '.join(differs)} than config says")
    notes = [f"of their configurations: {len(runs) - code} of {len(runs)}"] if len(runs) > code else []
    if code:
        notes.append(f"code: {code}, " + ("with the sources that are named" if import_policies else NOT_IMPORTED))
    return Check("policies", tuple(problems), "; ".join(notes))


def _task(run: EvaluatedRun) -> Task:
    """The task as this package knows it; a user's own task as stated in the results, and never from a file of that name."""
    known = tasks().get(run.config["task"]["name"])
    return known if known is not None else Task.from_dict(run.config["task"])


def _rows(runs: Sequence[EvaluatedRun]) -> Check:
    """Every run has each of its episodes once, with scores that follow from their returns and costs."""
    problems, count = [], 0
    for run in runs:
        task, name = _task(run), run.folder.name
        if [row["episode"] for row in run.rows] != list(range(len(run.rows))) or len(run.rows) != run.summary["episodes"]:
            problems.append(f"{name}: its rows are not the episodes 0 to {run.summary['episodes'] - 1}, each once")
        for row in run.rows:
            count += 1
            expected: dict[str, Any] = dict(normalized(row, task, row["cost_limit"]))
            expected |= {
                "cost_limit": run.summary["cost_limit"],
                "task": task.name,
                "seed": run.config["seed"],
                "algorithm": run.config["algorithm"],
            }
            wrong = [key for key, value in expected.items() if not _equal(row[key], value)]
            if wrong or row["cost"] < 0 or not 0 < row["length"] <= task.horizon:
                problems.append(f"{name}, episode {row['episode']}: {' and '.join(wrong) or 'cost or length'} cannot be so")
    return Check("rows", tuple(problems), f"{count:,} episodes, whose scores are those of their returns and costs")


def _numbers(stated: Sequence[dict[str, Any]], runs: Sequence[EvaluatedRun]) -> Check:
    """Every number of the table follows from the rows."""
    problems, mine = [], numbers(runs)
    keys = [[(cell["task"], cell["cost_limit"], cell["method"]) for cell in cells] for cells in (stated, mine)]
    if keys[0] != keys[1]:
        problems.append("the table's cells are not those of the rows")
    else:
        for stated_row, row in zip(stated, mine, strict=True):
            wrong = [name for name, value in row.items() if not _equal(stated_row.get(name), value)]
            if wrong:
                place = f"{row['method']} on {row['task']}, limit {row['cost_limit']:g}"
                problems.append(f"{place}: {', '.join(wrong)} are not those of the rows")
    return Check("numbers", tuple(problems), f"{len(mine)} cells, each computed from the rows again")


def _episodes(
    file: Path,
    described: Sequence[dict[str, Any]],
    runs: Sequence[EvaluatedRun],
    sample: int | None,
    seed: int | None,
    on_episode: Callable[[int, int], None],
    import_policies: bool,
) -> Check:
    """A sample of the episodes, repeated with their policies."""
    playable: list[tuple[int, int]] = []
    skipped: dict[str, None] = {}
    why: str | None
    for index, run in enumerate(runs):
        task = run.config["task"]["name"]
        if is_own(run.config) and not import_policies:
            why = "policies that are code are not played"
        elif task in tasks():
            why = can_simulate(tasks()[task])
        else:
            why = f"{task} is somebody's own task, whose simulator is not played here"
        if why is None:
            playable += [(index, row["episode"]) for row in run.rows]
        else:
            skipped[why] = None
    draw = random.Random(seed)
    chosen = playable if sample is None or sample >= len(playable) else sorted(draw.sample(playable, sample))
    problems, largest, done = [], [0.0, 0.0], 0
    with tempfile.TemporaryDirectory() as folder:
        for index in sorted({run_index for run_index, _ in chosen}):
            run, episodes = runs[index], [episode for run_index, episode in chosen if run_index == index]
            task, path = tasks()[run.config["task"]["name"]], Path(folder) / f"{index}.safetensors"
            policy = str(path)
            if is_own(run.config):
                policy = run.config["policy"]
            else:
                path.write_bytes(member(file, f"policies/{described[index]['policy_sha256']}.safetensors"))
                load(path)
            seeds = episode_seeds(run.summary["evaluation_seed"], len(run.rows))
            before = done
            again = play_episodes(
                policy,
                task,
                [seeds[episode] for episode in episodes],
                1,
                lambda played, of, before=before: on_episode(before + played, len(chosen)),  # type: ignore[misc]
                run.summary["cost_limit"],
            )
            done += len(episodes)
            low, high = task.reference_returns or (0.0, 1.0)
            for episode, played in zip(episodes, again, strict=True):
                row = run.rows[episode]
                apart = [abs(played["return"] - row["return"]) / (high - low), abs(played["cost"] - row["cost"])]
                largest = [max(pair) for pair in zip(largest, apart, strict=True)]
                if apart[0] > RETURN_TOLERANCE or apart[1] > COST_TOLERANCE:
                    recorded, seen = (f"{one['return']:.3f} / {one['cost']:g}" for one in (row, played))
                    problems.append(
                        f"{run.folder.name}, episode {episode}: return / cost {recorded} in the file, {seen} played again"
                    )
    if not chosen:
        return Check("episodes", (), "; ".join([f"{NONE_PLAYED}: only what the file says was compared", *skipped]))
    note = f"{len(chosen)} of {len(playable):,} episodes played again, {len(chosen) - len(problems)} agree"
    note += f"; furthest apart {largest[0]:.1e} of the return's range and {largest[1]:g} of cost"
    note += "".join(f"; {why}" for why in skipped)
    return Check("episodes", tuple(problems) if len(problems) > APART * len(chosen) else (), note)


def _equal(stated: Any, value: Any) -> bool:
    """Whether two numbers are equal except for the last bits; also lists and words."""
    if isinstance(value, list):
        return isinstance(stated, list) and len(stated) == len(value) and all(map(_equal, stated, value))
    if isinstance(value, float) and isinstance(stated, (int, float)):
        return math.isclose(stated, value, rel_tol=EXACT, abs_tol=EXACT)
    return bool(stated == value)
