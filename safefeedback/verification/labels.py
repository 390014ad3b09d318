"""Recomputes labels as far as possible, and compares them with the stored ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from safefeedback.dataset.manifest import AnyManifest, Manifest
from safefeedback.dataset.reading import Folder
from safefeedback.dataset.stats import statistics
from safefeedback.dataset.tables import Table
from safefeedback.errors import InputError
from safefeedback.feedback.filters import FILTERS
from safefeedback.feedback.labels import prefer_by_return, safe_by_cost
from safefeedback.types import Feedback
from safefeedback.verification.tables import compare


@dataclass(frozen=True)
class StoredLabels:
    """The stored labels, and the data they should follow from.

    Attributes:
        folder: of the dataset or of the label set.
        manifest: what its recipe.json says.
        base: the dataset's manifest; the same if the dataset itself is checked.
        stored: the rows, None if they cannot be read.
        drawn: how many pairs went into the filters.
        columns: what each table should hold, by its name.
        tables: the tables that rows give, name -> (table, bytes a row); they may have fewer columns.
        recompute: recomputes the rows; None if the recordings are missing.
        not_recomputed: why it cannot recompute all of them; empty if it can.
    """

    folder: Path
    manifest: AnyManifest
    base: Manifest
    stored: Feedback | None
    drawn: int
    columns: dict[str, pa.Schema]
    tables: dict[str, tuple[Table, int]]
    recompute: Callable[[], Feedback] | None
    not_recomputed: str


def check_labels(claim: StoredLabels, advance: Callable[[int], None]) -> tuple[list[str], list[str], list[str]]:
    """The problems of the tables, of their rows, and of statistics and history.

    Args:
        claim: the labels to check.
        advance: called with the number of rows compared.
    """
    again, failed, numbers = None, [], []
    stored, manifest, history = claim.stored, claim.manifest, claim.manifest.history
    if stored is not None:
        numbers += _unequal("statistics", manifest.statistics, statistics(stored, claim.base.episodes))
    try:
        if claim.recompute is not None and not claim.not_recomputed:
            again = claim.recompute()
            numbers += _history_problems(again, history)
        elif stored is not None:
            again = _truth_again(stored, manifest)
            numbers += _stated_problems(manifest) or _filter_problems(stored, manifest, claim.drawn)
    except InputError as error:
        failed.append(f"the recipe cannot be followed again: {error}")
    problems, differences = compare(
        claim.folder, manifest, claim.base.recipe.shape, claim.columns, again, claim.tables, advance
    )
    return problems, [*failed, *differences], numbers


def read_stored(folder: Folder, labels: str | None) -> tuple[Feedback | None, list[str]]:
    """The rows of a dataset or of a label set without segments, or why they cannot be read."""
    try:
        return folder.feedback(labels), []
    except InputError as error:
        return None, [str(error).replace(f"{folder.path}/", "")]


def _truth_again(stored: Feedback, manifest: AnyManifest) -> Feedback:
    """The labels that follow from the stored returns and costs: the truth, and the labels without noise.

    Args:
        stored: the labels as they are.
        manifest: with the choices behind them.
    """
    labelling, safe = manifest.labelling, safe_by_cost(stored.costs, manifest.segment_cost_limit)
    again = replace(stored, clean_preference=prefer_by_return(stored.returns), clean_safe=safe)
    if labelling.teacher == "oracle" and labelling.preference_noise == 0:
        again = replace(again, preference=again.clean_preference)
    if labelling.safety_noise == "none" and labelling.noise == 0:
        again = replace(again, safe=again.clean_safe)
    return again


def _history_problems(again: Feedback, history: Sequence[dict[str, Any]]) -> list[str]:
    """The stages of the published history that differ from those of the recomputed labels."""
    if [entry.get("stage") for entry in history] != [entry["stage"] for entry in again.history]:
        return [f"history: the stages {', '.join(str(entry.get('stage')) for entry in history)} are not those of the recipe"]
    pairs = zip(history, again.history, strict=True)
    return [problem for entry, done in pairs for problem in _unequal(f"history: {done['stage']}", entry, done)]


def _stated_problems(manifest: AnyManifest) -> list[str]:
    """Problems of the stages whose counts cannot be recomputed: their choices, and what follows from these."""
    choices = manifest.labelling
    stages: list[dict[str, Any]] = [{"stage": "source"}, {"stage": "sample"}] if isinstance(manifest, Manifest) else []
    limit = manifest.segment_cost_limit
    stages.append({"stage": "label", "horizon": manifest.horizon, "segment_cost_limit": limit})
    stages += [{"stage": "teach", "teacher": choices.teacher}] if choices.teacher != "oracle" else []
    stages += [{"stage": "annotate", "safety_noise": choices.safety_noise}] if choices.safety_noise != "none" else []
    stages += [{"stage": "noise"}, *({"stage": "filter", "filter": name} for name in choices.filters)]
    history = manifest.history
    if len(history) != len(stages):
        return [f"history: {len(history)} stages instead of {len(stages)}"]
    known = [{key: entry.get(key) for key in stage} for entry, stage in zip(history, stages, strict=True)]
    pairs = zip(known, stages, strict=True)
    return [problem for entry, stage in pairs for problem in _unequal(f"history: {stage['stage']}", entry, stage)]


def _filter_problems(stored: Feedback, manifest: AnyManifest, drawn: int) -> list[str]:
    """Pairs that a filter would have removed, and filters whose counts do not add up; `drawn` pairs went in."""
    problems = []
    for name in manifest.labelling.filters:
        dropped = ~FILTERS[name](stored)
        if dropped.any():
            problems.append(f"pair {stored.pairs.pair_id[dropped][0]} is one that the filter {name} removes")
    steps = [entry for entry in manifest.history if entry["stage"] == "filter"]
    for entry in steps:
        if entry.get("pairs_before") != drawn or not isinstance(entry.get("removed"), int):
            return [*problems, f"history: filter {entry['filter']} did not start from {drawn:,} pairs"]
        drawn -= entry["removed"]
    if drawn != len(stored):
        problems.append(f"history: {drawn:,} pairs are left by it, but there are {len(stored):,}")
    return problems


def _unequal(stage: str, stated: dict[str, Any], true: dict[str, Any]) -> list[str]:
    keys = [key for key in {**true, **stated} if key not in stated or key not in true or stated[key] != true[key]]
    return [f"{stage}: {key} is {stated.get(key, 'missing')} instead of {true.get(key, 'nothing')}" for key in keys]
