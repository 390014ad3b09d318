"""NumPy arrays as Arrow columns and back, by their buffers.

`pyarrow.array` and `Array.to_numpy` do the same, and import pandas first, where it is installed, to see whether they were given
one of its objects; `flatten` imports `pyarrow.compute`. Either takes longer than a small build's work.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def column(values: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """A column of numbers or bools [N], or of lists of numbers [N, K], of the array's own type.

    `missing`, bool [N], marks what is null; a column of lists has none.
    """
    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(column(values.reshape(-1)), values.shape[1])
    kind = pa.from_numpy_dtype(values.dtype)
    data = np.packbits(values, bitorder="little") if values.dtype == bool else np.ascontiguousarray(values)
    present = None if missing is None or not missing.any() else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [present, pa.py_buffer(data)])


def words(values: Sequence[str]) -> pa.StringArray:
    """A column of texts."""
    texts = [text.encode() for text in values]
    ends = np.fromiter(itertools.accumulate(map(len, texts), initial=0), np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(texts)))


def present(values: pa.Array) -> np.ndarray:
    """Where a column is not null: bool [N]."""
    return np.ones(len(values), bool) if not values.null_count else _bits(values, 0)


def numbers(values: pa.Array) -> np.ndarray:
    """A column's numbers or bools [N] of its own type, 0 and False where null; a view of it where that is possible."""
    if pa.types.is_boolean(values.type):
        result = _bits(values, 1)
    else:
        data, kind = values.buffers()[1], np.dtype(values.type.to_pandas_dtype())
        result = np.frombuffer(data, kind)[values.offset : values.offset + len(values)] if data else np.empty(0, kind)
    return result if not values.null_count else np.where(present(values), result, result.dtype.type(0))


def items(values: pa.Array) -> pa.Array:
    """The items of a column of lists, one list after the other; those of lists that are null are left out."""
    if not pa.types.is_fixed_size_list(values.type) or values.null_count:
        return values.flatten()
    size = values.type.list_size
    return values.values.slice(values.offset * size, len(values) * size)


def _bits(values: pa.Array, buffer: int) -> np.ndarray:
    """One of a column's buffers of bits, as bool [N]."""
    data = values.buffers()[buffer]
    if not len(values):
        return np.empty(0, bool)
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=values.offset + len(values), bitorder="little")
    return bits[values.offset :].view(bool)
