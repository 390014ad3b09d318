"""The dataset on disk: Parquet tables and a manifest, written whole or not at all.

    README.md                      the card; its `configs:` block drives `load_dataset`
    pairs/{train,test}-*.parquet   segments and published labels
    oracle/{train,test}-*.parquet  the same rows: returns, costs, clean labels, which labels noise flipped
    oracle/scalars/...             the same once more, a row a segment, for tables and plots; follows from the other two
    labels/<set>/...               more labels over the same pairs, joined by pair_id: {train,test}-*.parquet, oracle/..., for
                                   labels that people gave answers/..., and a recipe.json of its own
    recipe.json                    how it was made, content hash, sha256 of every file; written last

Every Parquet file says its segments' shape in its schema metadata under the key `safefeedback`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from safefeedback.dataset.arrow import numbers
from safefeedback.dataset.content import ColumnHashes, content_hash
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.stats import statistics
from safefeedback.dataset.structure import FORMAT_VERSION, SCALARS, SPLITS
from safefeedback.dataset.tables import LIGHT_BYTES, Table, label_tables, scalars_table, tables
from safefeedback.feedback.recipe import Labelling, Recipe
from safefeedback.files import file_sha256, write_text
from safefeedback.types import Episodes, Feedback
from safefeedback.version import __version__

GROUP_ROWS = 1000  # rows in a row group, fewer where that would pass GROUP_BYTES
GROUP_BYTES = 64 << 20
SHARD_BYTES = 256 << 20  # of uncompressed segments in one file
PIECE_BYTES = 8 << 20  # made and written at a time, or one row group if that is more
# pages end where the content says so, not after a number of rows: what a later version shares with an earlier one is then the
# same bytes, and is not uploaded again. Smaller pages share more and pack recordings worse (tests/benchmarks/upload.py).
PAGES = {"min_chunk_size": 1 << 20, "max_chunk_size": 4 << 20}
_CHUNKS = int(pa.__version__.split(".")[0]) >= 21
UNFINISHED = ".unfinished"  # ends the names of tables until the manifest is written: a killed build must not load


def recipe_hash(choices: Labelling, origin: str) -> str:
    """The sha256 of format version, choices, task and origin: two datasets (or label sets) with one hash have the same content.

    Args:
        choices: a recipe, or a label set's labelling.
        origin: their input: the sha256 of the source file, or the content hash of the labelled dataset.
    """
    identity = {
        "format_version": FORMAT_VERSION,
        "recipe": choices.to_dict(),
        "task": choices.task.to_dict(),
        "source": origin,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def write(
    folder: Path,
    episodes: Episodes,
    feedback: Feedback,
    recipe: Recipe,
    card: Callable[[Manifest], str],
    advance: Callable[[int], None] = lambda rows: None,
) -> Manifest:
    """Writes a dataset into an existing empty folder, the manifest last.

    Args:
        folder: where to; see `safefeedback.files.new_folder` for one that appears whole or not at all.
        episodes: the recordings, for the segments.
        feedback: the labelled pairs.
        recipe: how they were made.
        card: makes README.md from the manifest.
        advance: called after each piece with the number of pairs written.

    Returns:
        The manifest, as in recipe.json.
    """
    source = episodes.source
    values = {
        "format_version": FORMAT_VERSION,
        "recipe": recipe.to_dict(),
        "task": recipe.task.to_dict(),
        "source": {
            "kind": source.kind,
            "sha256": source.fingerprint,
            "license": source.license,
            "author": source.author,
            "citation": source.citation,
            "credit": source.credit,
        },
        "recipe_sha256": recipe_hash(recipe, source.fingerprint),
        "shape": recipe.shape,
        **_facts(feedback, len(episodes)),
        **_write_tables(folder, feedback, tables(episodes, recipe), recipe.shape, advance),
        "not_hashed": {"safefeedback": __version__, "pyarrow": pa.__version__, "source_file": source.file},
    }
    for split, part in by_split(feedback).items():  # not among the hashed columns: it follows from them
        _write_split(folder / SCALARS, split, part, scalars_table, LIGHT_BYTES, recipe.shape, lambda rows: None)
    manifest = Manifest.parse(_with_files(folder, values), str(folder))
    write_text(folder / "README.md", card(manifest))
    _finish(folder, manifest.raw)
    return manifest


def write_labels(
    folder: Path, name: str, base: Manifest, feedback: Feedback, choices: dict[str, Any], answers: pa.Table | None = None
) -> LabelSetManifest:
    """Writes a label set into an existing empty folder, its manifest last.

    Args:
        folder: where to, `labels/<name>` of the dataset in the end.
        name: of the set.
        base: the dataset's manifest.
        feedback: the labelled pairs.
        choices: `recipe`, how the labels were made, and `recipe_sha256`.
        answers: every single answer, where annotators gave the labels: pair_id, annotator, preference, is_safe_0, is_safe_1.

    Returns:
        The label set's manifest, as in its recipe.json.
    """
    values = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "base": {"content_sha256": base.content_sha256, "recipe_sha256": base.recipe_sha256},
        **choices,
        **_facts(feedback, base.episodes),
        **_write_tables(folder, feedback, label_tables(answers), base.recipe.shape, lambda rows: None),
        "not_hashed": {"safefeedback": __version__, "pyarrow": pa.__version__},
    }
    manifest = LabelSetManifest.parse(_with_files(folder, values), base, str(folder))
    _finish(folder, manifest.raw)
    return manifest


def _facts(feedback: Feedback, episodes_in_source: int) -> dict[str, Any]:
    return {
        "splits": {split: len(part) for split, part in by_split(feedback).items()},
        "history": list(feedback.history),
        "statistics": statistics(feedback, episodes_in_source),
    }


def by_split(feedback: Feedback) -> dict[str, Feedback]:
    """The rows of each split that has any."""
    if not feedback.pairs.test.any():
        return {"train": feedback} if len(feedback) else {}
    split = {name: feedback.take(feedback.pairs.test == (name == "test")) for name in SPLITS}
    return {name: part for name, part in split.items() if len(part)}


def _write_tables(
    folder: Path,
    feedback: Feedback,
    tables: dict[str, tuple[Table, int]],
    shape: dict[str, int],
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Writes every table, a split after the other; returns the hashes of their content."""
    columns: dict[str, str] = {}
    split_rows = by_split(feedback)
    for name, (table, bytes_per_row) in tables.items():
        for split, part in split_rows.items():
            digests = _write_split(folder / name, split, part, table, bytes_per_row, shape, advance)
            columns |= {"/".join(filter(None, (name, split, column))): digest for column, digest in digests.items()}
    return {"content": {"sha256": content_hash(columns), "columns": columns}}


