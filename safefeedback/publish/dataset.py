"""A dataset's folder as a release: the files to upload, the card and the metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safefeedback.dataset import card
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.reading import open_dataset
from safefeedback.errors import InputError
from safefeedback.files import is_system_file
from safefeedback.hub import client as network
from safefeedback.publish import croissant
from safefeedback.publish.release import Release, changelog, json_object


@dataclass(frozen=True)
class PublishedDataset:
    """A dataset as it is uploaded.

    Attributes:
        manifest: of the dataset, without names where the upload is anonymous.
        sets: the manifests of its label sets, by name.
        pictures: the names of the drawn plots that the card shows.
        files: path in the repository -> file, or its content; without the card.
        notes: the text that people wrote below the generated part of the card.
    """

    manifest: Manifest
    sets: dict[str, LabelSetManifest]
    pictures: list[str]
    files: dict[str, Path | bytes]
    notes: str


def collect_files(folder: Path, anonymous: bool = False) -> PublishedDataset:
    """The files that the manifests of a dataset's folder name, and its plots; nothing else in the folder.

    Args:
        folder: of the dataset.
        anonymous: whether to leave out who recorded the user's own data, the citation, and the notes in the card. DSRL's
            authors and ours are kept, as the licence demands.

    Raises:
        InputError: if it is not a dataset's folder, a file is missing, or a label set names its annotators.
    """
    if not (folder / "recipe.json").is_file():
        raise InputError(f"{folder} is not a dataset of safefeedback: it holds no recipe.json")
    opened = open_dataset(folder)
    manifest, sets = opened.manifest, opened.label_sets
    if anonymous:
        named = card.sets_by_people(sets)
        if named:
            raise InputError(
                f"--anonymous: the label set {named[0]} names its annotators: move {folder}/labels/{named[0]} away"
            )
        manifest = manifest.anonymous()
    paths = ["recipe.json", *manifest.files]
    for name, labels in sets.items():
        paths += [f"labels/{name}/{path}" for path in ("recipe.json", *labels.files)]
    plots = [path for path in (folder / "plots").rglob("*.png") if not is_system_file(path.name)]
    paths += sorted(path.relative_to(folder).as_posix() for path in plots)
    for path in paths:
        if not (folder / path).is_file():
            raise InputError(f"{folder} has no {path}, which its recipe.json names: build the dataset again")
    files: dict[str, Path | bytes] = {path: folder / path for path in paths}
    if anonymous:
        files["recipe.json"] = json_bytes(manifest.raw)
    return PublishedDataset(manifest, sets, card.pictures_in(folder), files, "" if anonymous else notes_in(folder))


def dataset_release(folder: Path, repo: str, anonymous: bool = False) -> Release:
    """A dataset's folder as a release.

    Args:
        folder: of the dataset.
        repo: user/name.
        anonymous: as in `collect_files`.

    Raises:
        InputError: as `collect_files` does.
    """
    collected = collect_files(folder, anonymous)
    this = collected.manifest.task.name

    def differs(content: bytes) -> str | None:
        recipe = json_object(content).get("recipe")
        task = recipe.get("task") if isinstance(recipe, dict) else None
        return None if task == this else f"it holds {f'the task {task}' if task else 'something else'}"

    described = croissant.metadata(collected.manifest, collected.sets, repo, address(repo))
    text = card.render(collected.manifest, collected.sets, collected.pictures, repo)
    files = {**collected.files, "croissant.json": json_bytes(croissant.anonymous(described) if anonymous else described)}
    notes = None if anonymous else collected.notes
    return Release("dataset", files, text, notes, ("pairs", "oracle", "labels", "plots"), "recipe.json", differs)


def address(repo: str) -> str:
    """The web address of a repository of datasets."""
    return f"{network.endpoint()}/datasets/{repo}"


def notes_in(folder: Path) -> str:
    """The notes that people wrote below the card of a folder."""
    path = folder / "README.md"
    return changelog(path.read_text(encoding="utf-8") if path.is_file() else "")[1]


def json_bytes(values: dict[str, Any]) -> bytes:
    """JSON for people to read, as the file's bytes."""
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()
