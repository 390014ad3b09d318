"""The pairs of a dataset as they are shown, read when they are asked for."""

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
from safefeedback.dataset.label_sets import open_folder
from safefeedback.errors import InputError
from safefeedback.feedback.labels import segment_cost_limit
from safefeedback.plots import geometry

SAMPLE = 200  # pairs by which curves are scaled
KEPT = 256  # pairs in memory
SECONDS = {  # of a step in bullet-safety-gym's tasks (envs/builder.py)
    **{f"{body}Circle": 0.1 for body in geometry.BODIES},
    **{f"{body}Run": 1 / 60 if body == "Drone" else 1 / 30 for body in geometry.BODIES},
}
CHANGED = "The dataset has been changed since the study began; nothing is lost, but no more answers are taken."


@dataclass(frozen=True)
class Truth:
    """What the recordings say about the pairs; it is never sent to an annotator.

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
        view: what the page is told about the drawing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamp = _stamp(folder)
        opened = open_folder(folder)
        base, self.manifest = opened.feedback(), opened.manifest
        self.task, self.length = self.manifest.task, self.manifest.recipe.length
        self.truth = Truth(base.pairs.pair_id, base.returns, base.costs, self.length, self.manifest.horizon)
        if not len(base):
            raise InputError(f"{folder} holds no pairs")
        self._files = [pq.ParquetFile(file) for split in self.manifest.splits for file in opened.files("pairs", split)]
        self._groups: dict[int, tuple[int, int, int]] = {}  # pair_id -> file, row group, row in it
        for index, file in enumerate(self._files):
            for group in range(file.num_row_groups):
                for row, pair_id in enumerate(file.read_row_group(group, ["pair_id"])["pair_id"].to_pylist()):
                    self._groups[pair_id] = index, group, row
        first = self._files[0].read_row_group(0, ["observations_0", "observations_1"])[:SAMPLE]
        sample = self._shaped(first).reshape(-1, self.length, self.task.observation_dim)
        self.view = {**describe_view(self.task.name, sample), "seconds_a_step": SECONDS.get(self.task.name)}
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    @property
    def content_sha256(self) -> str:
        return self.manifest.content_sha256

    def check(self) -> None:
        """Raises Refusal if the folder is no longer the dataset that was opened."""
        if _stamp(self.folder) != self._stamp:
            raise Refusal("dataset-changed", CHANGED)

    def pair(self, pair_id: int) -> bytes:
        """What the page draws of a pair: little-endian float32 [2, L, C].

        Raises:
            Refusal: if the dataset was changed, or has no such pair.
        """
        self.check()
        if pair_id in self._kept:
            self._kept.move_to_end(pair_id)
            return self._kept[pair_id]
        try:
            index, group, row = self._groups[pair_id]
        except KeyError:
            raise Refusal("not-found", "There is no such pair.") from None
        try:
            table = self._files[index].read_row_group(group, ["observations_0", "observations_1"])[row : row + 1]
        except (OSError, ValueError) as error:
            raise Refusal("dataset-changed", CHANGED) from error
        packed = np.ascontiguousarray(channels(self.view, self._shaped(table)[0]), "<f4").tobytes()
        self._kept[pair_id] = packed
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return packed

    def _shaped(self, table: Any) -> np.ndarray:
        """float32 [n, 2, L, O]."""
        sides = [table[f"observations_{side}"].combine_chunks().flatten().to_numpy() for side in (0, 1)]
        return np.stack([side.reshape(len(table), self.length, self.task.observation_dim) for side in sides], axis=1)


def _stamp(folder: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(folder / "recipe.json")
        return found.st_ino, found.st_size, found.st_mtime_ns
    except OSError:
        return None
