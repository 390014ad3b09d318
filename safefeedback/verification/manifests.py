"""Verifies that a recipe.json is consistent; `safefeedback.dataset.manifest` checks its structure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from safefeedback.dataset.answers import hash_origin
from safefeedback.dataset.content import content_hash
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.reading import Folder
from safefeedback.dataset.store import recipe_hash
from safefeedback.dataset.structure import ManifestError

Read = TypeVar("Read", Manifest, LabelSetManifest)
ABSENT = object()


def load_dataset_manifest(folder: Folder) -> tuple[Manifest | None, list[str]]:
    """The manifest of a dataset, None if it cannot be used, and what is wrong with it.

    Raises:
        InputError: if it is in another format than is known here.
    """
    manifest, problems = _load(lambda: folder.manifest)
    if manifest is None:
        return None, problems
    recipe, raw = manifest.recipe, manifest.raw
    if recipe.task.to_dict() != raw["task"]:
        problems.append("recipe.json: task is not what it says itself")
    if recipe.shape != raw["shape"]:
        return None, [*problems, f"recipe.json: shape is {raw['shape']}, but recipe and task give {recipe.shape}"]
    if recipe.length > manifest.longest_episode:
        longest = f"the longest episode has {manifest.longest_episode}"
        return None, [*problems, f"recipe.json: segments of {recipe.length} steps, but {longest}"]
    if recipe_hash(recipe, manifest.source.fingerprint) != manifest.recipe_sha256:
        problems.append("recipe.json: recipe_sha256 is not that of the recipe, the task and the source")
    return manifest, [*problems, *_rewritten(raw["recipe"], recipe.to_dict())]


def load_label_sets(folder: Folder) -> dict[str, tuple[LabelSetManifest | None, list[str]]]:
    """The manifest of every label set of a dataset, None if it cannot be used, and what is wrong with it; by name."""
    return {name: _load_label_set(folder, name) for name in folder.label_set_names()}


def _load_label_set(folder: Folder, name: str) -> tuple[LabelSetManifest | None, list[str]]:
    label_set, problems = _load(lambda: folder.label_set(name))
    if label_set is None:
        return None, problems
    base = folder.manifest
    if label_set.answers is not None:
        origin = hash_origin(base, label_set.answers.sha256, label_set.answers.consensus)
    else:
        origin = base.content_sha256
        problems += _rewritten(label_set.raw["recipe"], label_set.labelling.to_dict())
    if label_set.name != name:
        problems.append(f"recipe.json: name is {label_set.name}")
    stated = {"content_sha256": label_set.base_content_sha256, "recipe_sha256": label_set.base_recipe_sha256}
    for key, value in {"content_sha256": base.content_sha256, "recipe_sha256": base.recipe_sha256}.items():
        if stated[key] != value:
            problems.append(f"recipe.json: base.{key} is not the dataset's: the set labels other pairs")
    if recipe_hash(label_set.labelling, origin) != label_set.recipe_sha256:
        problems.append("recipe.json: recipe_sha256 is not that of the recipe and of the dataset")
    return label_set, problems


def _load(read: Callable[[], Read]) -> tuple[Read | None, list[str]]:
    try:
        manifest = read()
    except ManifestError as error:
        return None, list(error.problems)
    fits = content_hash(manifest.columns) == manifest.content_sha256
    return manifest, [] if fits else ["recipe.json: content.sha256 is not that of content.columns"]


def _rewritten(stored: dict[str, Any], chosen: dict[str, Any]) -> list[str]:
    """The choices that are not stored in canonical form."""
    wrong = [key for key in {**chosen, **stored} if stored.get(key, ABSENT) != chosen.get(key, ABSENT)]
    return [f"recipe.json: recipe.{key} cannot be what was chosen" for key in wrong]
