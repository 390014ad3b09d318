"""A dataset in the formats of other projects. What a format cannot say is chosen by the user, never silently.

cpl            train.npz of Contrastive Preference Learning's FeedbackBuffer (jhejna/cpl)
d4rl           train.hdf5 in D4RL's and DSRL's schema: every segment an episode, pair by pair, the first segment first
minari         a Minari dataset (data format hdf5), likewise; its episodes end one step earlier, with their last observation
trl-paired     train.jsonl with prompt, chosen, rejected: TRL's preference format, by the preferences
trl-unpaired   train.jsonl with prompt, completion, label: TRL's unpaired format (KTO), by the safety labels
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from safefeedback.dataset.parquet import SIDES
from safefeedback.dataset.reading import Folder, open_dataset
from safefeedback.dataset.rows import Dataset
from safefeedback.errors import InputError
from safefeedback.files import new_folder

TIES = ("keep", "drop")
REWARDS = ("none", "return")
Write = Callable[[Path, str, Dataset, np.ndarray, np.ndarray], int]


def export(
    source: str | Path | Folder,
    kind: str,
    out: Path,
    labels: str | None = None,
    split: str = "train",
    ties: str | None = None,
    rewards: str | None = None,
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

    Returns:
        The format, the folder, how many rows were written, and how many pairs were left out because of ties or no answer.

    Raises:
        InputError: if a choice is missing or does not suit the format.
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
    folder = open_dataset(source)
    data = folder.pairs(labels, split)
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
        raise InputError(f"{folder.source} has no pair that could be exported: all are tied or without an answer")
    returns, costs = _truth(folder, labels, split, rewards, data)
    with new_folder(out) as partial:
        rows = FORMATS[kind](partial, split, data.take(keep), returns[keep], costs[keep])
        (partial / "recipe.json").write_text(json.dumps({**data.recipe, "exported": kind}, indent=2) + "\n", encoding="utf-8")
    return {"format": kind, "folder": str(out), "rows": rows, "pairs": int(keep.sum()), "left_out": int((~keep).sum())}


def write_cpl(folder: Path, split: str, data: Dataset, returns: np.ndarray, costs: np.ndarray) -> int:
    """All first segments, then all second ones; the label grows with how much a segment is preferred."""
    arrays = {
        "obs": _sides_in_turn(data.observations),
        "action": _sides_in_turn(data.actions),
        "reward": np.repeat(_sides_in_turn(returns)[:, None], data.actions.shape[2], axis=1).astype(np.float32),
        "label": np.concatenate([1 - data.preference, data.preference]).astype(np.float32),
    }
    np.savez_compressed(folder / f"{split}.npz", **arrays)
    return len(arrays["label"])


def write_d4rl(folder: Path, split: str, data: Dataset, returns: np.ndarray, costs: np.ndarray) -> int:
    """Every segment an episode that ends by a timeout."""
    length = data.actions.shape[2]
    ends = np.zeros((len(data), 2, length), bool)
    ends[:, :, -1] = True
    arrays = {
        "observations": data.observations.reshape(-1, data.observations.shape[3]),
        "actions": data.actions.reshape(-1, data.actions.shape[3]),
        "rewards": np.repeat(returns.reshape(-1), length).astype(np.float32),
        "costs": np.repeat(costs.reshape(-1), length).astype(np.float32),
        "terminals": np.zeros(ends.size, bool),
        "timeouts": ends.reshape(-1),
    }
    with h5py.File(folder / f"{split}.hdf5", "w", track_order=True) as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip")
    return ends.size


def write_minari(folder: Path, split: str, data: Dataset, returns: np.ndarray, costs: np.ndarray) -> int:
    """Every segment an episode; Minari wants an observation after the last action, so the last action is left out."""
    place, steps = folder / "data", data.actions.shape[2] - 1
    if steps < 1:
        raise InputError("the format minari needs segments of two steps or more")
    place.mkdir()
    cut = np.zeros(steps, bool)
    cut[-1] = True
    with h5py.File(place / "main_data.hdf5", "w", track_order=True) as file:
        for index in range(2 * len(data)):
            row, side = divmod(index, 2)
            group = file.create_group(f"episode_{index}")
            group.attrs["id"], group.attrs["total_steps"] = index, steps
            group["observations"] = data.observations[row, side]
            group["actions"] = data.actions[row, side, :-1]
            group["rewards"] = np.full(steps, returns[row, side])
            group["terminations"], group["truncations"] = np.zeros(steps, bool), cut
    metadata = {
        "dataset_id": f"{data.recipe['recipe']['task'].lower()}/{split}-v0",
        "total_episodes": 2 * len(data),
        "total_steps": 2 * len(data) * steps,
        "data_format": "hdf5",
        "observation_space": _box(data.observations.shape[3], float("inf")),
        "action_space": _box(data.actions.shape[3], 1.0),
        "minari_version": "0.5.0",
    }
    (place / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    return 2 * len(data)


def write_trl_paired(folder: Path, split: str, data: Dataset, returns: np.ndarray, costs: np.ndarray) -> int:
    """A line a pair: the better segment is chosen, the other one rejected."""
    better = (data.preference > 0.5).astype(int)
    rows = (
        {"prompt": prompt, "chosen": _text(data, row, better[row]), "rejected": _text(data, row, 1 - better[row])}
        for prompt in [_prompt(data)]
        for row in range(len(data))
    )
    return _write_lines(folder / f"{split}.jsonl", rows)


def write_trl_unpaired(folder: Path, split: str, data: Dataset, returns: np.ndarray, costs: np.ndarray) -> int:
    """A line a segment whose safety is known: true is safe."""
    rows = (
        {"prompt": _prompt(data), "completion": _text(data, row, side), "label": bool(data.safe[row, side])}
        for row in range(len(data))
        for side in SIDES
        if not np.isnan(data.safe[row, side])
    )
    return _write_lines(folder / f"{split}.jsonl", rows)


FORMATS: dict[str, Write] = {
    "cpl": write_cpl,
    "d4rl": write_d4rl,
    "minari": write_minari,
    "trl-paired": write_trl_paired,
    "trl-unpaired": write_trl_unpaired,
}
REWARDED, COMPARED = ("cpl", "d4rl", "minari"), ("cpl", "trl-paired")


def _truth(folder: Folder, labels: str | None, split: str, rewards: str | None, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The reward and the cost of every step of each segment, float64 [N, 2]."""
    if rewards != "return":
        return np.zeros((len(data), 2)), np.zeros((len(data), 2))
    truth, length = folder.oracle(labels, split), data.actions.shape[2]
    return truth.returns / length, truth.costs / length


def _sides_in_turn(values: np.ndarray) -> np.ndarray:
    """[N, 2, ...] -> [2 N, ...], all of side 0 first."""
    return np.concatenate([values[:, side] for side in SIDES])


def _box(dim: int, bound: float) -> str:
    """A gymnasium Box as Minari writes it."""
    bounds = {"low": [-bound] * dim, "high": [bound] * dim}
    return json.dumps({"type": "Box", "dtype": "float32", "shape": [dim], **bounds})


def _prompt(data: Dataset) -> str:
    return f"{data.recipe['recipe']['task']}, {data.recipe['shape']['length']} steps"


def _text(data: Dataset, row: int, side: int) -> str:
    """A segment as JSON; its numbers read back are the same to the bit."""
    segment = {"observations": data.observations[row, side].tolist(), "actions": data.actions[row, side].tolist()}
    return json.dumps(segment, separators=(",", ":"))


def _write_lines(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    count = 0
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
            count += 1
    return count
