"""What goes up to the Hub: the files of a dataset, its version, and the line about it in the card."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safefeedback import card
from safefeedback.errors import InputError
from safefeedback.files import file_sha256
from safefeedback.reading import label_sets, read_manifest

ABOUT = ("README.md", "croissant.json", "plots/")  # what is said about the data; the rest is the data
FIRST = "v1.0.0"


@dataclass(frozen=True)
class Release:
    """What a repository will hold.

    Attributes:
        kind: of the repository, "dataset" or "model".
        files: path in the repository -> the file, or its content; without the card.
        card: README.md from the changelog, newest line first, and the notes that somebody wrote in the repository's card.
        marker: the file by which a repository of ours is known.
        differs: why what the repository holds is another thing, from its marker's content; None if it is the same thing.
    """

    kind: str
    files: dict[str, Path | bytes]
    card: Callable[[list[str], str], str]
    marker: str
    differs: Callable[[bytes], str | None]


@dataclass(frozen=True)
class Change:
    """What a publish does to a repository.

    Attributes:
        version: the tag.
        files: path -> file or content of everything, the card among them.
        sent: paths that are new or others.
        removed: paths of ours that are no longer there.
        line: of the changelog.
    """

    version: str
    files: dict[str, Path | bytes]
    sent: tuple[str, ...]
    removed: tuple[str, ...]
    line: str


def dataset(folder: Path, repo: str) -> Release:
    """A dataset's folder as a release: what its manifests name, and plots; nothing else that lies in the folder.

    Raises:
        InputError: if it is not a dataset's folder, or a file is missing.
    """
    if not (folder / "recipe.json").is_file():
        raise InputError(f"{folder} is not a dataset of safefeedback: it holds no recipe.json")
    manifest, sets = read_manifest(folder), label_sets(folder)
    paths = ["recipe.json", *manifest["files"]]
    for name, labels in sets.items():
        paths += [f"labels/{name}/{path}" for path in ("recipe.json", *labels["files"])]
    paths += sorted(path.relative_to(folder).as_posix() for path in (folder / "plots").rglob("*.png"))
    for path in paths:
        if not (folder / path).is_file():
            raise InputError(f"{folder} has no {path}, which its recipe.json names: build the dataset again")
    local = folder / "README.md"
    yours = local.read_text(encoding="utf-8").partition(card.YOURS)[2] if local.is_file() else ""

    def text(changelog: list[str], notes: str) -> str:
        return card.render(manifest, sets, repo, changelog) + (yours.strip() and yours or notes)

    def differs(content: bytes) -> str | None:
        theirs = card.parse_manifest(content)
        task = theirs.get("recipe", {}).get("task")
        return None if task == manifest["recipe"]["task"] else f"it holds {f'the task {task}' if task else 'something else'}"

    return Release("dataset", {path: folder / path for path in paths}, text, "recipe.json", differs)
