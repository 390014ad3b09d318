"""Where recordings come from: a name -> Episodes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from safefeedback.errors import InputError
from safefeedback.files import file_sha256
from safefeedback.sources import dsrl, lerobot, minari
from safefeedback.sources.hdf5 import read_advantages, read_hdf5, read_unlabelled
from safefeedback.sources.kinds import KINDS
from safefeedback.sources.pairs_file import check_inside, read_pairs
from safefeedback.tasks import Task, tasks
from safefeedback.types import Episodes, Source

__all__ = [
    "KINDS",
    "check_inside",
    "file_or_name",
    "find",
    "find_file",
    "fingerprint",
    "load",
    "read_advantages",
    "read_pairs",
    "read_unlabelled",
    "recordings_file",
]

RECORDINGS = Path(__file__).with_name("recordings")
# how the name of a source begins -> what reads its episodes, and what makes its fingerprint
READERS: dict[str, tuple[Callable[[str, Task, str], Episodes], Callable[[str], str]]] = {
    "lerobot": (lerobot.read_lerobot, lerobot.fingerprint),
    "minari": (minari.read_minari, minari.fingerprint),
}


def load(source: str, task: Task) -> Episodes:
    """The recorded episodes of a task.

    Args:
        source: "dsrl" for the benchmark's own file (cached, or else downloaded), "recordings" for the small one that is
            shipped with the package, "auto" for the first that can be had (a warning says when it is the second), or
            the path of an HDF5 file in DSRL's schema, or "lerobot:NAME" or "minari:NAME" for a dataset of these projects;
            ",cost=KEY" behind NAME says where its costs are, if not where the task's `cost_key` does.
        task: what was recorded.

    Raises:
        InputError: if there is no such file, or it cannot be trusted.
    """
    if source == "recordings":
        return _recordings(task)
    if source not in ("auto", "dsrl"):
        return _own(source, task)
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


def fingerprint(source: str) -> str:
    """The sha256 of recordings of one's own, named as in `load`: of a file's bytes, or of what a dataset's files hold.

    Raises:
        InputError: if there are none.
    """
    kind, name, _ = _parts(source)
    if kind in READERS:
        return READERS[kind][1](name)
    if not Path(source).is_file():
        raise InputError(f"there is no file {source}")
    return file_sha256(Path(source))


def file_or_name(source: str) -> str:
    """The same recordings of one's own, in words that cannot be taken for "dsrl", "recordings" or "auto"."""
    return source if _parts(source)[0] in READERS else str(Path(source).absolute())


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


def _own(source: str, task: Task) -> Episodes:
    kind, name, key = _parts(source)
    if kind not in READERS:
        return read_hdf5(Path(source), task, Source("file", "", ""))
    episodes = READERS[kind][0](name, task, key or task.cost_key)
    if not key:
        return episodes
    return replace(episodes, source=replace(episodes.source, file=f"{episodes.source.file},cost={key}"))


def _parts(source: str) -> tuple[str, str, str]:
    """Kind, name and key of the costs in "kind:name,cost=key"; a kind that is none of READERS is no kind."""
    kind, _, rest = source.partition(":")
    name, _, key = rest.partition(",cost=")
    return kind, name, key
