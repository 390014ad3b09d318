"""`presa.records`: what runs recorded, as one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from presa.runs.evaluation import runs_in
from presa.runs.listing import list_runs
from presa.runs.records import read_config, read_evaluation, read_metrics
from safefeedback.errors import InputError


def _episodes(run: Path) -> list[dict[str, Any]]:
    found = read_evaluation(run)
    return [] if found is None else found["rows"]


KINDS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "metrics": read_metrics,
    "episodes": _episodes,
    "runs": lambda run: list_runs([run]),
}


def records(folders: str | Path | Sequence[str | Path], what: str = "metrics") -> pa.Table:
    """What runs recorded, as one table; `.to_pandas()` makes a data frame of it.

    Args:
        folders: a run's folder, a folder that holds runs, or several of either.
        what: "metrics", a row for each report of a training; "episodes", a row for each episode of the evaluations; "runs", a
            row for each run with its state and what it reached.

    Returns:
        A pyarrow table. Every row says which run it is of: run (the folder), algorithm, task, cost_limit, seed. A number that
        a run did not report is null.

    Raises:
        InputError: if a folder holds no run, or `what` is none of these.
    """
    if what not in KINDS:
        raise InputError(f"what must be {', '.join(KINDS)}, not '{what}'")
    rows = []
    for run in runs_in([Path(one) for one in ([folders] if isinstance(folders, (str, Path)) else folders)]):
        config = read_config(run)
        tags = {"run": str(run), "algorithm": config["algorithm"], "task": config["task"]["name"]}
        tags |= {name: config[name] for name in ("cost_limit", "seed")}
        rows += [{**tags, **row} for row in KINDS[what](run)]
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: [row.get(name) for row in rows] for name in names})
