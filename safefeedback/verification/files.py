"""Verifies that the files of a dataset are those that its manifests name, byte for byte, and no others."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from safefeedback.dataset.manifest import AnyManifest, StoredFile
from safefeedback.files import file_sha256, is_system_file
from safefeedback.verification.check import Check

OURS = re.compile(r"(README\.md|recipe\.json|croissant\.json|plots/.*\.png|\.git(/.*|ignore|attributes)?|\.cache/.*)")
LEFTOVER = re.compile(r"(.*/)?\.[^/]*\.(partial|replaced)(/.*)?")


def files_check(folder: Path, manifests: Mapping[str, AnyManifest], advance: Callable[[int], None]) -> Check:
    """Checks what is missing, has another size or sha256 than its manifest says, or does not belong to the dataset.

    Args:
        folder: of the dataset.
        manifests: of the dataset ("") and of its label sets ("labels/<name>").
        advance: called with 1 after each file.
    """
    expected = _expected_files(manifests)
    problems = []
    for name, facts in expected.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != facts.bytes:
            problems.append(f"{name} has {path.stat().st_size:,} bytes instead of {facts.bytes:,}")
        elif file_sha256(path) != facts.sha256:
            problems.append(f"{name} has another sha256 than recipe.json says")
        advance(1)
    ours = {*expected, *(f"{prefix}/recipe.json" for prefix in manifests)}
    others = [
        path
        for path in _all_files(folder)
        if path not in ours and not OURS.fullmatch(path) and not any(map(is_system_file, path.split("/")))
    ]
    left = [path for path in others if LEFTOVER.fullmatch(path)]
    problems += [f"{path} does not belong to the dataset" for path in others if path not in left]
    note = f"{len(expected)} files: size and sha256; nothing else in the folder but what Git and the Hub keep there"
    return Check("files", tuple(problems), note + "".join(f"; {path} is left from a command that was killed" for path in left))


def _all_files(folder: Path) -> list[str]:
    """The paths of all files in a folder and below; links count as files."""
    paths = []
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        paths += [(Path(place) / name).relative_to(folder).as_posix() for name in [*names, *links]]
    return sorted(paths)


def _expected_files(manifests: Mapping[str, AnyManifest]) -> dict[str, StoredFile]:
    """The size that every file should have, by its path in the folder."""
    return {
        "/".join(filter(None, (prefix, name))): facts
        for prefix, manifest in manifests.items()
        for name, facts in manifest.files.items()
    }
