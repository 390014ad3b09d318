"""Sources of recordings: a name -> Episodes. Importing this is light; HDF5 is imported when a file is read."""

from __future__ import annotations

import warnings
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from safefeedback.errors import InputError
from safefeedback.files import file_sha256
from safefeedback.sources import dsrl
from safefeedback.sources.kinds import KINDS
from safefeedback.sources.pairs_file import check_inside, read_pairs
from safefeedback.tasks import Task, tasks
from safefeedback.types import Episodes, Source, UnlabelledEpisodes

__all__ = [
    "KINDS",
    "OtherRecordingsError",
    "check_inside",
    "find_file",
    "is_dataset_name",
    "load",
    "read_pairs",
    "recordings_file",
    "recover",
    "recover_file",
]

RECORDINGS = Path(__file__).with_name("recordings")


class OtherRecordingsError(InputError):
    """The given recordings are not those that the dataset was built from."""


def load(source: str, task: Task) -> Episodes:
    """The recorded episodes of a task.

    Args:
        source: "dsrl" for the benchmark's own file (cached, or else downloaded), "recordings" for the small one that is
            shipped with the package, "auto" for the first that is available (a warning says when it is the second), or
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
        return _read_file(path, task, Source("file", "", ""))
    return _read_file(path, task, Source("dsrl", "", "", dsrl.LICENSE, dsrl.AUTHOR, dsrl.CITATION))


def load_unlabelled(source: str, task: Task) -> UnlabelledEpisodes:
    """The observations and actions of recordings of one's own, named as in `load`; rewards and costs are not read.

    Raises:
        InputError: if there are none, or they cannot be trusted.
    """
    from safefeedback.sources.hdf5 import read_unlabelled

    module, name, _ = _parts(source)
    return read_unlabelled(Path(source), task) if module is None else module.read_unlabelled(name, task)


def fingerprint(source: str) -> str:
    """The sha256 of recordings of one's own, named as in `load`: of a file's bytes, or of what a dataset's files hold.

    Raises:
        InputError: if there are none.
    """
    module, name, _ = _parts(source)
    if module is not None:
        return str(module.fingerprint(name))
    if not Path(source).is_file():
        raise InputError(f"there is no file {source}")
    return file_sha256(Path(source))


def recover(task: Task, sha256: str, source: str | Path | None = None, option: str = "--source") -> Episodes:
    """The recordings that a dataset was built from.

    Args:
        task: what was recorded.
        sha256: their fingerprint.
        source: a file or dataset of the user's, as in `load`; None searches this machine.
        option: with which the user names them, for errors.

    Raises:
        InputError: if they cannot be read, or are not on this machine.
        OtherRecordingsError: if `source` has another fingerprint.
    """
    if source is None:
        return _read_file(recover_file(task, sha256, option), task, Source("file", "", ""))
    if (actual := fingerprint(str(source))) != sha256:
        raise OtherRecordingsError(
            f"{source} (sha256 {actual[:12]}...) is not the file that the dataset was built from ({sha256[:12]}...)"
        )
    return _own(str(source), task)


def recover_file(task: Task, sha256: str, option: str = "--source") -> Path:
    """The file that `recover` finds on this machine.

    Raises:
        InputError: if it is not there.
    """
    if (found := find_file(task, sha256)) is None:
        raise InputError(
            f"the recordings of the dataset (sha256 {sha256[:12]}...) are needed, and are neither in DSRL's cache nor shipped "
            f"with safefeedback: name the file with {option} FILE"
        )
    return found


def find_file(task: Task, sha256: str) -> Path | None:
    """The file with the given sha256, if it is on this machine: DSRL's cached file, or one shipped here."""
    cached = dsrl.cached(task)
    files = [*([cached] if cached is not None else []), *sorted(RECORDINGS.glob(f"{task.name}*.hdf5"))]
    return next((file for file in files if file_sha256(file) == sha256), None)


def recordings_file(task: Task) -> Path | None:
    """The recordings of a task that are shipped with the package, or None."""
    path = RECORDINGS / f"{task.name}.hdf5"
    return path if tasks().get(task.name) == task and path.is_file() else None


def _recordings(task: Task) -> Episodes:
    path = recordings_file(task)
    if path is None:
        shipped = ", ".join(name for name, known in tasks().items() if recordings_file(known) is not None)
        raise InputError(f"no recordings of {task.name} are shipped with safefeedback; there are {shipped or 'none'}")
    return _read_file(path, task, Source("recordings", "", ""))


def _read_file(path: Path, task: Task, source: Source) -> Episodes:
    from safefeedback.sources.hdf5 import read_hdf5

    return read_hdf5(path, task, source)


def _own(source: str, task: Task) -> Episodes:
    """The user's own recordings, even if their file is called "recordings" or "dsrl"."""
    module, name, key = _parts(source)
    if module is None:
        return _read_file(Path(source), task, Source("file", "", ""))
    episodes: Episodes = module.read(name, task, key or task.cost_key)
    if not key:
        return episodes
    return replace(episodes, source=replace(episodes.source, file=f"{episodes.source.file},cost={key}"))


def is_dataset_name(source: str) -> bool:
    """Whether it names a dataset of another project, as "lerobot:NAME" does."""
    known = KINDS.get(source.partition(":")[0])
    return ":" in source and known is not None and known.module is not None


def _parts(source: str) -> tuple[ModuleType | None, str, str]:
    """Of "kind:name,cost=key" the module that reads the kind, the name, and the key; no module for the path of a file."""
    kind, _, rest = source.partition(":")
    name, _, key = rest.partition(",cost=")
    known = KINDS.get(kind)
    if is_dataset_name(source) and not name:
        raise InputError(f"{source} names no dataset: it must read {kind}:NAME")
    return import_module(known.module) if known is not None and known.module is not None else None, name, key
