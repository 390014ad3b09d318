"""Whether a recipe.json says everything, and agrees with itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeVar

from safefeedback.dataset.answers import origin_of
from safefeedback.dataset.content import content_hash
from safefeedback.dataset.store import FORMAT_VERSION, SPLITS, recipe_hash
from safefeedback.errors import InputError
from safefeedback.feedback.consensus import CONSENSUS
from safefeedback.feedback.recipe import Labelling, Recipe
from safefeedback.tasks import Task

ANY = "*"  # any key
COMMON = {
    "format_version": int,
    "recipe": dict,
    "recipe_sha256": str,
    "splits": {ANY: int},
    "history": [dict],
    "statistics": dict,
    "content": {"sha256": str, "columns": {ANY: str}},
    "files": {ANY: {"bytes": int, "sha256": str}},
}
DATASET = {
    **COMMON,
    "task": dict,
    "source": dict.fromkeys(("kind", "sha256", "license", "author", "citation", "credit"), str),
    "shape": dict.fromkeys(("length", "observation_dim", "action_dim"), int),
    "not_hashed": dict.fromkeys(("safefeedback", "pyarrow", "source_file"), str),
}
LABEL_SET = {
    **COMMON,
    "name": str,
    "base": dict.fromkeys(("content_sha256", "recipe_sha256"), str),
    "not_hashed": dict.fromkeys(("safefeedback", "pyarrow"), str),
}
SOURCE_ENTRY = {
    "stage": str,
    **dict.fromkeys(("steps", "steps_after_last_episode", "episodes", "episodes_too_short", "longest_episode"), int),
    "converted": [str],
}
ANSWERS = {"cost_limit": float, "horizon": (str, int), "file": str, "answers_sha256": str, "consensus": str}
SHARD = re.compile(rf"(\w+/)?({'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}\.parquet")
Made = TypeVar("Made", bound=Labelling)


def load(folder: Path, structure: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What recipe.json says and what is wrong with its structure; {} if it cannot be used.

    Raises:
        InputError: if it is in another format than is known here.
    """
    try:
        manifest = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return {}, [f"recipe.json cannot be read: {str(error).splitlines()[0]}"]
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if isinstance(version, int) and version != FORMAT_VERSION:
        raise InputError(f"{folder} has format version {version}; this version of safefeedback verifies {FORMAT_VERSION}")
    problems = _misfits(manifest, structure, "recipe.json")
    if not problems and "source" in structure:
        first = manifest["history"][0] if manifest["history"] else {}
        problems = _misfits(first, SOURCE_ENTRY, "recipe.json: history[0]")
        problems += [] if problems or first["stage"] == "source" else ["recipe.json: history does not begin with the source"]
    if not problems:
        problems += [f"recipe.json names the file {name}" for name in manifest["files"] if not SHARD.fullmatch(name)]
        problems += [f"recipe.json names the split {split}" for split in manifest["splits"] if split not in SPLITS]
        problems += [] if manifest["splits"] else ["recipe.json names no split"]
    if problems:
        return {}, problems
    if content_hash(manifest["content"]["columns"]) != manifest["content"]["sha256"]:
        problems.append("recipe.json: content.sha256 is not that of content.columns")
    return manifest, problems


def dataset_recipe(manifest: dict[str, Any]) -> tuple[Recipe | None, list[str]]:
    """The recipe of a dataset, None if there can be none, and what does not agree with it."""
    recipe, problems = _choices(Recipe, manifest["recipe"], manifest["task"])
    if recipe is None:
        return None, problems
    if recipe.task.to_dict() != manifest["task"]:
        problems.append("recipe.json: task is not what it says itself")
    longest = manifest["history"][0]["longest_episode"]
    if recipe.shape != manifest["shape"]:
        return None, [*problems, f"recipe.json: shape is {manifest['shape']}, but recipe and task give {recipe.shape}"]
    if recipe.length > longest:
        return None, [*problems, f"recipe.json: segments of {recipe.length} steps, but the longest episode has {longest}"]
    if recipe_hash(recipe, manifest["source"]["sha256"]) != manifest["recipe_sha256"]:
        problems.append("recipe.json: recipe_sha256 is not that of the recipe, the task and the source")
    return recipe, problems


def label_set_recipe(manifest: dict[str, Any], base: dict[str, Any], name: str) -> tuple[Labelling | None, list[str]]:
    """The choices behind a label set of the dataset `base`, None if there can be none, and what does not agree with them."""
    if "answers_sha256" in manifest["recipe"]:
        problems = list(_misfits(manifest["recipe"], ANSWERS, "recipe.json: recipe"))
        if not problems and manifest["recipe"]["consensus"] not in CONSENSUS:
            problems.append(f"recipe.json: recipe: there is no consensus '{manifest['recipe']['consensus']}'")
        if problems:
            return None, problems
        chosen = {key: manifest["recipe"][key] for key in ("cost_limit", "horizon")}
        labelling, problems = _choices(Labelling, chosen, base["task"], whole=False)
        origin = origin_of(manifest["recipe"], base)
    else:
        labelling, problems = _choices(Labelling, manifest["recipe"], base["task"])
        origin = base["content"]["sha256"]
    if labelling is None:
        return None, problems
    if manifest["name"] != name:
        problems.append(f"recipe.json: name is {manifest['name']}")
    for key, value in (("content_sha256", base["content"]["sha256"]), ("recipe_sha256", base["recipe_sha256"])):
        if manifest["base"][key] != value:
            problems.append(f"recipe.json: base.{key} is not the dataset's: the set labels other pairs")
    if recipe_hash(labelling, origin) != manifest["recipe_sha256"]:
        problems.append("recipe.json: recipe_sha256 is not that of the recipe and of the dataset")
    return labelling, problems


def _choices(
    kind: type[Made], values: dict[str, Any], task: dict[str, Any], whole: bool = True
) -> tuple[Made | None, list[str]]:
    """The choices that a manifest holds, and whether they are written as they are read (where all of them are there)."""
    try:
        choices = kind.from_dict(values, Task.from_dict(task))
        written = choices.to_dict()
    except (InputError, TypeError, ValueError, AttributeError, KeyError) as error:
        return None, [f"recipe.json: there is no such recipe: {error}"]
    wrong = [key for key in {**written, **values} if values.get(key, ANY) != written.get(key, ANY)] if whole else []
    return choices, [f"recipe.json: recipe.{key} cannot be what was chosen" for key in wrong]


def _misfits(value: Any, wanted: Any, where: str) -> list[str]:
    """Where a JSON value has another structure than is wanted: a type, a list, or a table with these and no other keys."""
    if isinstance(wanted, (type, tuple)):
        fits = isinstance(value, wanted) and not isinstance(value, bool)
        return [] if fits else [f"{where} is {json.dumps(value)[:40]}, which it cannot be"]
    if isinstance(wanted, list):
        if not isinstance(value, list):
            return [f"{where} is not a list"]
        return [problem for index, item in enumerate(value) for problem in _misfits(item, wanted[0], f"{where}[{index}]")]
    if not isinstance(value, dict):
        return [f"{where} is not a table"]
    if ANY in wanted:
        return [problem for key, item in value.items() for problem in _misfits(item, wanted[ANY], f"{where}: {key}")]
    problems = [f"{where} has no field '{key}'" for key in wanted if key not in value]
    problems += [f"{where} has the field '{key}', which this format does not know" for key in value if key not in wanted]
    shared = [key for key in wanted if key in value]
    return problems + [problem for key in shared for problem in _misfits(value[key], wanted[key], f"{where}: {key}")]
