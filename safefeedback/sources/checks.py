"""Checks that apply to recordings of every kind of source."""

from __future__ import annotations

import numpy as np

from safefeedback.errors import InputError

CHUNK = 1 << 16  # rows looked at in one go


def check_finite(where: object, key: str, values: np.ndarray) -> None:
    """Refuses NaN, infinity, and values that overflow the type they are read as.

    Args:
        where: the file or dataset, for the error.
        key: the name of the values there.
        values: [T] or [T, dim].

    Raises:
        InputError: naming the first such step.
    """
    for start in range(0, len(values), CHUNK):
        rows = values[start : start + CHUNK]
        bad = ~np.isfinite(rows.reshape(len(rows), -1)).all(axis=1)
        if bad.any():
            row = start + int(np.flatnonzero(bad)[0])
            raise InputError(f"{where}: {key} is NaN, infinite or too large for {values.dtype} at step {row}")


def check_costs(where: object, key: str, costs: np.ndarray) -> None:
    """Refuses negative costs [T].

    Raises:
        InputError: naming the first.
    """
    if (costs < 0).any():
        row = int(np.flatnonzero(costs < 0)[0])
        raise InputError(f"{where}: {key} is negative at step {row} ({costs[row]:g}); a cost must be 0 or more")


def check_dims(where: object, key: str, dim: int, wanted: int) -> None:
    """Refuses vectors of another dimension than the task's.

    Raises:
        InputError: if they differ.
    """
    if dim != wanted:
        raise InputError(f"{where}: {key} has {dim} numbers a step but the task needs {wanted}")
