"""Inspects one file of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from safefeedback import sources
from safefeedback.dataset.stats import share
from safefeedback.errors import InputError
from safefeedback.feedback.labels import safe_by_cost, segment_cost_limit, window_sum
from safefeedback.files import foreign_content
from safefeedback.inspection.labels import quantiles_of
from safefeedback.inspection.values import report, values_of
from safefeedback.inspection.windows import limits_around, safe_per_limit
from safefeedback.plots import geometry
from safefeedback.plots.view import Clip, View
from safefeedback.tasks import Task, find_task, tasks
from safefeedback.types import Episodes

CLIPS = 4  # of two windows each


def task_of(file: Path) -> Task | None:
    """The task that a file says it records, in its attribute `task` or in its name as DSRL's files do, or None."""
    try:
        with h5py.File(file, "r") as opened:
            stated = opened.attrs.get("task")
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        stated = None  # loading reports the error
    stated = stated if isinstance(stated, str) else None
    for name, task in tasks().items():
        if stated == name or file.name == task.file or file.name.startswith(f"Safety{name}-") or file.stem == name:
            return task
    return None


def inspect_recordings(file: str | Path, task: str | None = None, length: int = 64) -> tuple[dict[str, Any], View]:
    """Numbers about recordings, JSON-ready, and the contents of the plots.

    Args:
        file: HDF5 in DSRL's schema, or a dataset of another project, as "lerobot:NAME".
        task: what was recorded, or a task's file; None takes it from the file.
        length: L, steps in a window.

    Raises:
        InputError: if the task is unknown, the file cannot be trusted, or no episode is as long as a window.
    """
    named = sources.is_dataset_name(str(file))
    found_task = find_task(task) if task is not None else None if named else task_of(Path(file))
    if found_task is None:
        if not named and not Path(file).exists():
            raise InputError(f"there is no file {file}")
        if not named and not h5py.is_hdf5(file):
            raise InputError(f"{file} cannot be read as HDF5{foreign_content(Path(file))}")
        raise InputError(f"{file} does not say which task it records: give it with --task NAME")
    if length < 1:
        raise InputError(f"--length must be at least 1, not {length}")
    episodes = sources.load(str(file), found_task)
    lengths, bounds = episodes.lengths, episodes.bounds
    if lengths.max() < length:
        raise InputError(f"{file}: no episode has {length} steps; the longest has {lengths.max()}: give a smaller --length")
    returns, costs = _sums(episodes.rewards, bounds), _sums(episodes.costs, bounds)
    windows = _windows(episodes, length)
    window_returns, window_costs = (window_sum(values, windows, length) for values in (episodes.rewards, episodes.costs))
    if not all(np.isfinite(sums).all() for sums in (returns, costs, window_returns, window_costs)):
        raise InputError(f"{file}: rewards or costs are so large that their sum over an episode is infinite")
    limits = limits_around(found_task.cost_limits, None)
    steps = int(bounds[-1])
    result = {
        "file": str(file),
        "sha256": episodes.source.fingerprint,
        "task": found_task.name,
        "length": length,
        "horizon": found_task.horizon,
        "episodes": len(episodes),
        "steps": steps,
        "steps_after_last_episode": len(episodes.observations) - steps,
        "episodes_too_short": int((lengths < length).sum()),
        "episodes_full_length": share(lengths == found_task.horizon),
        "episode_length": quantiles_of(lengths),
        "episode_return": quantiles_of(returns),
        "episode_cost": quantiles_of(costs),
        "windows": len(windows),
        "limits": [
            {**entry, "episodes_safe": share(costs <= entry["cost_limit"])}
            for entry in safe_per_limit(window_costs, length, found_task.horizon, limits)
        ],
        "first_step": first_step(found_task.name, episodes),
        **report(
            values_of(episodes.observations[:steps], episodes.actions[:steps]),
            episodes.observation_names,
            episodes.action_names,
        ),
    }
    return result, _view(episodes, windows, window_returns, window_costs, length)


def first_step(task: str, episodes: Episodes) -> dict[str, float] | None:
    """How far the first step of an episode goes, in metres, beside the farthest of all other steps; None where observations
    do not show the place. In DSRL's Bullet files the first observation is often what the episode before it ended with."""
    if geometry.arena(task, episodes.observations.shape[1]) is None or episodes.lengths.max() < 3:
        return None
    way = np.linalg.norm(np.diff(geometry.positions(task, episodes.observations), axis=0), axis=1)
    first = episodes.bounds[:-1][episodes.lengths > 1]
    inside = np.ones(len(way), bool)
    inside[episodes.bounds[1:][episodes.bounds[1:] <= len(way)] - 1] = False
    inside[first] = False
    farthest = float(way[: episodes.bounds[-1] - 1][inside[: episodes.bounds[-1] - 1]].max())
    return {
        "median": float(np.median(way[first])),
        "farthest_other": farthest,
        "episodes_jumping": round(float((way[first] > 1.5 * farthest).mean()), 6),
    }


def _windows(episodes: Episodes, length: int) -> np.ndarray:
    """The row where each whole window starts, int64 [W]."""
    rows = np.arange(episodes.bounds[-1])
    last = np.repeat(episodes.bounds[1:], episodes.lengths) - length
    return rows[rows <= last]


def _sums(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The sum of each episode, float64 [E]."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.add.reduceat(values[: bounds[-1]], bounds[:-1])


def _by_return(rows: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """CLIPS of these windows, evenly from the lowest return to the highest; of all windows where there are none."""
    rows = rows if len(rows) else np.arange(len(returns))
    ordered = rows[np.argsort(returns[rows], kind="stable")]
    return ordered[np.arange(CLIPS) * (len(ordered) - 1) // (CLIPS - 1)]


def _view(episodes: Episodes, windows: np.ndarray, returns: np.ndarray, costs: np.ndarray, length: int) -> View:
    """All windows, and safe ones beside unsafe ones, each from the lowest to the highest return."""
    task = episodes.task
    limit = task.default_cost_limit
    safe = safe_by_cost(costs, segment_cost_limit(limit, length, task.horizon))
    chosen = np.stack([_by_return(np.flatnonzero(safe == value), returns) for value in (1, 0)], axis=1)
    number = np.searchsorted(episodes.bounds, windows[chosen], side="right") - 1
    names = [
        [f"episode {e}, step {s}" for e, s in zip(row, start, strict=True)]
        for row, start in zip(number, windows[chosen] - episodes.bounds[number], strict=True)
    ]
    clips = tuple(
        Clip(
            name="",
            sides=(names[index][0], names[index][1]),
            observations=np.stack([episodes.observations[start : start + length] for start in windows[pair]]),
            preference=np.nan,
            safe=safe[pair],
            flipped=np.zeros(2, bool),
            returns=returns[pair],
            costs=costs[pair],
        )
        for index, pair in enumerate(chosen)
    )
    return View(
        title=f"{episodes.source.file}, {len(windows):,} windows of {length} steps",
        task=task.name,
        length=length,
        horizon=task.horizon,
        cost_limit=limit,
        cost_limits=task.cost_limits,
        returns=returns,
        costs=costs,
        safe=safe,
        clean_safe=safe,
        margins=np.empty(0),
        agrees=np.empty(0),
        clips=clips,
        names=episodes.observation_names,
    )
