"""One cell of a study: its runs are trained as a stack and rolled out in the simulator.

cells/<hash>/cell.json             what it is; the hash is of this
             limit20-seed0/ ...    the runs, each an ordinary one
             rows.parquet          a row for each run and episode
             result.json           seconds, failures; a cell that has it is finished, even if it failed
             attempts.txt          a line for each process that started the cell and did not finish it
cells/<hash>.lock                  locked by the process that works on it, until it ends or dies
"""

from __future__ import annotations

import json
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from presa.algorithms import configure
from presa.algorithms.base import Algorithm
from presa.data.pairs import resolve_device
from presa.files import FAILURE_FILE, write_json
from presa.runs.card import write_card_and_plots
from presa.runs.evaluation import evaluate_run
from presa.runs.records import MonitorSettings, started_elsewhere
from presa.runs.run import Job, job_grid, train_all
from presa.runs.training import load_all
from presa.runs.training_run import run_config
from presa.study.grid import Cell
from presa.study.prepare import dataset_folder, label_set_name
from safefeedback.errors import InputError
from safefeedback.files import replacing

ATTEMPTS = 3  # of a cell whose process dies
EVALUATION_SEED = 0
REPORTS = 20  # of a run, over its length
RUN_SCHEMA = pa.schema(
    [
        ("cell", pa.string()),
        ("algorithm", pa.string()),
        ("task", pa.string()),
        ("cost_limit", pa.float64()),
        ("seed", pa.int64()),
        ("episode", pa.int64()),
        ("return", pa.float64()),
        ("cost", pa.float64()),
        ("length", pa.int64()),
        ("normalized_return", pa.float64()),
        ("normalized_cost", pa.float64()),
    ]
)


def cell_folder(root: Path, cell: Cell) -> Path:
    """Where a cell's work is, below the study's folder."""
    return root / "cells" / cell.hash


def read_result(root: Path, cell: Cell) -> dict[str, Any] | None:
    """The contents of result.json; None while the cell is not finished."""
    path = cell_folder(root, cell) / "result.json"
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except ValueError:
        raise InputError(f"{path} is damaged: delete it, and the same command does the cell again") from None


def forget_failure(root: Path, cell: Cell) -> None:
    """Resets a failed cell: its failed runs start again from the beginning, its finished runs are kept."""
    result = read_result(root, cell)
    if result is not None and result["failures"]:
        for failed in cell_folder(root, cell).glob(f"*/{FAILURE_FILE}"):
            shutil.rmtree(failed.parent)
        for name in ("result.json", "attempts.txt", "traceback.txt"):
            (cell_folder(root, cell) / name).unlink(missing_ok=True)


def record_failure(root: Path, cell: Cell, why: str) -> None:
    """Records a failure of a cell that cannot start, unless it is finished or another process works on it."""
    folder = cell_folder(root, cell)
    folder.mkdir(parents=True, exist_ok=True)
    with locked_cell(root, cell) as mine:
        if mine:
            write_json(folder / "cell.json", asdict(cell))
            write_json(folder / "result.json", {"seconds": {}, "failures": {"": why}})


@contextmanager
def locked_cell(root: Path, cell: Cell) -> Iterator[bool]:
    """Locks a cell for this process until the block ends or the process dies; yields whether that succeeded."""
    lock = FileLock(root / "cells" / f"{cell.hash}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield read_result(root, cell) is None
    finally:
        lock.release()


def run_cell(root: Path, cell: Cell, device: str = "auto") -> dict[str, Any] | None:
    """Runs a cell unless it is finished or another process works on it.

    Failed runs are recorded with the reason, and the other runs of the cell still count; an error outside the runs is
    recorded for the whole cell, under the name "".

    Returns:
        The contents of result.json; None if another process works on it.
    """
    folder = cell_folder(root, cell)
    folder.mkdir(parents=True, exist_ok=True)
    with locked_cell(root, cell) as mine:
        if not mine:
            return read_result(root, cell)
        write_json(folder / "cell.json", asdict(cell))
        attempts = folder / "attempts.txt"
        began = attempts.read_text() if attempts.is_file() else ""
        attempts.write_text(began + time.strftime("%Y-%m-%d %H:%M:%S\n"))
        try:
            if began.count("\n") >= ATTEMPTS:
                raise InputError(f"{ATTEMPTS} processes that worked on it died")
            seconds, failures = _train_and_evaluate(root, cell, folder, device)
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            (folder / "traceback.txt").write_text(text, encoding="utf-8")
            seconds, failures = {}, {"": " ".join(str(error).split()) or type(error).__name__}
        except BaseException:
            attempts.write_text(began)  # interrupted, not died
            raise
        result = {"seconds": seconds, "failures": failures}
        write_json(folder / "result.json", result)
        attempts.unlink()
        return result


def _train_and_evaluate(root: Path, cell: Cell, folder: Path, device: str) -> tuple[dict[str, float], dict[str, str]]:
    """Trains and evaluates; returns seconds of both, and why runs failed."""
    algorithm = configure(cell.algorithm, cell.preset, cell.settings)
    limits = cell.trained_limits
    dataset, labels = dataset_folder(root, cell), label_set_name(cell, limits[0])
    started = time.perf_counter()
    unlabelled, device = "own" if cell.unlabelled else None, resolve_device(device)
    data = load_all(dataset, algorithm, cell.algorithm, limits, labels, cell.pairs, device, unlabelled=unlabelled)
    jobs = job_grid(data, cell.seeds, folder)
    every = max(1, algorithm.steps // REPORTS)
    settings = MonitorSettings(report_every=every, checkpoint_every=max(every, 5_000), evaluate_every=cell.evaluate_every)
    for job in jobs:
        if started_elsewhere(job.folder, run_config(cell.algorithm, algorithm, job.data, job.seed, settings)):
            shutil.rmtree(job.folder)
    failures = _train(cell.algorithm, algorithm, jobs, settings)
    trained = time.perf_counter()
    rows: list[dict[str, Any]] = []
    for job in jobs:
        if job.folder.name in failures:
            continue
        try:
            for limit in (job.data.cost_limit,) if limits == cell.cost_limits else cell.cost_limits:
                judged = evaluate_run(job.folder, cell.episodes, EVALUATION_SEED, limit, processes=1)
                rows += [{"cell": cell.hash, **row} for row in judged["rows"]]
        except InputError as error:
            failures[job.folder.name] = str(error)
            continue
        write_card_and_plots(job.folder)
        shutil.rmtree(job.folder / "checkpoints")
    with replacing(folder / "rows.parquet") as partial:
        pq.write_table(pa.Table.from_pylist(rows, RUN_SCHEMA), partial)
    evaluated = time.perf_counter()
    return {"training": round(trained - started, 3), "evaluation": round(evaluated - trained, 3)}, failures


def _train(name: str, algorithm: Algorithm, jobs: list[Job], settings: MonitorSettings) -> dict[str, str]:
    """Trains what can be trained; returns why runs failed, by the names of their folders."""
    try:
        summaries = train_all(name, algorithm, jobs, settings)
        return {Path(summary["folder"]).name: summary["failed"] for summary in summaries if "failed" in summary}
    except InputError as error:
        by_limit: dict[float, list[Job]] = {}
        for job in jobs:
            by_limit.setdefault(job.data.cost_limit, []).append(job)
        if len(by_limit) == 1:
            return {job.folder.name: str(error) for job in jobs}
        return {run: why for some in by_limit.values() for run, why in _train(name, algorithm, some, settings).items()}
