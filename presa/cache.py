"""The cache between commands: unpacked segments and cloned policies. Beyond a size limit, the least recently used are
deleted."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from safefeedback.errors import InputError

DEFAULT_LIMIT = 20.0  # GB
KINDS = {"segments": "unpacked segments", "cloned": "cloned policies"}


def cache_folder() -> Path:
    """$PRESA_CACHE, or `presa` in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("PRESA_CACHE") or Path(base) / "presa")


def size_limit() -> int:
    """The size limit in bytes: $PRESA_CACHE_LIMIT in GB, or 20 GB.

    Raises:
        InputError: if it is not a number, 0 or more.
    """
    text = os.environ.get("PRESA_CACHE_LIMIT") or str(DEFAULT_LIMIT)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = -1.0
    if not 0 <= gigabytes < float("inf"):
        raise InputError(f"PRESA_CACHE_LIMIT must be a number of gigabytes, 0 or more, not '{text}'")
    return int(gigabytes * 1e9)


def mark_used(path: Path) -> None:
    """Records that a cached file was used now."""
    with suppress(OSError):
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def make_room(new: Path) -> None:
    """Deletes the least recently used files until the size limit is kept; the new file stays."""
    most, files = size_limit(), sorted(cached_files(), key=lambda file: file[2])
    size = sum(file[1] for file in files)
    for path, bytes_, _ in files:
        if size > most and path != new:
            path.unlink(missing_ok=True)
            size -= bytes_


def cached_files() -> list[tuple[Path, int, float]]:
    """Every cached file, its size in bytes, and when it was last used, in seconds since the epoch."""
    files = []
    for kind in KINDS:
        for path in (cache_folder() / kind).glob("*.safetensors"):
            with suppress(FileNotFoundError):  # another process deleted it
                facts = path.stat()
                files.append((path, facts.st_size, facts.st_atime))
    return files


def empty() -> None:
    """Deletes everything in the cache.

    Raises:
        InputError: if it cannot be deleted.
    """
    for kind in KINDS:
        try:
            shutil.rmtree(cache_folder() / kind)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise InputError(f"{cache_folder()} cannot be emptied: {error.strerror}") from None
