"""Experiment trackers: TensorBoard, Weights & Biases and Trackio receive the contents of metrics.jsonl, live or afterwards."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from presa.runs.records import read_config, read_metrics
from safefeedback.errors import InputError
from safefeedback.imports import require_packages


class Tracker(NamedTuple):
    """A tracker of one run: `log` takes {stage/name: number} and the step, `close` ends it."""

    log: Callable[[dict[str, float], int], Any]
    close: Callable[[], Any]


def _tensorboard(run: Path, project: str) -> Tracker:
    from torch.utils.tensorboard import SummaryWriter

    shutil.rmtree(run / "tensorboard", ignore_errors=True)  # an earlier process's events, which are sent again
    writer = SummaryWriter(str(run / "tensorboard"))

    def log(numbers: dict[str, float], step: int) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)

    return Tracker(log, writer.close)


def _wandb(run: Path, project: str) -> Tracker:
    import wandb

    quiet = wandb.Settings(silent=True)
    tracker = wandb.init(
        project=project, name=run.name, config=read_config(run), dir=str(run), reinit="create_new", settings=quiet
    )
    return Tracker(tracker.log, tracker.finish)


def _trackio(run: Path, project: str) -> Tracker:
    import trackio

    tracker = trackio.init(project=project, name=run.name, config=read_config(run), embed=False)
    return Tracker(tracker.log, tracker.finish)


TRACKERS: dict[str, Callable[[Path, str], Tracker]] = {"tensorboard": _tensorboard, "wandb": _wandb, "trackio": _trackio}


def requested_trackers(tensorboard: bool, wandb: str | None, trackio: str | None) -> dict[str, str]:
    """The requested trackers, each with its project.

    Raises:
        InputError: if one is not installed.
    """
    projects = {"tensorboard": "" if tensorboard else None, "wandb": wandb, "trackio": trackio}
    requested = {name: project for name, project in projects.items() if project is not None}
    for name in requested:
        require_packages(f"--{name}", name)
    return requested


@contextmanager
def tracking(run: Path, trackers: Mapping[str, str]) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yields a function that takes each line of metrics when it is in the run's folder.

    A tracker starts with the first line and receives everything in the folder, so that a continued run is complete there.
    A tracker that fails is named and left out: no training ends because of it.
    """
    started: dict[str, Tracker] = {}
    left = dict(trackers)

    def attempt(name: str, action: Callable[[], Any]) -> None:
        try:
            with redirect_stdout(sys.stderr):  # some print, and stdout is the command's own
                action()
        except Exception as error:
            left.pop(name, None)
            started.pop(name, None)
            again = f"`presa track {run}` sends it everything later"
            print(f"warning: {name}: {' '.join(str(error).split())}; the run continues, and {again}", file=sys.stderr)

    def log(line: dict[str, Any]) -> None:
        for name in list(left):
            if name in started:
                attempt(name, lambda name=name: started[name].log(*_numbers(line)))  # type: ignore[misc]
            else:
                attempt(name, lambda name=name: started.update({name: _begin(name, run, left[name])}))  # type: ignore[misc]

    try:
        yield log
    finally:
        for name, tracker in list(started.items()):
            attempt(name, tracker.close)


def track(run: Path, trackers: Mapping[str, str]) -> int:
    """Sends everything in a run's folder to trackers, at any time after its training began.

    Returns:
        The number of reports that were sent; 0 for a run that has just begun, and for a policy of one's own.

    Raises:
        InputError: if a tracker fails.
    """
    read_config(run)
    lines = read_metrics(run)
    for name, project in trackers.items() if lines else ():
        try:
            with redirect_stdout(sys.stderr):
                _begin(name, run, project).close()
        except Exception as error:
            raise InputError(f"{name}: {' '.join(str(error).split())}") from None
    return len(lines)


def _begin(name: str, run: Path, project: str) -> Tracker:
    """A tracker that has received everything in the folder."""
    tracker = TRACKERS[name](run, project)
    for line in read_metrics(run):
        tracker.log(*_numbers(line))
    return tracker


def _numbers(line: dict[str, Any]) -> tuple[dict[str, float], int]:
    """The numbers of a line of metrics, each named after its stage, and the step."""
    numbers = {f"{line['stage']}/{name}": value for name, value in line.items() if isinstance(value, float)}
    return numbers, line["step"]
