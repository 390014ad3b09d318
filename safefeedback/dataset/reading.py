"""Opens a dataset, in a folder or on the Hugging Face Hub, and reads it into shaped NumPy arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from safefeedback.dataset.manifest import AnyManifest, LabelSetManifest, Manifest
from safefeedback.dataset.parquet import (
    check_shards,
    fill,
    label_arrays,
    open_parquet,
    pieces,
    place_arrays,
    shape_of,
    truth_arrays,
)
from safefeedback.dataset.rows import Dataset, Oracle
from safefeedback.dataset.structure import SPLITS, read_json
from safefeedback.errors import InputError
from safefeedback.files import is_system_file
from safefeedback.hub.places import Place, fetch_files, open_place
from safefeedback.types import Feedback, Pairs

MANIFESTS = ("recipe.json", "labels/*/recipe.json")


def open_dataset(source: str | Path | Folder, revision: str | None = None) -> Folder:
    """Opens a dataset.

    Args:
        source: a dataset's folder, or a Hub repository "user/name", or "user/name/dataset" for one of several in it; a
            repository may be followed by "@revision". An open dataset is returned as it is.
        revision: branch, tag or commit of a repository.

    Raises:
        InputError: if there is none, or if there are several and none is named.
    """
    if isinstance(source, Folder):
        return source
    path, place = open_place(source, revision, MANIFESTS)
    return Folder(path, str(source), place)


@dataclass(frozen=True)
class Folder:
    """A dataset that was opened: a folder, or one commit of a repository, of which files are fetched when they are read.

    Attributes:
        path: where its files lie on this machine.
        source: what was opened.
        place: the repository, at the commit that was found when it was opened; None for a folder.
    """

    path: Path
    source: str
    place: Place | None = None
    _fetched: set[str] = field(default_factory=set, compare=False, repr=False)

    @cached_property
    def raw(self) -> dict[str, Any]:
        """The contents of recipe.json, unchecked; {} if there is none.

        Raises:
            InputError: if it cannot be read.
        """
        return read_json(self.path)

    @cached_property
    def manifest(self) -> Manifest:
        """The contents of recipe.json.

        Raises:
            InputError: if there is none, or it is not what it should be.
        """
        if not (self.path / "recipe.json").is_file():
            raise InputError(f"{self.path} has no recipe.json, which says how its labels were made")
        return Manifest.parse(self.raw, str(self.path))

    @cached_property
    def label_sets(self) -> dict[str, LabelSetManifest]:
        """The manifests of its label sets, by name, in alphabetical order; sets without one are left out.

        Raises:
            InputError: if a manifest is not what it should be.
        """
        names = [name for name in self.label_set_names() if (self.path / "labels" / name / "recipe.json").is_file()]
        return {name: self.label_set(name) for name in names}

    def label_set_names(self) -> list[str]:
        """The names of its label sets, in alphabetical order."""
        folders = [path.name for path in (self.path / "labels").glob("*") if path.is_dir()]
        return sorted(name for name in folders if name[0] != "." and not is_system_file(name))

    def label_set(self, name: str) -> LabelSetManifest:
        """The manifest of a label set.

        Raises:
            InputError: if there is none, or it is not what it should be.
        """
        place = self.path / "labels" / name
        if not place.is_dir():
            raise InputError(f"{self.path} has no label set '{name}'; it has {', '.join(self.label_set_names()) or 'none'}")
        return LabelSetManifest.parse(read_json(place, "label set"), self.manifest, str(place))

    def labels_manifest(self, labels: str | None) -> AnyManifest:
        """The manifest of a label set, or of the dataset for the published labels, and for a set that has none."""
        if labels is None or not (self.path / "labels" / labels / "recipe.json").is_file():
            return self.manifest
        return self.label_set(labels)

    def splits(self, labels: str | None = None) -> list[str]:
        """Which splits the published labels have, or a label set."""
        return [split for split in SPLITS if self._find(f"labels/{labels}" if labels else "pairs", split)]

    def has_oracle(self, labels: str | None = None, split: str = "train") -> bool:
        """Whether the truth about a split is there, or that of a label set."""
        return bool(self._find(_oracle(labels), split))

    def pairs(self, labels: str | None = None, split: str = "train", segments: bool = True) -> Dataset:
        """Reads segments and labels; every number is copied once, from Parquet's buffers into the arrays
        (twice for a label set that leaves out or reorders pairs).

        Args:
            labels: a label set of the dataset, whose rows and labels then replace the published ones; None for those.
            split: "train" or "test".
            segments: whether observations and actions are read; without, they have no steps ([N, 2, 0, O], [N, 2, 0, A]).

        Raises:
            InputError: if there is no such label set or split, or its files are not what they should be.
        """
        files = self.files("pairs", split)
        length, observation_dim, action_dim = shape_of(files[0], self.raw)
        count, steps = _rows(files), length if segments else 0
        arrays = {
            **place_arrays(count),
            **label_arrays(count),
            "observations": np.empty((count, 2, steps, observation_dim), np.float32),
            "actions": np.empty((count, 2, steps, action_dim), np.float32),
        }
        if "episode_length_0" in open_parquet(files[0]).schema_arrow.names:
            arrays["episode_length"] = np.empty((count, 2), np.int64)
        fill({name: values for name, values in arrays.items() if segments or values.ndim < 4}, files)
        if labels is not None:
            arrays = self._relabelled(arrays, labels, split)
        chosen = read_json(self.path / "labels" / labels, "label set") if labels is not None else {}
        return Dataset(safe=arrays.pop("is_safe"), recipe=self.raw, labels=chosen, **arrays)

    def _relabelled(self, arrays: dict[str, np.ndarray], labels: str, split: str) -> dict[str, np.ndarray]:
        """The rows of a label set, with its labels."""
        files, count = self.files(f"labels/{labels}", split), len(arrays["pair_id"])
        answers = {"pair_id": np.empty(_rows(files), np.int64), **label_arrays(_rows(files))}
        fill(answers, files)
        index = np.searchsorted(arrays["pair_id"], answers["pair_id"])
        present = index < count
        present[present] = arrays["pair_id"][index[present]] == answers["pair_id"][present]
        if not present.all():
            pair = answers["pair_id"][~present][0]
            raise InputError(f"{self.path}/labels/{labels} labels pair {pair}, which pairs does not hold")
        if not np.array_equal(index, np.arange(count)):
            arrays = {name: values[index] for name, values in arrays.items()}
        return arrays | answers

    def oracle(self, labels: str | None = None, split: str = "train") -> Oracle:
        """Reads the truth about a split's rows, in the same order as `pairs` does; a label set has a truth of its own.

        Raises:
            InputError: as `pairs` does.
        """
        files = self.files(_oracle(labels), split)
        arrays = truth_arrays(_rows(files))
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

    def feedback(self, labels: str | None = None) -> Feedback:
        """Reads everything but the segments: all splits in draw order, labels and the truth.

        The marks of simulated teachers and annotators are left out; the history is that of the labels.

        Raises:
            InputError: as `pairs` does, and if the labels and the truth are not about the same rows.
        """
        manifest = self.manifest if labels is None else self.label_set(labels)
        merged: dict[str, list[np.ndarray]] = {}
        for split in manifest.splits:
            data, truth = self.pairs(labels, split, segments=False), self.oracle(labels, split)
            if not np.array_equal(data.pair_id, truth.pair_id):
                raise InputError(f"{self.path}: labels and oracle do not hold the same rows in split {split}")
            rows = {name: getattr(part, name) for part, names in ((data, _LABELLED), (truth, _TRUE)) for name in names}
            for name, values in {**rows, "test": np.full(len(data), split == "test")}.items():
                merged.setdefault(name, []).append(values)
        joined = {name: np.concatenate(values) for name, values in merged.items()}
        order = np.argsort(joined["pair_id"], kind="stable")
        joined = {name: values[order] for name, values in joined.items()}
        length = self.manifest.recipe.length
        pairs = Pairs(joined["episode"], joined["start"], length, joined["pair_id"], joined["test"])
        return Feedback(pairs, history=manifest.history, **{name: joined[name] for name in ("preference", "safe", *_TRUE)})

    def segments(self, split: str = "train") -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Reads the segments of a split a thousand pairs at a time, for datasets that do not fit into memory.

        Yields:
            pair_id int64 [n], observations float32 [n, 2, L, O] and actions float32 [n, 2, L, A] of the next n pairs.

        Raises:
            InputError: as `pairs` does.
        """
        files = self.files("pairs", split)
        length, observation_dim, action_dim = shape_of(files[0], self.raw)

        def arrays(at: int, count: int) -> dict[str, np.ndarray]:
            return {
                "pair_id": np.empty(count, np.int64),
                "observations": np.empty((count, 2, length, observation_dim), np.float32),
                "actions": np.empty((count, 2, length, action_dim), np.float32),
            }

        for piece in pieces(files, arrays):
            yield piece["pair_id"], piece["observations"], piece["actions"]

    def files(self, table: str, split: str) -> list[Path]:
        """The Parquet files of a split of "pairs", "oracle" or "labels/<set>", in order.

        Raises:
            InputError: if there is no such table or split.
        """
        if not re.fullmatch(r"\w+", split):
            raise InputError(f"there is no split '{split}'; a dataset has train, and may have test")
        if shards := self._find(table, split):
            check_shards(shards)
            return shards
        if table.startswith("labels/") and (wanted := table.split("/")[1]) not in (known := self.label_set_names()):
            raise InputError(f"{self.path} has no label set '{wanted}'; it has {', '.join(known) or 'none'}")
        if known := sorted({path.name.split("-")[0] for path in (self.path / table).glob("*.parquet")}):
            place = self.path if table == "pairs" else self.path / table
            raise InputError(f"{place} has no split '{split}'; it has {', '.join(known)}")
        raise InputError(f"{self.path} is not a dataset of safefeedback: it holds no {table}/*.parquet")

    def _find(self, table: str, split: str) -> list[Path]:
        """The files of a split, [] where there are none; fetched first, if they lie in a repository."""
        pattern = f"{table}/{split}-*"
        if self.place is not None and pattern not in self._fetched:
            fetch_files(self.place, [pattern])
            self._fetched.add(pattern)
        return sorted(self.path.glob(f"{pattern}.parquet"))


