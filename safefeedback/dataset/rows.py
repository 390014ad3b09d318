"""The rows of a dataset as shaped NumPy arrays: what is published, and the truth about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import index as as_index
from typing import Any, overload

import numpy as np

from safefeedback.values import format_repr, pick


@dataclass(frozen=True)
class Pair:
    """One pair, the side as the first axis; labels as in `safefeedback.types`.

    Attributes:
        pair_id: the index of the draw.
        episode, start: int64 [2], where each segment lies in the source.
        observations: float32 [2, L, O].
        actions: float32 [2, L, A].
        preference: NaN if unanswered.
        safe: float32 [2], NaN unanswered.
        episode_length: int64 [2], or None, as in `Dataset`.
    """

    pair_id: int
    episode: np.ndarray
    start: np.ndarray
    observations: np.ndarray
    actions: np.ndarray
    preference: float
    safe: np.ndarray
    episode_length: np.ndarray | None = None

    def __repr__(self) -> str:
        names = ("episode", "start", "observations", "actions", "preference", "safe")
        return format_repr(f"Pair {self.pair_id}", pick(self, names))


@dataclass(frozen=True)
class Dataset:
    """The pairs of one split, a sequence of `Pair`; labels as in `safefeedback.types`.

    `data[3]` is a pair, `data[:10]` and `data[data.safe.all(axis=1)]` are datasets, and `for pair in data` iterates over all.

    Attributes:
        pair_id: int64 [N].
        episode, start: int64 [N, 2], where each segment lies in the source.
        observations: float32 [N, 2, L, O].
        actions: float32 [N, 2, L, A].
        preference: float32 [N].
        safe: float32 [N, 2].
        recipe: what recipe.json says, or {} where the dataset came without it.
        labels: what the label set's own recipe.json says, or {} for the published labels.
        episode_length: int64 [N, 2], how many steps each segment's episode has in the source; None in datasets of older builds,
            which do not say so.
    """

    pair_id: np.ndarray
    episode: np.ndarray
    start: np.ndarray
    observations: np.ndarray
    actions: np.ndarray
    preference: np.ndarray
    safe: np.ndarray
    recipe: dict[str, Any]
    labels: dict[str, Any]
    episode_length: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pair_id)

    @overload
    def __getitem__(self, at: int) -> Pair: ...

    @overload
    def __getitem__(self, at: slice | list | np.ndarray) -> Dataset: ...

    def __getitem__(self, at: Any) -> Pair | Dataset:
        """The pair at a row (from the end if negative), or the dataset of a slice, a mask or a list of rows.

        Raises:
            IndexError: if there is no such row, or the mask has another length.
        """
        if isinstance(at, list):
            at = np.asarray(at, None if at else int)
        if isinstance(at, slice) or np.ndim(at):
            return self.take(at)
        row = as_index(at)
        if not -len(self) <= row < len(self):
            raise IndexError(f"there is no row {row}: the dataset has {len(self)}")
        return Pair(
            pair_id=int(self.pair_id[row]),
            episode=self.episode[row],
            start=self.start[row],
            observations=self.observations[row],
            actions=self.actions[row],
            preference=float(self.preference[row]),
            safe=self.safe[row],
            episode_length=None if self.episode_length is None else self.episode_length[row],
        )

    def __iter__(self) -> Iterator[Pair]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        task = self.recipe.get("recipe", {}).get("task", "")
        arrays = pick(self, ("pair_id", "episode", "start", "observations", "actions", "preference", "safe"))
        return format_repr(f"Dataset: {len(self):,} pairs{f' of {task}' if task else ''}", arrays)

    def take(self, keep: np.ndarray | slice) -> Dataset:
        """The pairs selected by a mask, by indices or by a slice, in their order."""
        names = ("pair_id", "episode", "start", "observations", "actions", "preference", "safe")
        lengths = None if self.episode_length is None else self.episode_length[keep]
        return replace(self, **{name: getattr(self, name)[keep] for name in names}, episode_length=lengths)


@dataclass(frozen=True)
class Oracle:
    """The truth about the same rows, which no algorithm may learn from.

    Attributes:
        pair_id: int64 [N].
        returns, costs: float64 [N, 2].
        clean_preference: float32 [N].
        clean_safe: float32 [N, 2].
        preference_flipped: bool [N].
        safe_flipped: bool [N, 2].
    """

    pair_id: np.ndarray
    returns: np.ndarray
    costs: np.ndarray
    clean_preference: np.ndarray
    clean_safe: np.ndarray
    preference_flipped: np.ndarray
    safe_flipped: np.ndarray

    def __repr__(self) -> str:
        names = ("returns", "costs", "clean_preference", "clean_safe", "preference_flipped", "safe_flipped")
        return format_repr(f"Oracle: the truth about {len(self.pair_id):,} pairs", pick(self, ("pair_id", *names)))

    def take(self, keep: np.ndarray) -> Oracle:
        """The rows selected by a mask or by indices, in their order."""
        return Oracle(**{name: getattr(self, name)[keep] for name in self.__dataclass_fields__})
