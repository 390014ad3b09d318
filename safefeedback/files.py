"""Hashes of files, and atomic writing of files and folders."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safefeedback.errors import InputError
from safefeedback.imports import module_file

try:
    import fcntl
except ImportError:  # not on Windows, where leftovers stay
    fcntl = None  # type: ignore[assignment]


SYSTEM_FILES = (  # files and folders that operating systems, file servers and editors leave in any folder
    *(".DS_Store", ".localized", "__MACOSX", ".Spotlight-V100", ".Trashes", ".fseventsd", "Thumbs.db", "ehthumbs.db"),
    *("desktop.ini", ".directory", "lost+found", "@eaDir", ".ipynb_checkpoints", ".stfolder", ".dropbox"),
)
SYSTEM_PREFIXES = ("._", ".nfs", ".fuse_hidden", ".Trash-", ".~lock.")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
FOREIGN = {  # how a file begins -> what it is, in lower case
    b"version https://git-lfs": "it is a pointer of Git LFS: `git lfs pull` fetches the file",
    b"<!doctype html": "it is a web page: the download failed",
    b"<html": "it is a web page: the download failed",
    b"\x1f\x8b": "it is packed with gzip: unpack it first",
    b"pk\x03\x04": "it is a zip archive: unpack it first",
}
ABOUT = ("README.md", "datasets.json", "croissant.json")  # files that describe several datasets in one folder


def is_system_file(name: str) -> bool:
    """Whether a file or folder of that name is made by the operating system."""
    return name in SYSTEM_FILES or name.startswith(SYSTEM_PREFIXES)


def foreign_content(path: Path) -> str:
    """What a file that cannot be read seems to hold in place of data, to be put behind an error; "" if that is not known."""
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError:
        return ""
    if not start:
        return "; it is empty"
    found = [meaning for beginning, meaning in FOREIGN.items() if start.lstrip().lower().startswith(beginning)]
    return f"; {found[0]}" if found else ""


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, as hex."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def files_sha256(folder: Path, files: Iterable[Path]) -> str:
    """One sha256 of several files: of a line for each, its sha256 and its path in the folder, sorted by path."""
    paths = sorted((file.relative_to(folder).as_posix(), file) for file in files)
    lines = "".join(f"{file_sha256(file)}  {path}\n" for path, file in paths)
    return hashlib.sha256(lines.encode()).hexdigest()


def module_sha256(name: str) -> str | None:
    """The sha256 of a module's file, or of every file .py of its package, without importing it; None if there is none.

    Other modules that it imports are not in it, nor what it reads.
    """
    if (file := module_file(name)) is None:
        return None
    above = file.parents[name.count(".") + (file.name == "__init__.py")]  # what holds the module, or its outermost package
    files = [file] if file.parent == above else list((above / name.partition(".")[0]).rglob("*.py"))
    return file_sha256(file) if files == [file] else files_sha256(above, files)


def write_text(path: Path, text: str) -> None:
    """Writes a file and waits until it is on the disk."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a hidden place beside a file; what the block writes there takes the file's name, whole or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OSError(
            error.errno, os.strerror(error.errno), str(path)
        ) from None  # a writer may not name the file, or at length
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_folder(target: Path, overwrite: bool = False, option: str = "--out", fetched: bool = False) -> Iterator[Path]:
    """Yields an empty folder beside `target` that takes its name when the block ends well, and vanishes otherwise.

    A process that is killed outright leaves a hidden `.<name>.*.partial` folder, and, at the moment of overwriting, the old
    folder as `.<name>.*.replaced`; the next one for the same target removes the first and puts the second back.

    Args:
        target: where it is a link, what it leads to is made.
        overwrite: whether a dataset there is replaced.
        option: that chooses the place, for errors.
        fetched: whether what is written may be several datasets, and brings its own label sets; see `check_target`.

    Raises:
        InputError: if the target exists and is not to be overwritten, or its place cannot be written to.
    """
    target = Path(os.path.realpath(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        check_target(target, overwrite, option, fetched, target if fetched else None)
        partial, lock = _locked_folder(target)
    except OSError as error:
        raise InputError(f"cannot write into {target.parent}: {error.strerror}") from None
    try:
        yield partial
        os.chmod(partial, 0o777 & ~_umask())
        _sync(partial)
        check_target(target, overwrite, option, fetched, partial if fetched else None)
        _move_into_place(partial, target)
    except OSError as error:
        if error.errno is None:
            raise
        raise InputError(f"cannot write {target}: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        unlock(lock)


def check_target(target: Path, overwrite: bool, option: str = "--out", several: bool = False, new: Path | None = None) -> None:
    """Refuses a target that exists, unless it is a dataset's folder that may be overwritten.

    Args:
        target: the folder.
        overwrite: whether a dataset there is replaced.
        option: that chooses the place.
        several: whether a folder of datasets, and what describes them, may be overwritten as well.
        new: what takes its place; label sets that are in it as well are not lost.

    Raises:
        InputError: naming the way on.
    """
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} exists and is not a folder: choose another with {option}")
    if not target.exists():
        return
    if not overwrite:
        raise InputError(f"{target} exists already: add --overwrite to replace it, or choose another with {option}")
    datasets = [path.parent for path in target.glob("*/recipe.json")] if several else []
    expected = (*datasets, *(target / name for name in ABOUT if datasets))
    others = [path for path in target.iterdir() if path not in expected and not is_system_file(path.name)]
    if others and not (target / "recipe.json").is_file():
        raise InputError(f"{target} is not a dataset of safefeedback and will not be overwritten: choose another with {option}")
    for labels in (folder / "labels" for folder in (target, *datasets) if (folder / "labels").exists()):
        if new is None or any(
            not (new / label_set.relative_to(target)).is_dir()
            for label_set in labels.iterdir()
            if not is_system_file(label_set.name)
        ):
            raise InputError(f"{labels.parent} holds label sets, which --overwrite would delete: move {labels} away first")


def _move_into_place(partial: Path, target: Path) -> None:
    """Gives the new folder its name; an old one is set aside first, and put back if that fails."""
    if target.exists():
        replaced = partial.with_suffix(".replaced")
        lock = lock_folder(target)  # goes with the folder, so that no other build puts it back meanwhile
        target.rename(replaced)
        try:
            partial.rename(target)
        except BaseException:
            replaced.rename(target)
            raise
        finally:
            unlock(lock)
        replaced.rename(partial)  # half deleted by a process that is killed, it must not be put back
        shutil.rmtree(partial, ignore_errors=True)
    else:
        partial.rename(target)
    _sync(target.parent)


def _remove_leftovers(target: Path) -> None:
    """Undoes what killed processes left for the same target; what is in use is locked and stays."""
    hidden = target.parent / f".{glob.escape(target.name)}.*"
    for kind in (".replaced", ".partial"):
        for leftover in map(Path, glob.glob(f"{hidden}{kind}")):
            with suppress(OSError):
                lock = lock_folder(leftover)
                if lock is not None:
                    if kind == ".replaced" and not target.exists():
                        leftover.rename(target)
                    else:
                        shutil.rmtree(leftover, ignore_errors=True)
                    unlock(lock)


def _locked_folder(target: Path) -> tuple[Path, int | None]:
    """A new hidden folder and its lock; again if another build's sweep took it between the two."""
    for _ in range(100):
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
        with suppress(OSError):
            lock = lock_folder(partial)
            if partial.is_dir():
                return partial, lock
            unlock(lock)
    raise OSError(errno.EBUSY, "other builds into the same folder are in the way")


def lock_folder(folder: Path) -> int | None:
    """Locks a folder; None where the file system has no locks.

    Raises:
        OSError: if it is gone, or locked already.
    """
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return None
    return handle


def lock_file(path: Path) -> int | None:
    """Locks a file, which is made where it is missing, until the handle is closed; None if another process has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _sync(folder: Path) -> None:
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
