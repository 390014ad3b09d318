"""A results file: runs with their configurations, hashes, policies and episodes, in one file that anybody can check offline.

results.json                 format_version, presa, benchmark, runs, numbers
policies/<sha256>.safetensors   of each run but those of policies of somebody's own, which are code

A run is {folder, config, policy_sha256, summary, rows}; a number is one cell of the table, computed from the rows alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from presa.files import POLICY_FILE
from presa.report.comparison import EvaluatedRun, compare, name_methods, train_commands
from presa.report.safety import safety
from presa.report.statistics import mean, stratified_interval
from presa.runs.own_policy import is_own
from presa.runs.records import check_rows, readable
from safefeedback.dataset.benchmark import CURRENT, benchmark
from safefeedback.errors import InputError
from safefeedback.files import replacing
from safefeedback.version import __version__

FORMAT_VERSION = 1
NAME = "results.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every member, so that equal results are equal bytes
SHOWN = 3  # deviations of a file that are named in one line
MOST = 1 << 28  # bytes of one member


def refused(file: Path) -> Callable[[str], str]:
    """How a file that is not a results file is refused for a reason: anybody may have written it."""
    return lambda reason: f"{file} is not a results file of `presa report --submit`: {reason}"


def write_results(file: Path, judged: Sequence[EvaluatedRun]) -> None:
    """Writes the results of runs, whole or not at all.

    Raises:
        InputError: if a run's policy is not in its folder, or the file's name does not end with .zip.
    """
    if file.suffix != ".zip":
        raise InputError(f"a results file ends with .zip, not '{file.name}'")
    policies: dict[str, bytes] = {}
    runs = []
    for run in judged:
        path = run.folder / POLICY_FILE
        if is_own(run.config):  # code, which must not run only because a file names it
            digest = run.config["policy_sha256"]
        elif path.is_file():
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            policies[digest] = content
        else:
            raise InputError(f"{run.folder} holds no {POLICY_FILE}, so nobody could play its episodes again")
        entry = {"folder": run.folder.resolve().name, "config": run.config, "policy_sha256": digest}
        runs.append({**entry, "summary": run.summary, "rows": list(run.rows)})
    results = {"format_version": FORMAT_VERSION, "presa": __version__, "benchmark": CURRENT}
    text = json.dumps({**results, "runs": runs, "numbers": numbers(judged)}, indent=1, ensure_ascii=False, allow_nan=False)
    with replacing(file) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [
            (NAME, text.encode()),
            *((f"policies/{key}.safetensors", policies[key]) for key in sorted(policies)),
        ]:
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)


def read_results(file: Path) -> dict[str, Any]:
    """What results.json says.

    Raises:
        InputError: if it is not a results file.
    """
    with readable(refused(file)):
        results = json.loads(member(file, NAME))
        if results["format_version"] != FORMAT_VERSION:
            raise InputError(f"{file} has format {results['format_version']}, and this version of presa reads {FORMAT_VERSION}")
        if not results["runs"]:
            raise ValueError("it holds no run")
        for run in results["runs"]:
            dict(run["config"]["data"]), dict(run["summary"]), str(run["policy_sha256"]), list(run["rows"])
            name = run["folder"]
            if name in ("", "..") or Path(name).name != name or not f"{name}{run['config']['algorithm']}".isprintable():
                raise ValueError(f"{name!r} is no name of a run's folder")
            if not run["rows"]:
                raise ValueError(f"{name} has no episode")
            check_rows(run["rows"])
        list(results["numbers"]), results["benchmark"]
    return results


def member(file: Path, name: str) -> bytes:
    """One member's bytes.

    Raises:
        InputError: if it is not there, is there twice, or is larger than any that we write.
    """
    try:
        with readable(refused(file)), zipfile.ZipFile(file) as archive:
            if archive.namelist().count(name) > 1:
                raise InputError(f"{file} holds {name} more than once")
            if archive.getinfo(name).file_size > MOST:
                raise InputError(f"{file}: {name} is larger than {MOST >> 20} MB")
            return archive.read(name)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(refused(file)(str(error))) from None


def runs_of(file: Path, results: dict[str, Any]) -> list[EvaluatedRun]:
    """The runs of a results file, from what `read_results` gave; their folders are names only.

    Raises:
        InputError: if no table can be made of it.
    """
    stored = results["runs"]
    with readable(refused(file)):
        runs = name_methods(
            [EvaluatedRun(file / run["folder"], run["config"], tuple(run["rows"]), run["summary"]) for run in stored]
        )
        compare(runs), train_commands(runs)
    return runs


def numbers(judged: Sequence[EvaluatedRun]) -> list[dict[str, Any]]:
    """Every number of the table: for each task, limit and method, means over runs, their 95% intervals over seeds, and how
    sure the safety is. None for one run, from which nothing follows."""
    table = compare(judged)
    rows = []
    for line in table.lines:
        for entry, column in zip(line.entries, table.study.columns, strict=True):
            if (sure := safety(entry)) is None:
                continue
            cell: dict[str, Any] = {
                "task": line.task,
                "cost_limit": entry.runs[0].cost_limit,
                "method": column.name,
                "runs": len(entry.runs),
            }
            for what in ("reward", "cost"):
                interval = stratified_interval([entry.by_policy(what)], mean)
                cell[what] = interval.value
                cell[f"{what}_interval"] = None if math.isnan(interval.low) else [interval.low, interval.high]
            bound = None if math.isnan(sure.bound) else sure.bound
            rows.append({**cell, "cost_bound": bound, "share_over_limit": sure.over, "worst_tenth": sure.worst})
    return rows


def deviations(judged: Sequence[EvaluatedRun], version: int = CURRENT) -> list[str]:
    """How runs differ from the protocol of a version of the benchmark, a sentence for each difference, with the runs that it is
    about; none if they follow it."""
    frozen, apart = benchmark(version), dict[str, list[EvaluatedRun]]()
    for run in judged:
        data, task, summary = run.config["data"], run.config["task"]["name"], run.summary
        found = []
        if not data:
            found.append("it does not state what it was learnt from")
        elif data.get("content_sha256") != frozen.content.get(task):
            found.append(f"the dataset is not the benchmark's of {task}")
        if data and (pairs := data.get("pairs", 0) + data.get("pairs_test", 0)) != frozen.pairs:
            found.append(f"{pairs:,} pairs in the splits train and test, not {frozen.pairs:,}")
        if data.get("labels") is not None:
            found.append(f"learnt from the label set {data['labels']}, not from the published labels")
        if summary.get("evaluation_seed") != frozen.reporting_seed or summary.get("episodes", 0) < frozen.episodes:
            evaluated_on = f"{summary.get('episodes')} episodes of evaluation seed {summary.get('evaluation_seed')}"
            found.append(f"{evaluated_on}, not {frozen.episodes} of {frozen.reporting_seed}")
        known = run.config.get("configuration", {}).get("judge_limits") or [run.config["cost_limit"]]
        for _, limit in run.places:
            if limit not in known or limit not in run.config["task"]["cost_limits"]:
                found.append(f"evaluated at cost limit {limit:g}, and learnt {', '.join(f'{one:g}' for one in known)}")
        for sentence in found:
            apart.setdefault(sentence, []).append(run)
    lines = [f"{_which(runs, judged)}: {sentence}" for sentence, runs in apart.items()]
    seeds: dict[Any, set[int]] = {}
    for run in judged:
        for place in run.places:
            seeds.setdefault((run.name, *place), set()).add(run.config["seed"])
    for (name, task, limit), known in seeds.items():
        if len(known) < frozen.training_seeds:
            trained = f"{len(known)} seed{'s' * (len(known) > 1)}"
            lines.append(f"{name} on {task}, limit {limit:g}: {trained}, not {frozen.training_seeds}")
    return lines


def _which(runs: Sequence[EvaluatedRun], judged: Sequence[EvaluatedRun]) -> str:
    """Some of the runs in words; folders of the same name are told apart by the method."""
    if len(runs) == len(judged) > 1:
        return f"all {len(runs)} runs"
    names = [run.folder.name for run in judged]
    shown = [
        run.folder.name if names.count(run.folder.name) == 1 else f"{run.folder.name} of {run.name}" for run in runs[:SHOWN]
    ]
    return ", ".join(shown) + (f" and {len(runs) - SHOWN} more" if len(runs) > SHOWN else "")


def protocol(version: int, judged: Sequence[EvaluatedRun]) -> str:
    """Whether a file's runs follow the protocol of that version of the benchmark, or else the first deviations.

    Raises:
        InputError: if there is no such version.
    """
    apart = deviations(judged, version)
    if not apart:
        return f"by the protocol of the benchmark, version {version}"
    more = f" and {len(apart) - SHOWN} more" if len(apart) > SHOWN else ""
    return f"not by the protocol of the benchmark, version {version}: {'; '.join(apart[:SHOWN])}{more}"
