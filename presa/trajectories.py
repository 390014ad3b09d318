"""Finds the recordings a dataset was cut from, for the algorithms that are given whole trajectories and true costs."""

from __future__ import annotations

from pathlib import Path

from safefeedback import sources
from safefeedback.errors import InputError
from safefeedback.files import file_sha256
from safefeedback.sources import dsrl
from safefeedback.tasks import Task
from safefeedback.types import Episodes


def find_episodes(task: Task, fingerprint: str, file: Path | None = None) -> Episodes:
    """The recordings whose file has the given sha256: DSRL's cached file, a recording that comes with safefeedback, or `file`.

    A file that was named is taken as it is; its fingerprint is in the result's `source`.

    Raises:
        InputError: if no such file is on this machine, or it cannot be read.
    """
    if file is not None:
        return sources.load(str(file), task)
    for candidate in _candidates(task):
        if file_sha256(candidate) == fingerprint:
            return sources.load(str(candidate), task)
    raise InputError(
        f"this algorithm learns from whole trajectories, and the recordings of the dataset (sha256 {fingerprint[:12]}...) are "
        f"neither in DSRL's cache nor bundled: name the file with --trajectories FILE"
    )


def _candidates(task: Task) -> list[Path]:
    cached = dsrl.cached(task)
    bundled = Path(sources.__file__).parent / "recordings"
    return ([cached] if cached is not None else []) + sorted(bundled.glob(f"{task.name}*.hdf5"))