def read(
    source: str | Path,
    labels: str | None = None,
    split: str = "train",
    revision: str | None = None,
    segments: bool = True,
) -> Dataset:
    """Reads segments and labels of a dataset.

    Args:
        source: a dataset's folder, or a Hub repository "user/name", or "user/name/dataset" for one of several in it; a
            repository may be followed by "@revision".
        labels: a label set, whose rows and labels then replace the published ones; None for those.
        split: "train" or "test".
        revision: branch, tag or commit of a repository.
        segments: whether observations and actions are read; without, they have no steps ([N, 2, 0, O], [N, 2, 0, A]).

    Raises:
        InputError: if there is no such dataset, label set or split, or its files are not what they should be.
    """
    return open_dataset(source, revision).pairs(labels, split, segments)


def read_oracle(source: str | Path, labels: str | None = None, split: str = "train", revision: str | None = None) -> Oracle:
    """Reads the truth about a split's rows, in the same order as `read` does; arguments and errors are those of `read`."""
    return open_dataset(source, revision).oracle(labels, split)


_LABELLED = ("pair_id", "episode", "start", "preference", "safe")
_TRUE = ("returns", "costs", "clean_preference", "clean_safe")


def _oracle(labels: str | None) -> str:
    return f"labels/{labels}/oracle" if labels else "oracle"


def _rows(files: list[Path]) -> int:
    return sum(open_parquet(file).metadata.num_rows for file in files)
