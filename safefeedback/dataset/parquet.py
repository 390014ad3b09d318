"""Columns of Parquet files as NumPy arrays."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from safefeedback.dataset.arrow import items, numbers, present
from safefeedback.errors import InputError
from safefeedback.files import foreign_content

SIDES = (0, 1)
PREFERENCES = ("preference", "clean_preference")
LABELS = (*PREFERENCES, "is_safe", "clean_is_safe")
BATCH = 1000  # pairs read at a time, or more where they are light
BATCH_BYTES = 8 << 20


def place_arrays(count: int) -> dict[str, np.ndarray]:
    """Empty arrays for where the segments of pairs lie."""
    return {
        "pair_id": np.empty(count, np.int64),
        "episode": np.empty((count, 2), np.int64),
        "start": np.empty((count, 2), np.int64),
    }


def label_arrays(count: int) -> dict[str, np.ndarray]:
    """Empty arrays for the labels of pairs."""
    return {"preference": np.empty(count, np.float32), "is_safe": np.empty((count, 2), np.float32)}


def truth_arrays(count: int) -> dict[str, np.ndarray]:
    """Empty arrays for the truth about pairs."""
    return {
        "pair_id": np.empty(count, np.int64),
        "return": np.empty((count, 2), np.float64),
        "cost": np.empty((count, 2), np.float64),
        "clean_preference": np.empty(count, np.float32),
        "clean_is_safe": np.empty((count, 2), np.float32),
        "preference_flipped": np.empty(count, bool),
        "is_safe_flipped": np.empty((count, 2), bool),
    }


def open_parquet(file: Path) -> pq.ParquetFile:
    """A Parquet file, opened.

    Raises:
        InputError: if it is not one, or is cut short.
    """
    try:
        return pq.ParquetFile(file)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"{file} is not a whole Parquet file: {reason}{foreign_content(file)}") from None


def check_shards(files: list[Path]) -> None:
    """Raises InputError if one of the numbered files of a split is missing, as after an interrupted download, or a file of
    another name is among them, as a copy is."""
    numbered = [re.fullmatch(r"(\w+)-\d{5}-of-(\d{5})\.parquet", file.name) for file in files]
    if not any(numbered):  # written by another program
        return
    for file, name in zip(files, numbered, strict=True):
        if name is None:
            raise InputError(f"{file} does not belong to the dataset: move it away")
        if int(name[2]) != len(files):
            raise InputError(f"{file.parent} holds {len(files)} of the {int(name[2])} files of split {name[1]}: get the others")


def shape_of(file: Path, recipe: dict[str, Any]) -> tuple[int, int, int]:
    """L, O and A from the Parquet file itself, or else from the recipe."""
    metadata = open_parquet(file).schema_arrow.metadata or {}
    try:
        shape = json.loads(metadata[b"safefeedback"]) if b"safefeedback" in metadata else recipe.get("shape")
        if shape is None:
            raise InputError(f"{file} does not say the shape of its segments, and there is no recipe.json that does")
        return int(shape["length"]), int(shape["observation_dim"]), int(shape["action_dim"])
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{file} gives an invalid shape of its segments") from None


def fill(arrays: dict[str, np.ndarray], files: list[Path]) -> None:
    """Fills each array [N, ...] from its column, or from its two columns `<name>_0` and `<name>_1` (`is_safe_0_flipped`).

    Raises:
        InputError: naming the file, if it is damaged, lacks a column, or holds what cannot be in it.
    """
    for _ in pieces(files, lambda at, count: {name: values[at : at + count] for name, values in arrays.items()}):
        pass


def pieces(files: list[Path], arrays: Callable[[int, int], dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    """Reads files piece by piece, each piece into its own arrays.

    Args:
        files: of one table.
        arrays: the arrays [count, ...] to be filled with `count` rows from row `at` on, by name, as in `fill`.

    Raises:
        InputError: as `fill` does.
    """
    at, empty = 0, arrays(0, 0)
    names, row_bytes = list(empty), sum(values.itemsize * math.prod(values.shape[1:]) for values in empty.values())
    size = max(BATCH, BATCH_BYTES // max(1, row_bytes))
    for path in files:
        file = open_parquet(path)
        columns = _columns(names, file.schema_arrow.names, path)
        try:
            for batch in file.iter_batches(size, columns=[name for sides in columns.values() for name in sides]):
                targets = arrays(at, len(batch))
                for name, sides in columns.items():
                    for side, column in enumerate(sides):
                        target = targets[name] if len(sides) == 1 else targets[name][:, side]
                        _copy(batch.column(column), target, path, column)
                        _check_labels(name, target, path, column)
                at += len(batch)
                yield targets
        except InputError:
            raise
        except (OSError, ValueError, pa.ArrowException) as error:
            raise InputError(f"{path} is damaged: {str(error).splitlines()[0]}") from None


def _columns(names: list[str], present: list[str], path: Path) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for name in names:
        stem, flipped, _ = name.partition("_flipped")
        sides = [f"{stem}_{side}{flipped}" for side in SIDES]
        columns[name] = [name] if name in present else sides
        for column in columns[name]:
            if column not in present:
                raise InputError(f"{path} has no column '{column}'")
    return columns


def _copy(column: pa.Array, target: np.ndarray, path: Path, name: str) -> None:
    """Copies a column into `target`, a list of numbers into the trailing axes; null becomes NaN."""
    listed = pa.types.is_fixed_size_list(column.type) or pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if not _fits(column.type.value_type if listed else column.type, target):
        raise InputError(f"{path}: {name} holds {column.type}, not {'numbers' if target.dtype.kind == 'f' else target.dtype}")
    if listed or target.ndim > 1:
        values = items(column) if listed else column
        if not listed or column.null_count or values.null_count or len(values) != target.size or not _even(column):
            raise InputError(f"{path}: the segments in {name} do not all have the shape {target.shape[1:]}")
        target[...] = numbers(values).reshape(target.shape)
    elif column.null_count and target.dtype.kind != "f":
        raise InputError(f"{path}: {name} must not be null")
    elif column.null_count and column.null_count == len(column):  # of the null type, if another program wrote it
        target[...] = np.nan
    else:
        target[...] = numbers(column)
        if column.null_count:
            target[~present(column)] = np.nan
        if target.dtype.kind == "f" and np.isfinite(target).sum() != len(target) - column.null_count:
            raise InputError(f"{path}: {name} holds NaN or infinity; unanswered is null")


def _check_labels(name: str, values: np.ndarray, path: Path, column: str) -> None:
    """Raises InputError if a preference is not in [0, 1], or a safety label not 0 or 1; NaN is no answer."""
    answered = values[~np.isnan(values)] if name in LABELS else values[:0]
    wrong = (answered < 0) | (answered > 1) if name in PREFERENCES else (answered != 0) & (answered != 1)
    if wrong.any():
        allowed = "a number from 0 to 1" if name in PREFERENCES else "true, false, 1 or 0"
        raise InputError(f"{path}: {column} holds {answered[wrong][0]:g}, which is not {allowed}; unanswered is null")


def _fits(kind: pa.DataType, target: np.ndarray) -> bool:
    """Whether numbers of a type can be copied: no text, and no fractions where whole numbers belong."""
    if pa.types.is_floating(kind):
        return bool(target.dtype.kind == "f")
    return pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)


def _even(column: pa.Array) -> bool:
    """Whether every list in a column has the same length."""
    if pa.types.is_fixed_size_list(column.type):
        return True
    lengths = np.diff(numbers(column.offsets))
    return len(lengths) == 0 or bool((lengths == lengths[0]).all())
