"""Makes the tables of a dataset and of a label set, as stored in Parquet, from labelled pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from safefeedback.dataset.arrow import column
from safefeedback.feedback.recipe import Recipe
from safefeedback.types import Episodes, Feedback

LIGHT_BYTES = 64  # of a row without segments
Table = Callable[[Feedback], pa.Table]


def tables(episodes: Episodes, recipe: Recipe, lengths: bool = True) -> dict[str, tuple[Table, int]]:
    """The tables of a dataset: name -> (rows of labelled pairs as they are stored, bytes a row).

    `lengths` is False for what was built before there were the columns `episode_length_0` and `_1`.
    """
    segment_bytes = 2 * recipe.length * (episodes.observations.shape[1] + episodes.actions.shape[1]) * 4
    return {"pairs": (_segments_table(episodes, recipe, lengths), segment_bytes), "oracle": (oracle_table, LIGHT_BYTES)}


def label_tables(answers: pa.Table | None = None) -> dict[str, tuple[Table, int]]:
    """The tables of a label set: the labels, the truth about them, and where people gave them, their answers."""
    light: dict[str, tuple[Table, int]] = {"": (labels_table, LIGHT_BYTES), "oracle": (oracle_table, LIGHT_BYTES)}
    if answers is not None:
        light["answers"] = (lambda feedback: _answers_to(answers, feedback.pairs.pair_id), LIGHT_BYTES)
    return light


def _segments_table(episodes: Episodes, recipe: Recipe, lengths: bool) -> Table:
    observations = _windows(episodes.observations, recipe.length)
    actions = _windows(episodes.actions, recipe.length)

    def table(feedback: Feedback) -> pa.Table:
        rows, steps = feedback.pairs.rows(episodes), episodes.lengths[feedback.pairs.episode]
        return pa.table(
            {
                "pair_id": column(feedback.pairs.pair_id.astype(np.int64, copy=False)),
                "episode_0": column(feedback.pairs.episode[:, 0].astype(np.int32)),
                "episode_1": column(feedback.pairs.episode[:, 1].astype(np.int32)),
                "start_0": column(feedback.pairs.start[:, 0].astype(np.int32)),
                "start_1": column(feedback.pairs.start[:, 1].astype(np.int32)),
                **({f"episode_length_{side}": column(steps[:, side].astype(np.int32)) for side in (0, 1)} if lengths else {}),
                "observations_0": column(observations[rows[:, 0]]),
                "observations_1": column(observations[rows[:, 1]]),
                "actions_0": column(actions[rows[:, 0]]),
                "actions_1": column(actions[rows[:, 1]]),
                **_labels(feedback),
            }
        )

    return table


def labels_table(feedback: Feedback) -> pa.Table:
    """The published labels of pairs."""
    return pa.table({"pair_id": column(feedback.pairs.pair_id.astype(np.int64, copy=False)), **_labels(feedback)})


def oracle_table(feedback: Feedback) -> pa.Table:
    """The truth about pairs, the flipped labels, and the marks of teachers and annotators."""
    columns = {
        "pair_id": column(feedback.pairs.pair_id.astype(np.int64, copy=False)),
        "return_0": column(feedback.returns[:, 0]),
        "return_1": column(feedback.returns[:, 1]),
        "cost_0": column(feedback.costs[:, 0]),
        "cost_1": column(feedback.costs[:, 1]),
        "clean_preference": _nullable(feedback.clean_preference),
        "clean_is_safe_0": _nullable(feedback.clean_safe[:, 0], bool),
        "clean_is_safe_1": _nullable(feedback.clean_safe[:, 1], bool),
        "preference_flipped": column(feedback.preference_flipped),
        "is_safe_0_flipped": column(feedback.safe_flipped[:, 0]),
        "is_safe_1_flipped": column(feedback.safe_flipped[:, 1]),
    }
    for name, values in feedback.marks.items():
        if values.ndim == 1:
            columns[name] = column(values)
        else:
            columns |= {name.replace("is_safe", f"is_safe_{side}"): column(values[:, side]) for side in (0, 1)}
    return pa.table(columns)


def scalars_table(feedback: Feedback) -> pa.Table:
    """The table of segments, two rows for each pair; it follows from the labels and the truth."""
    pairs, count = feedback.pairs, len(feedback)
    preferred = np.stack([1 - feedback.preference, feedback.preference], axis=1)
    return pa.table(
        {
            "pair_id": column(np.repeat(pairs.pair_id, 2).astype(np.int64, copy=False)),
            "segment": column(np.tile(np.array([0, 1], np.int8), count)),
            "episode": column(pairs.episode.reshape(-1).astype(np.int32)),
            "start": column(pairs.start.reshape(-1).astype(np.int32)),
            "length": column(np.full(2 * count, pairs.length, np.int32)),
            "return": column(feedback.returns.reshape(-1)),
            "cost": column(feedback.costs.reshape(-1)),
            "preferred": _nullable(preferred.reshape(-1)),
            "preference_flipped": column(np.repeat(feedback.preference_flipped, 2)),
            "is_safe": _nullable(feedback.safe.reshape(-1), bool),
            "is_safe_flipped": column(feedback.safe_flipped.reshape(-1)),
        }
    )


def _labels(feedback: Feedback) -> dict[str, pa.Array]:
    return {
        "preference": _nullable(feedback.preference),
        "is_safe_0": _nullable(feedback.safe[:, 0], bool),
        "is_safe_1": _nullable(feedback.safe[:, 1], bool),
    }


def _answers_to(answers: pa.Table, pair_id: np.ndarray) -> pa.Table:
    """The answers to the given pairs, in the pairs' order."""
    import pyarrow.compute as pc  # slow to import, and only people's answers need it

    return answers.filter(pc.is_in(answers["pair_id"], column(pair_id))).combine_chunks()


def _windows(values: np.ndarray, length: int) -> np.ndarray:
    """A view [T - L + 1, L * D] whose row r is the window that starts at step r."""
    dim = values.shape[1]
    return np.lib.stride_tricks.sliding_window_view(values.reshape(-1), length * dim)[::dim]


def _nullable(labels: np.ndarray, kind: type = np.float32) -> pa.Array:
    """Labels with NaN as null."""
    missing = np.isnan(labels)
    return column(np.where(missing, 0, labels).astype(kind), missing)
