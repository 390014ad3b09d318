"""Reads a dataset, from a folder or the Hugging Face Hub, into shaped NumPy arrays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.parquet import fill, label_arrays, open_parquet, pieces, place_arrays, shape_of, truth_arrays
from safefeedback.errors import InputError
from safefeedback.hub.places import dataset_folder
from safefeedback.types import Feedback, Pairs


@dataclass(frozen=True)
class Dataset:
    """The pairs of one split; labels as in `safefeedback.types`.

    Attributes:
        pair_id: int64 [N].
        episode, start: int64 [N, 2], where each segment lies in the source.
        observations: float32 [N, 2, L, O].
        actions: float32 [N, 2, L, A].
        preference: float32 [N].
        safe: float32 [N, 2].
        recipe: what recipe.json says, or {} where the dataset came without it.
        labels: what the label set's own recipe.json says, or {} for the published labels.
    """

    pair_id: np.ndarray
    episode: np.ndarray
    start: np.ndarray
    observations: np.ndarray
    actions: np.ndarray
    preference: np.ndarray
    safe: np.ndarray
    recipe: dict[str, Any]
    labels: dict[str, Any]

    def __len__(self) -> int:
        return len(self.pair_id)


@dataclass(frozen=True)
class Oracle:
    """The truth about the same rows, which no algorithm may learn from.

    Attributes:
        pair_id: int64 [N].
        returns, costs: float64 [N, 2].
        clean_preference: float32 [N].
        clean_safe: float32 [N, 2].
        preference_flipped: bool [N].
        safe_flipped: bool [N, 2].
    """

    pair_id: np.ndarray
    returns: np.ndarray
    costs: np.ndarray
    clean_preference: np.ndarray
    clean_safe: np.ndarray
    preference_flipped: np.ndarray
    safe_flipped: np.ndarray


def read(
    source: str | Path,
    labels: str | None = None,
    split: str = "train",
    revision: str | None = None,
    segments: bool = True,
) -> Dataset:
    """Reads segments and labels; every number is copied once, from Parquet's buffers into the arrays
    (twice for a label set that leaves out or reorders pairs).

    Args:
        source: a dataset's folder, or a Hub repository "user/name", or "user/name/dataset" for one of several in it; a
            repository may be followed by "@revision".
        labels: a label set of the dataset, whose rows and labels then replace the published ones; None for those.
        split: "train" or "test".
        revision: branch, tag or commit of a repository.
        segments: whether observations and actions are read; without, they have no steps ([N, 2, 0, O] and [N, 2, 0, A]).

    Raises:
        InputError: if there is no such dataset, label set or split, or its files are not what they should be.
    """
    if not re.fullmatch(r"\w+", split):
        raise InputError(f"there is no split '{split}'; a dataset has train, and may have test")
    light = [f"labels/{labels}/recipe.json", f"labels/{labels}/{split}-*"] if labels else []
    folder = dataset_folder(source, ["recipe.json", f"pairs/{split}-*", *light], revision)
    files = _files(folder, "pairs", split)
    recipe = read_json(folder)
    length, observation_dim, action_dim = shape_of(files[0], recipe)
    count, steps = sum(open_parquet(file).metadata.num_rows for file in files), length if segments else 0
    arrays = {
        **place_arrays(count),
        **label_arrays(count),
        "observations": np.empty((count, 2, steps, observation_dim), np.float32),
        "actions": np.empty((count, 2, steps, action_dim), np.float32),
    }
    fill({name: values for name, values in arrays.items() if segments or values.ndim < 4}, files)
    if labels is not None:
        label_files = _files(folder, f"labels/{labels}", split)
        rows = sum(open_parquet(file).metadata.num_rows for file in label_files)
        answers = {"pair_id": np.empty(rows, np.int64), **label_arrays(rows)}
        fill(answers, label_files)
        index = np.searchsorted(arrays["pair_id"], answers["pair_id"])
        known = index < count
        known[known] = arrays["pair_id"][index[known]] == answers["pair_id"][known]
        if not known.all():
            raise InputError(f"{folder}/labels/{labels} labels pair {answers['pair_id'][~known][0]}, which pairs does not hold")
        if not np.array_equal(index, np.arange(count)):
            arrays = {name: values[index] for name, values in arrays.items()}
        arrays |= answers
    chosen = read_json(folder / "labels" / labels) if labels is not None else {}
    return Dataset(safe=arrays.pop("is_safe"), recipe=recipe, labels=chosen, **arrays)


def read_oracle(source: str | Path, labels: str | None = None, split: str = "train", revision: str | None = None) -> Oracle:
    """Reads the truth about a split's rows, in the same order as `read` does.

    Args:
        source, labels, split, revision: as in `read`; a label set has a truth of its own.

    Raises:
        InputError: as `read` does.
    """
    config = f"labels/{labels}/oracle" if labels else "oracle"
    files = _files(dataset_folder(source, ["recipe.json", f"{config}/{split}-*"], revision), config, split)
    arrays = truth_arrays(sum(open_parquet(file).metadata.num_rows for file in files))
    fill(arrays, files)
    return Oracle(
        pair_id=arrays["pair_id"],
        returns=arrays["return"],
        costs=arrays["cost"],
        clean_preference=arrays["clean_preference"],
        clean_safe=arrays["clean_is_safe"],
        preference_flipped=arrays["preference_flipped"],
        safe_flipped=arrays["is_safe_flipped"],
    )


def read_feedback(source: str | Path, labels: str | None = None, revision: str | None = None) -> tuple[Feedback, Manifest]:
    """Reads everything but the segments: all splits in draw order, labels and the truth, and the dataset's manifest.

    The marks of simulated teachers and annotators are left out; the history is that of the labels.

    Raises:
        InputError: as `read` does, and if the labels and the truth are not about the same rows.
    """
    folder = dataset_folder(source, ["recipe.json", "pairs/*", "oracle/*", f"labels/{labels}/*"], revision)
    manifest = read_manifest(folder)
    made = manifest if labels is None else read_label_set(folder, labels, manifest)
    merged: dict[str, list[np.ndarray]] = {}
    for split in made.splits:
        data, truth = read(folder, labels, split, segments=False), read_oracle(folder, labels, split)
        if not np.array_equal(data.pair_id, truth.pair_id):
            raise InputError(f"{folder}: labels and oracle do not hold the same rows in split {split}")
        rows = {name: getattr(part, name) for part, names in ((data, _LABELLED), (truth, _TRUE)) for name in names}
        for name, values in {**rows, "test": np.full(len(data), split == "test")}.items():
            merged.setdefault(name, []).append(values)
    joined = {name: np.concatenate(values) for name, values in merged.items()}
    order = np.argsort(joined["pair_id"], kind="stable")
    joined = {name: values[order] for name, values in joined.items()}
    pairs = Pairs(joined["episode"], joined["start"], manifest.recipe.length, joined["pair_id"], joined["test"])
    labelled = {name: joined[name] for name in ("preference", "safe", *_TRUE)}
    return Feedback(pairs, history=made.history, **labelled), manifest


_LABELLED = ("pair_id", "episode", "start", "preference", "safe")
_TRUE = ("returns", "costs", "clean_preference", "clean_safe")


def label_sets(source: str | Path, revision: str | None = None) -> dict[str, LabelSetManifest]:
    """The manifests of a dataset's label sets, by name, in alphabetical order; the dataset is as in `read`.

    Raises:
        InputError: if there is no such dataset, or a manifest is not what it should be.
    """
    folder = dataset_folder(source, ["recipe.json", "labels/*/recipe.json"], revision)
    names = [name for name in label_set_names(folder) if (folder / "labels" / name / "recipe.json").is_file()]
    if not names:
        return {}
    base = read_manifest(folder)
    return {name: read_label_set(folder, name, base) for name in names}


def label_set_names(folder: Path) -> list[str]:
    """The names of the label sets in a dataset's folder, in alphabetical order."""
    return sorted(path.name for path in (folder / "labels").glob("*") if path.is_dir() and not path.name.startswith("."))


