"""A dataset in the formats of other projects. What a format cannot say is chosen by the user, never silently.

cpl            train.npz of Contrastive Preference Learning's FeedbackBuffer (jhejna/cpl)
d4rl           train.hdf5 in D4RL's and DSRL's schema: every segment an episode, pair by pair, the first segment first
minari         a Minari dataset (data format hdf5), likewise
trl-paired     train.parquet with prompt, chosen, rejected: TRL's preference format, by the preferences
trl-unpaired   train.parquet with prompt, completion, label: TRL's unpaired format (KTO), by the safety labels

Each is a function in a file of this folder and a line of FORMATS. The folder that is written has a README.md of how to load it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from safefeedback.dataset.export.cpl import write_cpl
from safefeedback.dataset.export.d4rl import write_d4rl
from safefeedback.dataset.export.interface import ExportedPairs, ExportResult, TextOptions
from safefeedback.dataset.export.minari import write_minari
from safefeedback.dataset.export.trl import write_trl_paired, write_trl_unpaired
from safefeedback.dataset.reading import Folder, open_dataset
from safefeedback.errors import InputError
from safefeedback.feedback.labels import one_sided_warning
from safefeedback.files import new_folder

TIES = ("keep", "drop")
REWARDS = ("none", "return")
FORMATS: dict[str, Callable[[Path, ExportedPairs], ExportResult]] = {
    "cpl": write_cpl,
    "d4rl": write_d4rl,
    "minari": write_minari,
    "trl-paired": write_trl_paired,
    "trl-unpaired": write_trl_unpaired,
}
REWARDED, COMPARED, WRITTEN_OUT = ("cpl", "d4rl", "minari"), ("cpl", "trl-paired"), ("trl-paired", "trl-unpaired")


def export(
    source: str | Path | Folder,
    kind: str,
    out: Path,
    labels: str | None = None,
    split: str = "train",
    ties: str | None = None,
    rewards: str | None = None,
    text: TextOptions | None = None,
) -> dict[str, Any]:
    """Writes a split of a dataset into a new folder.

    Args:
        source: a dataset's folder, or a Hub repository.
        kind: one of `FORMATS`.
        out: the folder.
        labels: a label set; None for the published labels.
        split: "train" or "test".
        ties: "keep" (as 0.5; trl-paired cannot) or "drop" pairs without a better segment; needed where there are any.
        rewards: of each step, for the formats that have one: "none" for zeros, or "return" for an even share of the true return
            (and for d4rl of the true cost), from the oracle: the recorded rewards of single steps are not in a dataset.
        text: how the formats for language models write a segment out; None for all digits of all steps, in Parquet.

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
    if kind in REWARDED and rewards is None:
        raise InputError(
            f"the format {kind} has a reward for each step: say --rewards none (zeros) or --rewards return (the truth)"
        )
    if kind not in REWARDED and rewards is not None:
        raise InputError(f"the format {kind} has no rewards: leave --rewards out")
    if kind not in WRITTEN_OUT and text is not None:
        raise InputError(f"the format {kind} holds numbers, not text: leave --digits, --stride and --jsonl out")
    dataset = open_dataset(source)
    data = dataset.pairs(labels, split)
    keep = np.ones(len(data), bool)
    tied = data.preference == 0.5
    if kind in COMPARED:
        keep &= ~np.isnan(data.preference)
        if tied.any() and ties is None:
            raise InputError(f"{tied.sum():,} pairs are tied: say --ties drop" + (", or --ties keep" if kind == "cpl" else ""))
        if tied.any() and ties == "keep" and kind != "cpl":
            raise InputError(f"the format {kind} has no ties: say --ties drop")
        keep &= ~tied if ties == "drop" else True
    elif ties is not None:
        raise InputError(f"the format {kind} does not compare segments: leave --ties out")
    if kind == "trl-unpaired":
        keep &= ~np.isnan(data.safe).all(axis=1)
    if not keep.any():
        raise InputError(f"{dataset.source} has no pair that could be exported: all are tied or without an answer")
    returns, costs = _truth(dataset, labels, split, rewards, len(data))
    work = ExportedPairs(split, dataset.manifest.task, data.take(keep), returns[keep], costs[keep], text or TextOptions())
    with new_folder(out) as folder:
        written = FORMATS[kind](folder, work)
        (folder / "recipe.json").write_text(json.dumps({**data.recipe, "exported": kind}, indent=2) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(_readme(kind, work, written), encoding="utf-8")
    lopsided = one_sided_warning(work.data.preference) if kind in COMPARED else None
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
    """What lies in the folder, and how it is loaded."""
    notes = "".join(f"\n> {note}.\n" for note in written.notes)
    return (
        f"# {work.task.name}, {len(work.data):,} pairs of {work.length} steps, split {work.split}, as {kind}\n\n"
        f"Written by `safefeedback export --format {kind}`. `recipe.json` says how the dataset was made, and its terms.\n\n"
        f"{written.readme.strip()}\n{notes}"
    )
