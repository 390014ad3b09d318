"""Writes a split of a dataset in another project's format, with a README.md that says how to load it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from safefeedback.dataset.export import FORMATS
from safefeedback.dataset.export.interface import ExportedPairs, ExportResult, TextOptions
from safefeedback.dataset.reading import Folder, open_dataset
from safefeedback.errors import InputError
from safefeedback.feedback.labels import one_sided_warning
from safefeedback.files import new_folder
from safefeedback.imports import load_object

TIES = ("keep", "drop")
REWARDS = ("none", "return")


def export(
    source: str | Path | Folder,
    kind: str,
    out: Path,
    labels: str | None = None,
    split: str = "train",
    ties: str | None = None,
    rewards: str | None = None,
    text: TextOptions | None = None,
    video: bool = False,
    on_progress: Callable[[int, int | None, str], None] = lambda done, total, doing: None,
) -> dict[str, Any]:
    """Writes a split of a dataset into a new folder.

    Args:
        source: a dataset's folder, or a Hub repository.
        kind: one of `FORMATS`.
        out: the folder.
        labels: a label set; None for the published labels.
        split: "train" or "test".
        ties: "keep" (as 0.5, where the format can) or "drop" pairs without a better segment; needed where there are any.
        rewards: of each step, for the formats that have one: "none" for zeros, or "return" for an even share of the true return
            (and for d4rl of the true cost), from the oracle: the recorded rewards of single steps are not in a dataset.
        text: how the formats for language models write a segment out; None for all digits of all steps, in Parquet.
        video: whether a view from above is added, for the formats that can have one.
        on_progress: called with (done, of how many, what is being done), where that takes long.

    Returns:
        The format, the folder, how many rows were written, how many pairs were left out because of ties or no answer, and
        notes: sentences that a person must read.

    Raises:
        InputError: if a choice is missing or does not suit the format, or a return is too large for it.
    """
    if kind not in FORMATS:
        raise InputError(f"there is no format '{kind}': choose from {', '.join(FORMATS)}")
    if ties is not None and ties not in TIES:
        raise InputError(f"--ties must be {' or '.join(TIES)}, not '{ties}'")
    if rewards is not None and rewards not in REWARDS:
        raise InputError(f"--rewards must be {' or '.join(REWARDS)}, not '{rewards}'")
    chosen = FORMATS[kind]
    if chosen.rewards and rewards is None:
        raise InputError(
            f"the format {kind} has a reward for each step: say --rewards none (zeros) or --rewards return (the truth)"
        )
    if not chosen.rewards and rewards is not None:
        raise InputError(f"the format {kind} has no rewards: leave --rewards out")
    if not chosen.text and text is not None:
        raise InputError(f"the format {kind} holds numbers, not text: leave --digits, --stride and --jsonl out")
    if video and not chosen.video:
        raise InputError(f"the format {kind} has no pictures: leave --video out")
    if out.exists():
        raise InputError(f"{out} exists already: choose another with --out")
    dataset = open_dataset(source)
    data = dataset.pairs(labels, split)
    keep = np.ones(len(data), bool)
    tied = data.preference == 0.5
    if chosen.preferences:
        keep &= ~np.isnan(data.preference)
        if tied.any() and ties is None:
            raise InputError(f"{tied.sum():,} pairs are tied: say --ties drop" + (", or --ties keep" if chosen.ties else ""))
        if tied.any() and ties == "keep" and not chosen.ties:
            raise InputError(f"the format {kind} has no ties: say --ties drop")
        keep &= ~tied if ties == "drop" else True
    elif ties is not None:
        raise InputError(f"the format {kind} does not compare segments: leave --ties out")
    if chosen.safety:
        keep &= ~np.isnan(data.safe).all(axis=1)
    if not keep.any():
        raise InputError(f"{dataset.source} has no pair that could be exported: all are tied or without an answer")
    returns, costs = _truth(dataset, labels, split, rewards, len(data))
    work = ExportedPairs(split, dataset.manifest.task, data.take(keep), returns[keep], costs[keep], text or TextOptions())
    work = replace(work, video=video, on_progress=on_progress)
    with new_folder(out) as folder:
        written = load_object(chosen.writer)(folder, work)
        (folder / "recipe.json").write_text(json.dumps({**data.recipe, "exported": kind}, indent=2) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(_readme(kind, work, written), encoding="utf-8")
    lopsided = one_sided_warning(work.data.preference) if chosen.preferences else None
    return {
        "format": kind,
        "folder": str(out),
        "rows": written.rows,
        "pairs": int(keep.sum()),
        "left_out": int((~keep).sum()),
        "notes": [*written.notes, *([lopsided] if lopsided else [])],
    }


def _truth(dataset: Folder, labels: str | None, split: str, rewards: str | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The return and the cost of each segment, float64 [N, 2]; zeros where no rewards are to be written."""
    if rewards != "return":
        return np.zeros((count, 2)), np.zeros((count, 2))
    truth = dataset.oracle(labels, split)
    largest = float(np.abs(truth.returns).max(initial=0.0))
    if not largest <= float(np.finfo(np.float32).max):
        raise InputError(
            f"--rewards return: a segment's return of {largest:.3g} is too large for the float32 that the formats hold; "
            "say --rewards none"
        )
    return truth.returns, truth.costs


def _readme(kind: str, work: ExportedPairs, written: ExportResult) -> str:
    """The folder's README: its contents, and how to load them."""
    notes = "".join(f"\n> {note}.\n" for note in written.notes)
    about = ""
    if written.front_matter is not None:
        import yaml

        about = f"---\n{yaml.safe_dump(written.front_matter, sort_keys=False)}---\n\n"
    return (
        f"{about}# {work.task.name}, {len(work.data):,} pairs of {work.length} steps, split {work.split}, as {kind}\n\n"
        f"Written by `safefeedback export --format {kind}`. `recipe.json` says how the dataset was made, and its terms.\n\n"
        f"{written.readme.strip()}\n{notes}"
    )
