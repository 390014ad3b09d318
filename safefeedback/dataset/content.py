"""The content hash: it depends on a dataset's values, not on how its Parquet files are written."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pyarrow as pa

from safefeedback.dataset.arrow import items, numbers, present


def content_hash(columns: dict[str, str]) -> str:
    """One sha256 over the lines `config/split/column sha256`, sorted; it does not depend on how Parquet was written."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(columns.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


class ColumnHashes:
    """The sha256 of each column of a table that is added in pieces; it does not depend on the pieces.

    A column's sha256 runs over its type's name, then its values in row order, little-endian (false and 0.0 where null), then,
    if there are nulls, one byte a row that is 1 for an answer and 0 for null. Of words, over each as JSON on a line.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.answered: dict[str, bytearray] = {}

    def add(self, name: str, column: pa.Array) -> None:
        """The next rows of a column."""
        digest = self.values.setdefault(name, hashlib.sha256(_type_name(column.type).encode()))
        digest.update(column_values(column))
        self.answered.setdefault(name, bytearray()).extend(present(column).tobytes())

    def hex(self) -> dict[str, str]:
        """The sha256 of every column so far, by name."""
        digests = {}
        for name, values in self.values.items():
            digest = values.copy()
            if 0 in self.answered[name]:
                digest.update(self.answered[name])
            digests[name] = digest.hexdigest()
        return digests


def column_values(column: pa.Array) -> bytes | memoryview:
    """A column's values as `ColumnHashes` takes them."""
    if pa.types.is_string(column.type):
        return "".join(json.dumps(value) + "\n" for value in column.to_pylist()).encode()
    values = numbers(items(column) if pa.types.is_fixed_size_list(column.type) else column)
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False)).data.cast("B")


def _type_name(kind: pa.DataType) -> str:
    """A type in words; the name of a list's items differs between Arrow in memory and in Parquet."""
    return f"fixed_size_list<item: {kind.value_type}>[{kind.list_size}]" if pa.types.is_fixed_size_list(kind) else str(kind)
