"""One pass over the tables of a dataset or of a label set: columns, rows, content hash, and every row against another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from safefeedback.dataset.arrow import numbers, present
from safefeedback.dataset.content import ColumnHashes, column_values
from safefeedback.dataset.manifest import AnyManifest
from safefeedback.dataset.parquet import BATCH, open_parquet
from safefeedback.dataset.store import by_split, schema_metadata
from safefeedback.dataset.tables import Table, tables
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Labelling, Recipe, label
from safefeedback.types import Episodes, Feedback, Pairs, Source

SHOWN = 4  # rows of a split that are named, of those that differ


def dataset_schemas(recipe: Recipe, lengths: bool = True) -> dict[str, pa.Schema]:
    """The columns that the tables of a dataset have, by the tables' names; `lengths` as in
    `safefeedback.dataset.tables.tables`."""
    task, length = recipe.task, recipe.length
    observations, actions = (np.zeros((length, dim), np.float32) for dim in (task.observation_dim, task.action_dim))
    steps, bounds = np.zeros(length), np.array([0, length])
    blank = Episodes(task, observations, actions, steps, steps, bounds, Source("file", "", ""))
    return schemas(tables(blank, recipe, lengths), recipe, length)


def schemas(made: dict[str, tuple[Table, int]], labelling: Labelling, length: int) -> dict[str, pa.Schema]:
    """The columns of some tables, whose marks depend on the teacher and the annotators."""
    place = np.zeros((1, 2), np.int64)
    pairs = Pairs(place, place, length, np.zeros(1, np.int64), np.zeros(1, bool))
    sums = np.ones((1, 2))
    nothing = label(pairs, sums, sums, replace(labelling, filters=()), length, sums).take(np.arange(0))
    return {name: table(nothing).schema for name, (table, _) in made.items()}


def compare(
    folder: Path,
    manifest: AnyManifest,
    shape: dict[str, int],
    columns: dict[str, pa.Schema],
    again: Feedback | None,
    made: dict[str, tuple[Table, int]],
    advance: Callable[[int], None],
) -> tuple[list[str], list[str]]:
    """Reads every table once, a thousand rows at a time.

    Args:
        folder: of the dataset or of the label set.
        manifest: what its recipe.json says.
        shape: of the segments.
        columns: what each table should hold, by its name.
        again: the recomputed rows; None if that is not possible.
        made: the tables that `again` gives, which may have fewer columns; name -> (table, bytes a row).
        advance: called after each piece with the number of rows read.

    Returns:
        The problems of the tables, and the rows that differ from `again`.
    """
    problems: list[str] = []
    differences: list[str] = []
    columns_told = dict(manifest.columns)
    rows_again = by_split(again) if again is not None else {}
    differences += [f"there is no split {split}" for split in rows_again if split not in manifest.splits]
    for name, schema in columns.items():
        for split, count in manifest.splits.items():
            place = "/".join(filter(None, (name, split)))
            rows = rows_again.get(split)
            expected = _pieces(made[name][0], rows) if rows is not None and name in made else None
            scan = _scan(folder, name, split, schema, shape, expected, advance)
            problems += [f"{place}: {problem}" for problem in scan.problems]
            stated = {column: columns_told.pop(f"{place}/{column}", None) for column in schema.names}
            if not scan.damaged:
                if name != "answers" and scan.rows != count:
                    problems.append(f"{place} has {scan.rows:,} rows instead of {count:,}")
                other = [column for column, digest in stated.items() if scan.hashes.hex().get(column) != digest]
                problems += [f"{place}: the content of {', '.join(other)} is not what content.columns says"] if other else []
                if expected is not None and len(expected(scan.rows, 1)):
                    differences.append(f"{place}: rows are missing after the last one")
            differences += [f"{place}, pair {pair}: {', '.join(scan.wrong[pair])}" for pair in sorted(scan.wrong)[:SHOWN]]
            if len(scan.wrong) > SHOWN:
                differences.append(f"{place}: and {len(scan.wrong) - SHOWN:,} more pairs")
    problems += [f"content.columns names {column}, which is not there" for column in columns_told]
    return problems, differences


@dataclass
class _Scan:
    """The result of reading one split of a table: rows, content, problems, and by pair the columns that differ."""

    rows: int = 0
    damaged: bool = False
    hashes: ColumnHashes = field(default_factory=ColumnHashes)
    problems: list[str] = field(default_factory=list)
    wrong: dict[int, list[str]] = field(default_factory=dict)


def _scan(
    folder: Path,
    name: str,
    split: str,
    schema: pa.Schema,
    shape: dict[str, int],
    expected: Callable[[int, int], pa.Table] | None,
    advance: Callable[[int], None],
) -> _Scan:
    """Reads one split of a table; `expected` gives the rows that should be there."""
    scan, last = _Scan(), -1
    files = sorted((folder / name).glob(f"{split}-*.parquet"))
    if [file.name for file in files] != [f"{split}-{i:05d}-of-{len(files):05d}.parquet" for i in range(len(files))]:
        scan.problems.append(f"its {len(files)} files are not numbered from 0 to {len(files) - 1}")
    for file in files:
        try:
            for piece in _read(file, schema, shape):
                pair_id = numbers(piece.column("pair_id"))
                rising = np.diff(pair_id, prepend=last) > (0 if name != "answers" else -1)  # several people answer one pair
                if not rising.all():
                    scan.problems.append(f"pair_id does not increase at pair {pair_id[~rising][0]}")
                for column in piece.schema.names:
                    scan.hashes.add(column, piece.column(column))
                if expected is not None:
                    _differ(piece, expected(scan.rows, len(piece)), scan.wrong)
                scan.rows, last = scan.rows + len(piece), int(pair_id[-1])
                advance(len(piece))
        except (pa.ArrowException, OSError, ValueError) as error:
            scan.damaged = True
            scan.problems.append(f"{file.name}: {str(error).splitlines()[0]}")
    return scan


def _read(file: Path, schema: pa.Schema, shape: dict[str, int]) -> Iterator[pa.RecordBatch]:
    """The rows of a file, if it has the columns it should have."""
    opened = open_parquet(file)
    actual = opened.schema_arrow
    if not actual.remove_metadata().equals(schema.remove_metadata()):
        kinds = {field.name: field.type for field in schema}
        others = [field.name for field in actual if kinds.get(field.name) != field.type]
        lost = [name for name in kinds if name not in actual.names]
        raise InputError(f"its columns are not those of the format: {', '.join([*others, *lost]) or 'their order'}")
    stated = (actual.metadata or {}).get(b"safefeedback")
    if stated != schema_metadata(shape)["safefeedback"].encode():
        raise InputError(f"its metadata say {stated!r} about the segments")
    for batch in opened.iter_batches(BATCH):
        if len(batch):
            if batch.column("pair_id").null_count:
                raise InputError("pair_id is null")
            yield batch


def _pieces(table: Table, rows: Feedback) -> Callable[[int, int], pa.Table]:
    """The rows that a table should have from row `at` on, at most `count`."""
    light = table(rows.take(np.arange(min(1, len(rows)))))
    if not any(name.startswith("observations") for name in light.schema.names):
        whole = table(rows)
        return lambda at, count: whole.slice(at, count).combine_chunks()
    return lambda at, count: table(rows.take(np.arange(min(at, len(rows)), min(at + count, len(rows)))))


def _differ(piece: pa.RecordBatch, expected: pa.Table, wrong: dict[int, list[str]]) -> None:
    """Adds the columns that are not as expected, bit for bit, to those of their pair."""
    if len(piece) > len(expected):
        for pair in piece.column("pair_id").to_pylist()[len(expected) :]:
            wrong.setdefault(pair, []).append("should not be there")
    piece = piece.slice(0, len(expected))
    for name in expected.schema.names if len(piece) else []:
        stored, recomputed = piece.column(name), expected[name].combine_chunks()
        for row in np.flatnonzero(_rows_differ(stored, recomputed)).tolist():
            wrong.setdefault(piece.column("pair_id")[row].as_py(), []).append(name)


def _rows_differ(one: pa.Array, other: pa.Array) -> np.ndarray:
    """Where two columns of one type differ in a bit, or in what is null; bool [n]."""
    if pa.types.is_string(one.type):
        return np.array([a != b for a, b in zip(one.to_pylist(), other.to_pylist(), strict=True)], bool)
    bits = [np.frombuffer(column_values(column), np.uint8).reshape(len(column), -1) for column in (one, other)]
    return (bits[0] != bits[1]).any(axis=1) | (present(one) != present(other))
