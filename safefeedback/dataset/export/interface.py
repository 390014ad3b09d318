"""The input and the output of a format's writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from safefeedback.dataset.rows import Dataset
from safefeedback.errors import InputError
from safefeedback.tasks import Task


@dataclass(frozen=True)
class TextOptions:
    """How a segment is written out for a language model.

    Attributes:
        digits: significant digits of each number; None for as many as it takes to read the same float32 back.
        stride: every so many steps one is written.
        jsonl: as JSON Lines instead of Parquet.

    Raises:
        InputError: if one of them is out of range.
    """

    digits: int | None = None
    stride: int = 1
    jsonl: bool = False

    def __post_init__(self) -> None:
        if self.digits is not None and not 1 <= self.digits <= 9:
            raise InputError(
                f"--digits must lie between 1 and 9, not {self.digits}: nine are enough to distinguish every float32"
            )
        if self.stride < 1:
            raise InputError(f"--stride must be at least 1, not {self.stride}")


@dataclass(frozen=True)
class ExportedPairs:
    """The N pairs of a split that are exported.

    Attributes:
        split: its name, which the files have.
        task: what was recorded.
        data: segments and labels.
        returns, costs: float64 [N, 2], true sums of the segments; zeros unless they were asked for.
        text: for the formats that are text.
        video: whether the format adds a view from above as a film.
        on_progress: called with (done, of how many, what is being done).
    """

    split: str
    task: Task
    data: Dataset
    returns: np.ndarray
    costs: np.ndarray
    text: TextOptions
    video: bool = False
    on_progress: Callable[[int, int | None, str], None] = lambda done, total, doing: None

    @property
    def length(self) -> int:
        """L, steps in a segment."""
        return self.data.actions.shape[2]


@dataclass(frozen=True)
class ExportResult:
    """How many rows, how they are loaded (Markdown), sentences that a person must read, and what the Hub's card begins with."""

    rows: int
    readme: str
    notes: tuple[str, ...] = ()
    front_matter: dict[str, Any] | None = None
