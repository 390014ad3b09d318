"""The segments of a dataset as tensors: unpacked from Parquet once into the cache, then read from there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from presa.cache import cache_folder, make_room, mark_used
from presa.tensors import load_tensors
from safefeedback.dataset.reading import Folder
from safefeedback.errors import InputError
from safefeedback.files import replacing

KEPT_VERSION = 1


@dataclass(frozen=True)
class Segments:
    """The segments of every pair of a split, in draw order.

    Attributes:
        observations: float32 [N, 2, L, O].
        actions: float32 [N, 2, L, A].
        sha256: of both, as `arrays_sha256` has it.
    """

    observations: Tensor
    actions: Tensor
    sha256: str


def load_segments(folder: Folder, split: str, device: str) -> Segments:
    """The segments of a split on the device, copied there once.

    Raises:
        InputError: as `safefeedback.read` does, and if a number is not finite.
    """
    path = _cache_file(folder, split)
    try:
        tensors, facts = load_tensors(path)  # mapped, not read yet
    except InputError:  # there is none, or it is damaged
        dataset = folder.pairs(split=split)
        for name, values in (("observations", dataset.observations), ("actions", dataset.actions)):
            if not np.isfinite(values).all():
                bad = dataset.pair_id[~np.isfinite(values).reshape(len(values), -1).all(axis=1)][0]
                raise InputError(f"{folder.source}: {name} of pair {bad} are not finite") from None
        observations, actions = (torch.from_numpy(values) for values in (dataset.observations, dataset.actions))
        segments = Segments(observations.to(device), actions.to(device), arrays_sha256(dataset.observations, dataset.actions))
        _write_cache(path, segments)
        return segments
    mark_used(path)
    observations, actions = (_copy_to_device(tensors[name], device) for name in ("observations", "actions"))
    return Segments(observations, actions, facts["sha256"])


def _copy_to_device(mapped: Tensor, device: str) -> Tensor:
    """A copy on the device; NumPy's memory is of large pages, which makes it five times as fast as torch's clone()."""
    return torch.from_numpy(np.array(mapped.numpy())) if device == "cpu" else mapped.to(device)


def _cache_file(folder: Folder, split: str) -> Path:
    """The cache file of a split; its name changes when a Parquet file changes or is written again."""
    stats = [(file.name, file.stat()) for file in folder.files("pairs", split)]
    files = [(name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_dev, s.st_ino) for name, s in stats]
    identity = json.dumps([KEPT_VERSION, files])
    return cache_folder() / "segments" / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.safetensors"


def _write_cache(path: Path, segments: Segments) -> None:
    """Writes them into the cache, unless the disk is full."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {"observations": segments.observations.cpu(), "actions": segments.actions.cpu()}
        with replacing(path) as partial:
            save_file(tensors, partial, {"presa": json.dumps({"sha256": segments.sha256})})
        make_room(path)
    except (OSError, SafetensorError):
        pass  # the next load unpacks again


def arrays_sha256(*arrays: np.ndarray) -> str:
    """The sha256 of arrays: of their values, shapes and types."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B"))
    return digest.hexdigest()
