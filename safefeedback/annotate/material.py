"""The pairs of a dataset as shown to annotators, read on request."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from safefeedback.annotate.drawing import channels, describe_view
from safefeedback.annotate.refusal import Refusal
from safefeedback.dataset.label_sets import open_local
from safefeedback.dataset.manifest import Manifest
from safefeedback.errors import InputError
from safefeedback.feedback.labels import segment_cost_limit
from safefeedback.plots import geometry

SAMPLE = 200  # pairs by which curves are scaled
KEPT_BYTES = 64 << 20  # of drawn pairs in memory
PIECE = 100  # pairs whose numbers are computed at once
SECONDS = {  # of a step in bullet-safety-gym's tasks (envs/builder.py)
    **{f"{body}Circle": 0.1 for body in geometry.BODIES},
    **{f"{body}Run": 1 / 60 if body == "Drone" else 1 / 30 for body in geometry.BODIES},
}
CHANGED = "The dataset has been changed since the study began; nothing is lost, but no more answers are taken."


@dataclass(frozen=True)
class Truth:
    """The true returns and costs of the pairs; never sent to an annotator.

    Attributes:
        pair_id: int64 [N], rising.
        returns, costs: float64 [N, 2].
        length, horizon: L and T in `cost <= limit * L / T`.
    """

    pair_id: np.ndarray
    returns: np.ndarray
    costs: np.ndarray
    length: int
    horizon: int

    def limit(self, cost_limit: float) -> float:
        """The cost limit of a segment."""
        return segment_cost_limit(cost_limit, self.length, self.horizon)


class Material:
    """An open dataset.

    Attributes:
        folder, manifest, task: of the dataset.
        truth: about its pairs.
        view: the description of the drawing for the page.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp = _stamp(folder)
        opened = open_local(folder)
        self.manifest = opened.manifest
        self.task, self.length = self.manifest.task, self.manifest.recipe.length
        splits = self.manifest.splits
        self._files = [pq.ParquetFile(file) for split in splits for file in opened.files("pairs", split)]
        self._rows = np.concatenate([_numbers(file, "pair_id") for file in self._files])  # pair_id, in the files' order
        self.truth = _truth([file for split in splits for file in opened.files("oracle", split)], self.manifest)
        if not len(self._rows) or not np.array_equal(np.sort(self._rows), self.truth.pair_id):
            raise InputError(f"{folder} has no pairs, or oracle holds other rows: see `safefeedback verify {folder}`")
        self._order = np.argsort(self._rows, kind="stable")
        first = self._files[0].read_row_group(0, ["observations_0", "observations_1"])[:SAMPLE]
        sample = self._shaped(first).reshape(-1, self.length, self.task.observation_dim)
        self.view = {**describe_view(self.task.name, sample), "seconds_a_step": SECONDS.get(self.task.name)}
        self._kept: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()

    @property
    def content_sha256(self) -> str:
        return self.manifest.content_sha256

    def check(self) -> None:
        """Raises Refusal if the folder is no longer the dataset that was opened."""
        if _stamp(self.folder) != self._stamp:
            raise Refusal("dataset-changed", CHANGED)

    def pair(self, pair_id: int) -> bytes:
        """What the page draws of a pair: little-endian numbers [2, L, C] of the type that the view names as `packing`.

        Raises:
            Refusal: if the dataset was changed, or has no such pair.
        """
        self.check()
        at = int(np.searchsorted(self.truth.pair_id, pair_id))
        if at == len(self._rows) or self.truth.pair_id[at] != pair_id:
            raise Refusal("not-found", "There is no such pair.")
        row = int(self._order[at])
        for index, file in enumerate(self._files):
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if row < count:
                    return self._drawn(index, group)[row].tobytes()
                row -= count
        raise AssertionError("unreachable")

    def _drawn(self, index: int, group: int) -> np.ndarray:
        """What is drawn of the pairs of a row group, [n, 2, L, C]: reading a thousand takes no longer than reading one."""
        if (index, group) in self._kept:
            self._kept.move_to_end((index, group))
            return self._kept[index, group]
        try:
            table = self._files[index].read_row_group(group, ["observations_0", "observations_1"])
        except (OSError, ValueError) as error:
            raise Refusal("dataset-changed", CHANGED) from error
        pieces = (self._shaped(table[at : at + PIECE]) for at in range(0, len(table), PIECE))
        numbers = np.dtype(self.view["packing"]).newbyteorder("<")
        drawn = np.concatenate([channels(self.view, piece).astype(numbers, copy=False) for piece in pieces])
        self._kept[index, group] = drawn
        while len(self._kept) > 1 and sum(block.nbytes for block in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return drawn

    def _shaped(self, table: Any) -> np.ndarray:
        """float32 [n, 2, L, O]."""
        columns = (table[f"observations_{side}"].combine_chunks().flatten() for side in (0, 1))
        sides = [np.from_dlpack(column) for column in columns]
        return np.stack([side.reshape(len(table), self.length, self.task.observation_dim) for side in sides], axis=1)


def _truth(files: list[Path], manifest: Manifest) -> Truth:
    """The oracle's values, by rising pair_id."""
    opened = [pq.ParquetFile(file) for file in files]
    names = ("return_0", "return_1", "cost_0", "cost_1")
    pair_id, *sums = (np.concatenate([_numbers(file, name) for file in opened]) for name in ("pair_id", *names))
    order = np.argsort(pair_id, kind="stable")
    returns, costs = np.stack(sums[:2], axis=1)[order], np.stack(sums[2:], axis=1)[order]
    return Truth(pair_id[order], returns, costs, manifest.recipe.length, manifest.horizon)


def _numbers(file: pq.ParquetFile, name: str) -> np.ndarray:
    """A column of numbers without a null; not by way of Arrow's own conversion, which imports pandas."""
    return np.from_dlpack(file.read([name])[name].combine_chunks())


def _stamp(folder: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(folder / "recipe.json")
        return status.st_ino, status.st_size, status.st_mtime_ns
    except OSError:
        return None
