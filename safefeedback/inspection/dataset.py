"""Inspects one dataset in bounded memory: labels at once, segments a thousand pairs at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from safefeedback.dataset.parquet import open_parquet
from safefeedback.dataset.people import describe_study
from safefeedback.dataset.reading import Folder, open_dataset
from safefeedback.dataset.rows import Dataset, Oracle
from safefeedback.dataset.structure import SCALARS, SPLITS
from safefeedback.errors import InputError
from safefeedback.inspection import labels as count
from safefeedback.inspection.values import Values, report, values_of
from safefeedback.inspection.windows import coverage, limits_around, repetition, safe_per_limit
from safefeedback.plots.view import Clip, View

CLIPS = 4
Advance = Callable[[int, int | None], None]


def inspect_dataset(
    source: str | Path | Folder,
    labels: str | None = None,
    on_progress: Advance = lambda done, total: None,
) -> tuple[dict[str, Any], View]:
    """Numbers about a dataset's splits, JSON-ready, and the contents of its plots (of the first split).

    Args:
        source: a dataset's folder, or a Hub repository "user/name".
        labels: a label set of the dataset; None for the published labels.
        on_progress: called with how many pairs were looked at, and of how many.

    Raises:
        InputError: if there is no such dataset, or its content is not what it should be.
    """
    folder = open_dataset(source)
    split_names = folder.splits(labels) or SPLITS[:1]  # `pairs` says what is missing
    splits = {split: folder.pairs(labels, split, segments=False) for split in split_names}
    _check_scalars(folder)
    context = _context(folder, labels)
    done, total = 0, sum(len(data) for data in splits.values())

    def advance(pairs: int) -> None:
        nonlocal done
        done += pairs
        on_progress(done, total)

    numbers: dict[str, dict[str, Any]] = {}
    views: list[View] = []
    for split, data in splits.items():
        where = f"{folder.source}, split {split}"
        _check(data, where)
        truth = _truth(folder, labels, split, data, where)
        shown = {int(data.pair_id[row]): row for row in ([] if views else _clip_rows(data))}
        values, length, segments = _scan(folder.segments(split), data.pair_id, set(shown), where, advance)
        numbers[split] = _split_numbers(data, truth, values, length, context)
        views.append(
            _view(folder.source, split, labels, data, truth, {shown[key]: segments[key] for key in shown}, length, context)
        )
    result = {
        "dataset": folder.source,
        "labels": labels,
        **{key: context[key] for key in ("task", "length", "horizon", "cost_limit", "segment_cost_limit")},
        "oracle": all(split["margin"] is not None for split in numbers.values()),
        "splits": numbers,
        **_people(folder, labels),
    }
    return result, views[0]


def _check_scalars(folder: Folder) -> None:
    """Raises InputError if the table of segments is not whole, which nothing else reads."""
    if not folder.raw or not folder.manifest.has_scalars:
        return
    for split, pairs in folder.manifest.splits.items():
        if not folder.has_oracle(None, split):
            continue  # the oracle was left out, and it with it
        files = folder.files(SCALARS, split)
        if (rows := sum(open_parquet(file).metadata.num_rows for file in files)) != 2 * pairs:
            raise InputError(
                f"{files[0].parent}: {rows:,} rows of split {split}, but {pairs:,} pairs have {2 * pairs:,} segments"
            )


def _people(folder: Folder, labels: str | None) -> dict[str, Any]:
    """How people were asked for a label set, where that is known."""
    label_set = folder.label_sets.get(labels) if labels is not None else None
    if label_set is None or label_set.answers is None or label_set.answers.study is None:
        return {}
    return {"people": describe_study(label_set.answers.study)}


def _scan(
    blocks: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]],
    kept: np.ndarray,
    shown: set[int],
    where: str,
    advance: Callable[[int], None],
) -> tuple[Values, int, dict[int, np.ndarray]]:
    """One pass over the segments.

    Args:
        blocks: pair_id, observations and actions of the next pairs.
        kept: the pair_id of those that are labelled.
        shown: the pair_id of those whose observations are wanted.

    Returns:
        Statistics of the labelled steps, L, and the wanted observations by pair_id.
    """
    values, length, segments = None, 0, {}
    for pair_id, observations, actions in blocks:
        length = observations.shape[2]
        for name, array in (("observations", observations), ("actions", actions)):
            good = np.isfinite(array).all(axis=(1, 2, 3))
            if not good.all():
                raise InputError(f"{where}: the {name} of pair {pair_id[~good][0]} hold NaN or infinity")
        rows = np.isin(pair_id, kept)
        if rows.any():
            piece = values_of(observations[rows], actions[rows])
            values = piece if values is None else values.plus(piece)
        for row in np.flatnonzero(np.isin(pair_id, list(shown))):
            segments[int(pair_id[row])] = observations[row].copy()
        advance(int(rows.sum()))
    assert values is not None  # there are labelled pairs, and `read` found each among the segments
    return values, length, segments


def _context(folder: Folder, labels: str | None) -> dict[str, Any]:
    """What the manifests say of the task and the limit, None where they do not; a label set has a limit of its own."""
    keys = ("task", "length", "horizon", "cost_limit", "segment_cost_limit", "in_source", "cost_limits")
    context: dict[str, Any] = dict.fromkeys(keys)
    if not folder.raw:
        return context
    base = folder.manifest
    context |= {
        "task": base.task.name,
        "length": base.recipe.length,
        "horizon": base.horizon,
        "cost_limits": tuple(float(limit) for limit in base.task.cost_limits),
        "in_source": base.episodes,
    }
    manifest = folder.labels_manifest(labels)
    if labels is None or manifest is not base:
        limits = {"cost_limit": manifest.labelling.limit, "segment_cost_limit": manifest.segment_cost_limit}
        context |= {"horizon": manifest.horizon, **limits}
    return context


def _check(data: Dataset, where: str) -> None:
    """Checks what `read` does not check."""
    if not len(data):
        raise InputError(f"{where} holds no pairs")
    if len(np.unique(data.pair_id)) < len(data):
        raise InputError(f"{where}: a pair_id occurs twice")
    if (data.episode < 0).any() or (data.start < 0).any():
        raise InputError(f"{where}: an episode or start is negative")


def _truth(folder: Folder, labels: str | None, split: str, data: Dataset, where: str) -> Oracle | None:
    """The truth about the rows of `data`, in their order; a label set without its own is held against the dataset's."""
    if labels is not None and not folder.has_oracle(labels, split):
        labels = None
    if not folder.has_oracle(labels, split):
        return None
    truth = folder.oracle(labels, split)
    order = np.argsort(truth.pair_id, kind="stable")
    at = np.minimum(np.searchsorted(truth.pair_id, data.pair_id, sorter=order), len(order) - 1) if len(order) else None
    if at is None or not np.array_equal(truth.pair_id[order[at]], data.pair_id):
        raise InputError(f"{where}: oracle does not hold the pairs that are labelled")
    if not np.isfinite(truth.returns).all() or not np.isfinite(truth.costs).all():
        raise InputError(f"{where}: oracle holds a return or cost that is null")
    with np.errstate(over="ignore"):
        if not np.isfinite(truth.returns[:, 1] - truth.returns[:, 0]).all():
            raise InputError(f"{where}: returns are so large that their difference is infinite")
    return truth.take(order[at])


