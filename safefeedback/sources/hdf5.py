"""Reads the required parts of an HDF5 file in DSRL's schema, and refuses invalid files."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from safefeedback.errors import InputError
from safefeedback.files import file_sha256, foreign_content
from safefeedback.sources.checks import check_costs, check_finite
from safefeedback.tasks import Task
from safefeedback.types import Episodes, Source, UnlabelledEpisodes

PLAIN_FILTERS = (None, "gzip", "lzf")
MOST_COMPRESSION = 1100  # gzip cannot pack more than 1032 bytes into one
SHOWN = 10  # keys of a file that lacks one
LARGE = 1 << 30  # bytes; below it, an array that was never written is its fill value


def read_hdf5(path: Path, task: Task, source: Source) -> Episodes:
    """Reads the episodes of a file with the keys observations, actions, rewards, costs, terminals and timeouts.

    An episode ends where `terminals` or `timeouts` is true; rows after the last end belong to no episode. Rewards, costs
    and the ends may be (T,) or (T, 1). `next_observations` is not read.

    Args:
        path: the file.
        task: whose dimensions the file must have.
        source: what is known about the file; its name, fingerprint and conversions are filled in here, and its licence,
            author, citation and credit from the file's attributes of these names where they are empty.

    Raises:
        InputError: naming file and field, if a key is missing, lengths disagree, a value is NaN or infinite, a cost is
            negative, the dims do not fit the task, no episode ends, or the file is not plain readable HDF5.
    """
    with _explained(path):
        fingerprint = file_sha256(path)
        with h5py.File(path, "r") as file:
            observations, actions, bounds = _read_steps(file, path, task)
            rewards = _read(file, path, "rewards", None, np.float64)
            costs = _read(file, path, "costs", None, np.float64)
            converted = tuple(
                f"{key} from {file[key].dtype} to float32"
                for key in ("observations", "actions")
                if file[key].dtype != np.float32
            )
            terms = {key: _text(file.attrs.get(key)) for key in ("license", "author", "citation", "credit")}
    for key, values in {"rewards": rewards, "costs": costs}.items():
        _require_length(path, key, values, observations)
    check_costs(path, "costs", costs)
    stated = {key: getattr(source, key) or value for key, value in terms.items()}
    source = replace(source, file=path.name, fingerprint=fingerprint, converted=converted, **stated)
    return Episodes(task, observations, actions, rewards, costs, bounds, source)


def read_unlabelled(path: Path, task: Task) -> UnlabelledEpisodes:
    """The observations and actions of the episodes of a file; its rewards and costs are not read, and may be missing.

    Raises:
        InputError: as `read_hdf5` does.
    """
    with _explained(path):
        fingerprint = file_sha256(path)
        with h5py.File(path, "r") as file:
            observations, actions, bounds = _read_steps(file, path, task)
    return UnlabelledEpisodes(observations, actions, bounds, path.name, fingerprint)


def _read_steps(file: h5py.File, path: Path, task: Task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations, actions and the episodes' bounds."""
    observations = _read(file, path, "observations", task.observation_dim, np.float32)
    actions = _read(file, path, "actions", task.action_dim, np.float32)
    flags = {key: _read_flags(file, path, key) for key in ("terminals", "timeouts")}
    for key, values in {"actions": actions, **flags}.items():
        _require_length(path, key, values, observations)
    ends = flags["terminals"] | flags["timeouts"]
    if not ends.any():
        raise InputError(f"{path}: no episode ends: terminals and timeouts are false at every step")
    return observations, actions, np.concatenate([[0], np.flatnonzero(ends) + 1]).astype(np.int64)


def _require_length(path: Path, key: str, values: np.ndarray, observations: np.ndarray) -> None:
    if len(values) != len(observations):
        raise InputError(f"{path}: {key} has {len(values)} steps but observations has {len(observations)}")


def read_advantages(path: Path, steps: int, sha256: str) -> np.ndarray:
    """The key `advantages` of an HDF5 file: float64 [steps], the advantage of the action at every recorded step.

    Raises:
        InputError: naming the file, if it has another sha256, is missing, of another length, not finite, or cannot be read.
    """
    with _explained(path):
        if file_sha256(path) != sha256:
            raise InputError(f"{path} is another file than the recipe names, or was written meanwhile")
    with _explained(path), h5py.File(path, "r") as file:
        values = _read(file, path, "advantages", None, np.float64)
    if len(values) != steps:
        raise InputError(f"{path}: advantages has {len(values)} steps but the recordings have {steps}")
    return values


def _text(value: object) -> str:
    """A text attribute, with question marks for what is no Unicode; anything else counts as nothing stated."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""


def _dataset(file: h5py.File, path: Path, key: str) -> h5py.Dataset:
    link = file.get(key, getlink=True)
    if link is None:
        there = ", ".join(list(file)[:SHOWN]) + ", ..." * (len(file) > SHOWN)
        raise InputError(f"{path}: the key '{key}' is missing; DSRL's schema needs it, and the file holds {there or 'nothing'}")
    if not isinstance(link, h5py.HardLink):
        raise InputError(f"{path}: {key} is a link to elsewhere; copy the data into the file")
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or dataset.dtype.kind not in "fiub":
        raise InputError(f"{path}: {key} is not an array of numbers")
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: {key} keeps its data in another file; copy the data into this one")
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > LARGE and dataset.compression in PLAIN_FILTERS and dataset.nbytes > MOST_COMPRESSION * stored:
        raise InputError(f"{path}: {key} declares {dataset.nbytes:,} bytes but stores only {stored:,}; the file is broken")
    return dataset


def _read(file: h5py.File, path: Path, key: str, dim: int | None, dtype: type) -> np.ndarray:
    """One array as `dtype`: [T, dim], or [T] where dim is None."""
    dataset = _dataset(file, path, key)
    shape = dataset.shape
    if dim is None and not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        raise InputError(f"{path}: {key} has shape {shape} but must be (steps,) or (steps, 1)")
    if dim is not None and (len(shape) != 2 or shape[1] != dim):
        raise InputError(f"{path}: {key} has shape {shape} but the task needs (steps, {dim})")
    values = np.empty(shape, dtype)
    if dataset.size:
        dataset.read_direct(values)
    check_finite(path, key, values)
    return values if dim is not None else values.reshape(-1)


def _read_flags(file: h5py.File, path: Path, key: str) -> np.ndarray:
    values = _read(file, path, key, None, np.float64)
    bad = (values != 0) & (values != 1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"{path}: {key} holds {values[row]:g} at step {row}; it must be true or false")
    return values == 1


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns the errors of reading a broken file into one line."""
    try:
        before = _stamp(path)
        yield
        if _stamp(path) != before:
            raise InputError(f"{path} was written while it was read: wait until it is whole, and run the same command again")
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; give the HDF5 file itself, or lerobot:{path} for a LeRobot dataset") from None
    except MemoryError:
        raise InputError(f"{path}: the arrays it declares do not fit into memory") from None
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "unable to lock file" in reason:
            reason += "; another program writes it, or HDF5_USE_FILE_LOCKING=FALSE helps where the file system has no locks"
        raise InputError(f"{path} cannot be read as HDF5: {reason}{foreign_content(path)}") from None


def _stamp(path: Path) -> tuple[int, ...]:
    """The identity of a file's content, to check that the hashed file is the one that was read.

    Raises:
        InputError: if it is a pipe or a device, in which HDF5 cannot be found.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode) and not stat.S_ISDIR(facts.st_mode):
        raise InputError(f"{path} is no file but a pipe or a device, from which HDF5 cannot be read: save it to a file first")
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns
