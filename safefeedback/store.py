"""The dataset on disk: Parquet tables and a manifest, written whole or not at all.

    README.md                      the card; its `configs:` block drives `load_dataset`
    pairs/{train,test}-*.parquet   segments and published labels
    oracle/{train,test}-*.parquet  the same rows: returns, costs, clean labels, which labels noise flipped
    labels/<set>/...               more labels over the same pairs, joined by pair_id
    recipe.json                    how it was made, content hash, sha256 of every file; written last

Every Parquet file says its segments' shape in its schema metadata under the key `safefeedback`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from safefeedback import __version__
from safefeedback.build import Recipe
from safefeedback.files import file_sha256
from safefeedback.stats import statistics
from safefeedback.types import Episodes, Feedback

FORMAT_VERSION = 1
GROUP_ROWS = 1000  # rows in a row group, fewer where that would pass GROUP_BYTES
GROUP_BYTES = 64 << 20
SHARD_BYTES = 256 << 20  # of uncompressed segments in one file
SPLITS = ("train", "test")
UNFINISHED = ".unfinished"  # ends the names of tables until the manifest is written: a killed build must not load


def recipe_hash(recipe: Recipe, fingerprint: str) -> str:
    """The sha256 of format version, recipe, task and source: two datasets with one hash have the same content."""
    identity = {
        "format_version": FORMAT_VERSION,
        "recipe": recipe.to_dict(),
        "task": recipe.task.to_dict(),
        "source": fingerprint,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def write(
    folder: Path,
    episodes: Episodes,
    feedback: Feedback,
    recipe: Recipe,
    card: Callable[[dict[str, Any]], str],
    advance: Callable[[int], None] = lambda rows: None,
) -> dict[str, Any]:
    """Writes a dataset into an existing empty folder, the manifest last.

    Args:
        folder: where to; see `safefeedback.files.new_folder` for one that appears whole or not at all.
        episodes: the recordings, for the segments.
        feedback: the labelled pairs.
        recipe: how they were made.
        card: makes README.md from the manifest.
        advance: told after each piece how many pairs were written.

    Returns:
        The manifest, as in recipe.json.
    """
    columns: dict[str, str] = {}
    parts = {split: feedback.take(feedback.pairs.test == (split == "test")) for split in SPLITS}
    parts = {split: part for split, part in parts.items() if len(part)}
    for config, table, bytes_per_row in (
        ("pairs", _segments_table(episodes, recipe), _segment_bytes(episodes, recipe)),
        ("oracle", _oracle_table, 64),
    ):
        for split, part in parts.items():
            digests = _write_split(folder / config, split, part, table, bytes_per_row, recipe, advance)
            columns |= {f"{config}/{split}/{name}": digest for name, digest in digests.items()}
    manifest = {
        "format_version": FORMAT_VERSION,
        "recipe": recipe.to_dict(),
        "task": recipe.task.to_dict(),
        "source": {
            "kind": episodes.source.kind,
            "sha256": episodes.source.fingerprint,
            "license": episodes.source.license,
            "author": episodes.source.author,
            "citation": episodes.source.citation,
            "credit": episodes.source.credit,
        },
        "recipe_sha256": recipe_hash(recipe, episodes.source.fingerprint),
        "shape": recipe.shape,
        "splits": {split: len(part) for split, part in parts.items()},
        "history": list(feedback.history),
        "statistics": statistics(feedback, episodes),
        "content": {"sha256": content_hash(columns), "columns": columns},
        "not_hashed": {"safefeedback": __version__, "pyarrow": pa.__version__, "source_file": episodes.source.file},
    }
    _write_text(folder / "README.md", card(manifest))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest["files"] = {
        path.relative_to(folder).as_posix().removesuffix(UNFINISHED): {
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
        }
        for path in files
    }
    _write_text(folder / "recipe.json", json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    for path in folder.rglob(f"*{UNFINISHED}"):
        path.rename(path.with_name(path.name.removesuffix(UNFINISHED)))
    return manifest


def content_hash(columns: dict[str, str]) -> str:
    """One sha256 over the lines `config/split/column sha256`, sorted; it does not depend on how Parquet was written."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(columns.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def column_bytes(array: pa.Array) -> Iterator[bytes | memoryview]:
    """What a column's sha256 runs over, in row order: its values, little-endian (false and 0.0 where null), then, where
    there are nulls, one byte a row that is 1 for an answer and 0 for null."""
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    values = array.fill_null(False if pa.types.is_boolean(array.type) else 0) if array.null_count else array
    if pa.types.is_fixed_size_list(values.type):
        values = values.flatten()
    numbers = np.ascontiguousarray(values.to_numpy(zero_copy_only=False))
    yield numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).data.cast("B")
    if array.null_count:
        yield valid.astype(np.uint8).tobytes()


def _segment_bytes(episodes: Episodes, recipe: Recipe) -> int:
    return 2 * recipe.length * (episodes.observations.shape[1] + episodes.actions.shape[1]) * 4


def _write_split(
    folder: Path,
    split: str,
    feedback: Feedback,
    table: Callable[[Feedback], pa.Table],
    bytes_per_row: int,
    recipe: Recipe,
    advance: Callable[[int], None],
) -> dict[str, str]:
    """Writes one split as shards of row groups; returns the sha256 of every column's content."""
    folder.mkdir(exist_ok=True)
    metadata = {"safefeedback": json.dumps({"format_version": FORMAT_VERSION, **recipe.shape})}
    group = max(1, min(GROUP_ROWS, GROUP_BYTES // bytes_per_row))
    shard = max(1, SHARD_BYTES // (group * bytes_per_row)) * group
    shards = -(-len(feedback) // shard)
    digests: dict[str, Any] = {}
    for index in range(shards):
        path = folder / f"{split}-{index:05d}-of-{shards:05d}.parquet{UNFINISHED}"
        rows = range(index * shard, min((index + 1) * shard, len(feedback)))
        with open(path, "wb") as file:
            writer = None
            for start in range(rows.start, rows.stop, group):
                piece = table(feedback.take(np.arange(start, min(start + group, rows.stop))))
                for name in piece.column_names:
                    digest = digests.setdefault(name, hashlib.sha256(str(piece.schema.field(name).type).encode()))
                    for block in column_bytes(piece[name].chunk(0)):
                        digest.update(block)
                if writer is None:
                    schema = piece.schema.with_metadata(metadata)
                    writer = pq.ParquetWriter(file, schema, **_encoding(schema))
                writer.write_table(piece.replace_schema_metadata(metadata), row_group_size=group)
                advance(len(piece))
            assert writer is not None
            writer.close()
            file.flush()
            os.fsync(file.fileno())
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """zstd, with the bytes of each float side by side, which packs recordings smaller and reads faster."""
    lists = [field.name for field in schema if pa.types.is_fixed_size_list(field.type)]
    return {
        "compression": "zstd",
        "use_dictionary": False,
        "use_byte_stream_split": [f"{name}.list.element" for name in lists],
        "write_statistics": [field.name for field in schema if field.name not in lists],
        "store_schema": True,
    }


def _segments_table(episodes: Episodes, recipe: Recipe) -> Callable[[Feedback], pa.Table]:
    observations = _windows(episodes.observations, recipe.length)
    actions = _windows(episodes.actions, recipe.length)

    def table(feedback: Feedback) -> pa.Table:
        rows = feedback.pairs.rows(episodes)
        return pa.table(
            {
                "pair_id": pa.array(feedback.pairs.pair_id, pa.int64()),
                "episode_0": pa.array(feedback.pairs.episode[:, 0], pa.int32()),
                "episode_1": pa.array(feedback.pairs.episode[:, 1], pa.int32()),
                "start_0": pa.array(feedback.pairs.start[:, 0], pa.int32()),
                "start_1": pa.array(feedback.pairs.start[:, 1], pa.int32()),
                "observations_0": _lists(observations[rows[:, 0]]),
                "observations_1": _lists(observations[rows[:, 1]]),
                "actions_0": _lists(actions[rows[:, 0]]),
                "actions_1": _lists(actions[rows[:, 1]]),
                "preference": _nullable(feedback.preference),
                "is_safe_0": _nullable(feedback.safe[:, 0], bool),
                "is_safe_1": _nullable(feedback.safe[:, 1], bool),
            }
        )

    return table


def _oracle_table(feedback: Feedback) -> pa.Table:
    return pa.table(
        {
            "pair_id": pa.array(feedback.pairs.pair_id, pa.int64()),
            "return_0": feedback.returns[:, 0],
            "return_1": feedback.returns[:, 1],
            "cost_0": feedback.costs[:, 0],
            "cost_1": feedback.costs[:, 1],
            "clean_preference": _nullable(feedback.clean_preference),
            "clean_is_safe_0": _nullable(feedback.clean_safe[:, 0], bool),
            "clean_is_safe_1": _nullable(feedback.clean_safe[:, 1], bool),
            "preference_flipped": feedback.preference_flipped,
            "is_safe_0_flipped": feedback.safe_flipped[:, 0],
            "is_safe_1_flipped": feedback.safe_flipped[:, 1],
        }
    )


def _windows(values: np.ndarray, length: int) -> np.ndarray:
    """A view [T - L + 1, L * D] whose row r is the window that starts at step r."""
    dim = values.shape[1]
    return np.lib.stride_tricks.sliding_window_view(values.reshape(-1), length * dim)[::dim]


def _lists(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _nullable(labels: np.ndarray, kind: type = np.float32) -> pa.Array:
    """Labels with NaN as null."""
    missing = np.isnan(labels)
    return pa.array(np.where(missing, 0, labels).astype(kind), mask=missing)


def _write_text(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
