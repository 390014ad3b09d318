"""Where recordings come from: a name -> Episodes."""

from __future__ import annotations

import warnings
from pathlib import Path

from safefeedback.errors import InputError
from safefeedback.files import file_sha256
from safefeedback.sources import dsrl
from safefeedback.sources.hdf5 import read_advantages, read_hdf5, read_unlabelled
from safefeedback.sources.pairs_file import check_inside, read_pairs
from safefeedback.tasks import Task, tasks
from safefeedback.types import Episodes, Source

__all__ = [
    "check_inside",
    "find",
    "find_file",
    "load",
    "read_advantages",
    "read_pairs",
    "read_unlabelled",
    "recordings_file",
]

RECORDINGS = Path(__file__).with_name("recordings")


def load(source: str, task: Task) -> Episodes:
    """The recorded episodes of a task.

    Args:
        source: "dsrl" for the benchmark's own file (cached, or else downloaded), "recordings" for the small one that is
            shipped with the package, "auto" for the first that can be had (a warning says when it is the second), or
            the path of an HDF5 file in DSRL's schema.
        task: what was recorded.

    Raises:
        InputError: if there is no such file, or it cannot be trusted.
    """
    if source == "recordings":
        return _recordings(task)
    if source not in ("auto", "dsrl"):
        return read_hdf5(Path(source), task, Source("file", "", ""))
    benchmark = tasks().get(task.name) == task
    if source == "dsrl" and not benchmark:
        raise InputError(f"{task.name} is not one of DSRL's tasks: give its file with --source PATH")
    try:
        path = dsrl.locate(task)
    except dsrl.UnreachableError:
        if source == "dsrl" or recordings_file(task) is None:
            raise
        warnings.warn(
            f"DSRL's file of {task.name} is neither on this machine nor reachable: using the small recordings made by "
            "safefeedback, which are NOT DSRL's (--source dsrl insists on those)",
            stacklevel=2,
        )
        return _recordings(task)
    if not benchmark:
        return read_hdf5(path, task, Source("file", "", ""))
    return read_hdf5(path, task, Source("dsrl", "", "", dsrl.LICENSE, dsrl.AUTHOR, dsrl.CITATION))


def find(task: Task, fingerprint: str) -> Episodes | None:
    """The recordings whose file has the given sha256, if they are on this machine: DSRL's cached file, or one shipped here."""
    file = find_file(task, fingerprint)
    return None if file is None else read_hdf5(file, task, Source("file", "", ""))


def find_file(task: Task, fingerprint: str) -> Path | None:
    """The file with the given sha256, if it is on this machine: DSRL's cached file, or one shipped here."""
    cached = dsrl.cached(task)
    files = [*([cached] if cached is not None else []), *sorted(RECORDINGS.glob(f"{task.name}*.hdf5"))]
    return next((file for file in files if file_sha256(file) == fingerprint), None)


def recordings_file(task: Task) -> Path | None:
    """The recordings of a task that are shipped with the package, or None."""
    path = RECORDINGS / f"{task.name}.hdf5"
    return path if tasks().get(task.name) == task and path.is_file() else None


def _recordings(task: Task) -> Episodes:
    path = recordings_file(task)
    if path is None:
        shipped = ", ".join(name for name, known in tasks().items() if recordings_file(known) is not None)
        raise InputError(f"no recordings of {task.name} are shipped with safefeedback; there are {shipped or 'none'}")
    return read_hdf5(path, task, Source("recordings", "", ""))
