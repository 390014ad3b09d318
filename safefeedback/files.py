"""Files that are known by their sha256, and folders that appear whole or not at all."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safefeedback.errors import InputError

try:
    import fcntl
except ImportError:  # not on Windows, where leftovers stay
    fcntl = None  # type: ignore[assignment]


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, as hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def new_folder(target: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yields an empty folder beside `target` that takes its name when the block ends well, and vanishes otherwise.

    A process that is killed leaves a hidden `.<name>.*.partial` folder, which the next one for the same target removes.

    Raises:
        InputError: if the target exists and is not to be overwritten, or its place cannot be written to.
    """
    check_new(target, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
    except OSError as error:
        raise InputError(f"cannot write into {target.parent}: {error.strerror}") from None
    lock = _lock(partial)
    try:
        yield partial
        os.chmod(partial, 0o777 & ~_umask())
        _sync(partial)
        check_new(target, overwrite)
        if target.exists():
            replaced = partial.with_suffix(".replaced.partial")
            target.rename(replaced)
            partial.rename(target)
            shutil.rmtree(replaced)
        else:
            partial.rename(target)
        _sync(target.parent)
    except OSError as error:
        if isinstance(error, FileExistsError) or error.errno is None:
            raise
        raise InputError(f"cannot write {target}: {error.strerror}; nothing was left behind") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def check_new(target: Path, overwrite: bool) -> None:
    """Refuses a target that exists, unless it is a dataset's folder and is to be overwritten.

    Raises:
        InputError: naming the way on.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise InputError(f"{target} exists and is not a folder: choose another place with --out")
    if not target.exists():
        return
    if not overwrite:
        raise InputError(f"{target} exists already: add --overwrite to replace it, or choose another place with --out")
    if any(target.iterdir()) and not (target / "recipe.json").is_file():
        raise InputError(f"{target} is not a dataset of safefeedback and will not be overwritten: choose another --out")


def _sweep(target: Path) -> None:
    """Removes what killed processes left behind for the same target; a folder in use is locked and stays."""
    for leftover in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        with suppress(OSError):
            lock = _lock(leftover)
            if lock is not None:
                shutil.rmtree(leftover, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _sync(folder: Path) -> None:
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