def _with_files(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a manifest, with the size and sha256 of every table file.

    The card is not among the files: it changes with every label set, and says nothing that the manifests do not.
    """
    files = {
        path.relative_to(folder).as_posix().removesuffix(UNFINISHED): {
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
        }
        for path in sorted(folder.rglob(f"*{UNFINISHED}"))
    }
    return {**values, "files": files}


def _finish(folder: Path, values: dict[str, Any]) -> None:
    """Writes the manifest, and only then gives the tables their names."""
    write_text(folder / "recipe.json", json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    for path in folder.rglob(f"*{UNFINISHED}"):
        path.rename(path.with_name(path.name.removesuffix(UNFINISHED)))


def schema_metadata(shape: dict[str, int]) -> dict[str, str]:
    """What every Parquet file says about its segments."""
    return {"safefeedback": json.dumps({"format_version": FORMAT_VERSION, **shape})}


def _write_split(
    folder: Path,
    split: str,
    feedback: Feedback,
    table: Table,
    bytes_per_row: int,
    shape: dict[str, int],
    advance: Callable[[int], None],
) -> dict[str, str]:
    """Writes one split as shards of row groups; returns the sha256 of every column's content."""
    folder.mkdir(exist_ok=True)
    metadata = schema_metadata(shape)
    group = max(1, min(GROUP_ROWS, GROUP_BYTES // bytes_per_row))
    shard = max(1, SHARD_BYTES // (group * bytes_per_row)) * group
    shards = -(-len(feedback) // shard)
    step = max(1, PIECE_BYTES // (group * bytes_per_row)) * group
    hashes = ColumnHashes()
    for index in range(shards):
        path = folder / f"{split}-{index:05d}-of-{shards:05d}.parquet{UNFINISHED}"
        rows = range(index * shard, min((index + 1) * shard, len(feedback)))
        with open(path, "wb") as file, ExitStack() as closing:
            writer = None
            for start in range(rows.start, rows.stop, step):
                part = feedback.take(slice(start, min(start + step, rows.stop)))
                piece = table(part).replace_schema_metadata(metadata)
                for name in piece.column_names:
                    hashes.add(name, piece[name].combine_chunks())
                if writer is None:
                    writer = closing.enter_context(pq.ParquetWriter(file, piece.schema, **_encoding(piece.schema)))
                ends = np.searchsorted(numbers(piece["pair_id"].combine_chunks()), part.pairs.pair_id[group::group])
                bounds = (0, *ends.tolist(), len(piece))  # a row group for every `group` pairs
                sizes = np.diff(bounds)
                if (sizes[:-1] == sizes[0]).all() and sizes[-1] <= sizes[0]:
                    writer.write_table(piece, row_group_size=max(1, sizes[0]))
                else:  # answers are as many as there are annotators
                    for begin, size in zip(bounds, sizes.tolist(), strict=False):
                        writer.write_table(piece.slice(begin, size), row_group_size=max(1, size))
                advance(len(piece))
            assert writer is not None
            writer.close()
            file.flush()
            os.fsync(file.fileno())
    return hashes.hex()


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """zstd, with the bytes of each float side by side, which packs recordings smaller and reads faster."""
    lists = [field.name for field in schema if pa.types.is_fixed_size_list(field.type)]
    return {
        "compression": "zstd",
        "use_dictionary": False,
        "use_byte_stream_split": [f"{name}.list.element" for name in lists],
        "write_statistics": [field.name for field in schema if field.name not in lists],
        "store_schema": True,
        "write_page_index": True,
        **({"use_content_defined_chunking": PAGES, "data_page_size": 2 * PAGES["max_chunk_size"]} if _CHUNKS else {}),
    }
