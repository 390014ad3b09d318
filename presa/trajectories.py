"""Finds the recordings a dataset was cut from, for the algorithms that are given whole trajectories and true costs."""

from __future__ import annotations

from pathlib import Path

from safefeedback import sources
from safefeedback.errors import InputError
from safefeedback.tasks import Task
from safefeedback.types import Episodes


def find_episodes(task: Task, fingerprint: str, file: Path | None = None) -> Episodes:
    """The recordings whose file has the given sha256: DSRL's cached file, a recording that comes with safefeedback, or `file`.

    A file that was named is taken as it is; its fingerprint is in the result's `source`.

    Raises:
        InputError: if no such file is on this machine, or it cannot be read.
    """
    episodes = sources.load(str(file), task) if file is not None else sources.find(task, fingerprint)
    if episodes is None:
        raise InputError(
            f"this algorithm learns from whole trajectories, and the recordings of the dataset (sha256 {fingerprint[:12]}...) "
            f"are neither in DSRL's cache nor bundled: name the file with --trajectories FILE"
        )
    return episodes
