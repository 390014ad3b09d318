"""Where recordings come from: a name -> Episodes."""

from __future__ import annotations

from pathlib import Path

from safefeedback.sources import dsrl
from safefeedback.sources.hdf5 import read_hdf5
from safefeedback.tasks import Task
from safefeedback.types import Episodes, Source

__all__ = ["load"]


def load(source: str, task: Task) -> Episodes:
    """The recorded episodes of a task.

    Args:
        source: "auto" or "dsrl" for the benchmark's own file (cached, or else downloaded), or the path of an HDF5 file
            in DSRL's schema.
        task: what was recorded.

    Raises:
        InputError: if there is no such file, or it cannot be trusted.
    """
    if source not in ("auto", "dsrl"):
        return read_hdf5(Path(source), task, Source("file", "", ""))
    path = dsrl.locate(task)
    if task.hub_repo != dsrl.REPO:
        return read_hdf5(path, task, Source("file", "", ""))
    return read_hdf5(path, task, Source("dsrl", "", "", dsrl.LICENSE, dsrl.AUTHOR, dsrl.CITATION))