def _split_numbers(data: Dataset, truth: Oracle | None, values: Values, length: int, context: dict[str, Any]) -> dict[str, Any]:
    limits = truth is not None and context["horizon"] is not None
    return {
        "pairs": len(data),
        "length": length,
        "safety": count.safety(data.safe),
        "preference": count.preferences(data.preference),
        "agreement": None
        if truth is None
        else {
            "preference": count.agreement(data.preference, truth.clean_preference, count.CLASSES["preference"]),
            "safety": count.agreement(data.safe, truth.clean_safe, count.CLASSES["safety"]),
        },
        "margin": None if truth is None else count.margins(truth.returns),
        "conflict": count.conflict(data.preference, data.safe, None if truth is None else truth.costs),
        "episodes": coverage(data.episode, context["in_source"]),
        "windows": repetition(data.episode, data.start, length),
        "limits": safe_per_limit(
            truth.costs, length, context["horizon"], limits_around(context["cost_limits"], context["cost_limit"])
        )
        if limits and truth is not None
        else None,
        **report(values),
    }


def _clip_rows(data: Dataset) -> list[int]:
    """The first pair of each kind (preferred and safe against unsafe, preferred but unsafe, both safe, both unsafe), then
    the first others."""
    decided = count.decided(data.preference)
    better = (data.preference > 0.5).astype(np.int64)
    rows = np.arange(len(data))
    chosen, other = data.safe[rows, better], data.safe[rows, 1 - better]
    kinds = [decided & (chosen == one) & (other == two) for one, two in ((1, 0), (0, 1), (1, 1), (0, 0))]
    picked = [int(kind.argmax()) for kind in kinds if kind.any()]
    return sorted({*picked, *[row for row in range(min(len(data), 2 * CLIPS)) if row not in picked][: CLIPS - len(picked)]})


def _view(
    where: str,
    split: str,
    labels: str | None,
    data: Dataset,
    truth: Oracle | None,
    segments: dict[int, np.ndarray],
    length: int,
    context: dict[str, Any],
) -> View:
    """The contents of the plots, with the pairs whose observations [2, L, O] are given by row."""
    unknown = np.full(2, np.nan)
    clips = tuple(
        Clip(
            name=f"pair {data.pair_id[row]}",
            sides=("segment 0", "segment 1"),
            observations=observations,
            preference=float(data.preference[row]),
            safe=data.safe[row],
            flipped=np.zeros(2, bool) if truth is None else labels_differ(data.safe[row], truth.clean_safe[row]),
            returns=unknown if truth is None else truth.returns[row],
            costs=unknown if truth is None else truth.costs[row],
        )
        for row, observations in segments.items()
    )
    name = context["task"] or Path(where).name
    empty = np.empty(0)
    agrees = empty
    if truth is not None:
        agrees = np.where(
            np.isnan(data.preference),
            np.nan,
            np.sign(data.preference - 0.5) == np.sign(truth.clean_preference - 0.5),
        )
    return View(
        title=f"{name}, {len(data):,} pairs ({split})" + (f", labels {labels}" if labels else ""),
        task=name,
        length=length,
        horizon=context["horizon"],
        cost_limit=context["cost_limit"],
        cost_limits=context["cost_limits"] or (),
        returns=empty if truth is None else truth.returns.ravel(),
        costs=empty if truth is None else truth.costs.ravel(),
        safe=empty if truth is None else data.safe.ravel(),
        clean_safe=empty if truth is None else truth.clean_safe.ravel(),
        margins=empty if truth is None else np.abs(truth.returns[:, 1] - truth.returns[:, 0]),
        agrees=agrees,
        clips=clips,
    )


def labels_differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where labels differ, both being answered."""
    return (one != other) & ~np.isnan(one) & ~np.isnan(other)