def read_segments(
    source: str | Path, split: str = "train", revision: str | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Reads the segments of a split a thousand pairs at a time, for datasets that do not fit into memory.

    Yields:
        pair_id int64 [n], observations float32 [n, 2, L, O] and actions float32 [n, 2, L, A] of the next n pairs.

    Raises:
        InputError: as `read` does.
    """
    folder = dataset_folder(source, ["recipe.json", f"pairs/{split}-*"], revision)
    files = _files(folder, "pairs", split)
    length, observation_dim, action_dim = shape_of(files[0], read_json(folder))

    def arrays(at: int, count: int) -> dict[str, np.ndarray]:
        return {
            "pair_id": np.empty(count, np.int64),
            "observations": np.empty((count, 2, length, observation_dim), np.float32),
            "actions": np.empty((count, 2, length, action_dim), np.float32),
        }

    for piece in pieces(files, arrays):
        yield piece["pair_id"], piece["observations"], piece["actions"]


def split_files(source: str | Path, split: str = "train", revision: str | None = None) -> list[Path]:
    """The Parquet files that hold the segments of a split, in order.

    Raises:
        InputError: as `read` does.
    """
    return _files(dataset_folder(source, ["recipe.json", f"pairs/{split}-*"], revision), "pairs", split)


def has_split(source: str | Path, config: str, split: str, revision: str | None = None) -> bool:
    """Whether a dataset has that split of "pairs", "oracle" or "labels/<set>".

    Raises:
        InputError: if there is no such dataset.
    """
    pattern = f"{config}/{split}-*"
    return any(dataset_folder(source, [pattern], revision).glob(f"{pattern}.parquet"))


def _files(folder: Path, config: str, split: str) -> list[Path]:
    files = sorted((folder / config).glob(f"{split}-*.parquet"))
    if files:
        return files
    if config.startswith("labels/"):
        wanted = config.split("/")[1]
        if wanted not in (known := label_set_names(folder)):
            raise InputError(f"{folder} has no label set '{wanted}'; it has {', '.join(known) if known else 'none'}")
    known = sorted({path.name.split("-")[0] for path in (folder / config).glob("*.parquet")})
    if known:
        raise InputError(f"{folder} has no split '{split}'; it has {', '.join(known)}")
    raise InputError(f"{folder} is not a dataset of safefeedback: it holds no {config}/*.parquet")


def read_manifest(folder: Path) -> Manifest:
    """What a dataset's recipe.json says.

    Raises:
        InputError: if there is none, or it is not what it should be.
    """
    if not (folder / "recipe.json").is_file():
        raise InputError(f"{folder} has no recipe.json, which says how its labels were made")
    return Manifest.parse(read_json(folder), str(folder))


def read_label_set(folder: Path, name: str, base: Manifest) -> LabelSetManifest:
    """What the recipe.json of a label set says.

    Args:
        folder: of the dataset.
        name: of the label set.
        base: the manifest of the dataset.

    Raises:
        InputError: if there is none, or it is not what it should be.
    """
    place = folder / "labels" / name
    if not place.is_dir():
        raise InputError(f"{folder} has no label set '{name}'; it has {', '.join(label_set_names(folder)) or 'none'}")
    return LabelSetManifest.parse(read_json(place), base, str(place))


def read_json(folder: Path) -> dict[str, Any]:
    """The JSON object in a folder's recipe.json, {} where there is no such file.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        values = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it is not an object")
        return values
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{folder}/recipe.json cannot be read: {str(error).splitlines()[0]}") from None
