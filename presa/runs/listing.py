"""Lists the runs in some folders: their progress and their results."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from presa.files import POLICY_FILE, read_failure
from presa.runs.evaluation import runs_in
from presa.runs.own_policy import is_own
from presa.runs.records import read_config, read_evaluation, read_metrics
from safefeedback.errors import InputError


def list_runs(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for each run, those of one folder in the order of their algorithm, cost limit and seed.

    Returns:
        Rows of run (its folder), algorithm, task, cost_limit, seed, state ("finished", "failed: why" or "at step n of m"),
        normalized_return, normalized_cost and safe (None before an evaluation), and age, seconds since anything changed.

    Raises:
        InputError: if a folder holds no run.
    """
    return [_row(place) for place in runs_in(folders)]


def _row(place: Path) -> dict[str, Any]:
    """One that cannot be read does not hide the others."""
    try:
        config, found = read_config(place), read_evaluation(place)
        state = _state(place, config)
    except InputError as error:
        config, found, state = {}, None, f"cannot be read: {error}"
    summary = {} if found is None else found["summary"]
    changed = max(path.stat().st_mtime for path in place.iterdir())
    return {
        "run": str(place),
        "algorithm": config.get("algorithm"),
        "task": config["task"]["name"] if config else None,
        **{name: config.get(name) for name in ("cost_limit", "seed")},
        "state": state,
        **{name: summary.get(name) for name in ("normalized_return", "normalized_cost", "safe")},
        "age": max(0.0, time.time() - changed),
    }


def _state(place: Path, config: dict[str, Any]) -> str:
    if (place / POLICY_FILE).is_file() or is_own(config):
        return "finished"
    if (failure := read_failure(place)) is not None:
        return f"failed: {failure}"
    lines = read_metrics(place)
    progress = f"{lines[-1]['stage']} {lines[-1]['step']:,}" if lines else "begun"
    return f"{progress} of {config['configuration'].get('steps', 0):,} steps"
