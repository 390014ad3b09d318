"""A dataset of the Farama Foundation's Minari, in its data format hdf5."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from safefeedback.dataset.export.interface import ExportedPairs, ExportResult
from safefeedback.errors import InputError

NAMESPACE = "safefeedback"
README = """
`{name}` is a Minari dataset ({episodes} episodes of {steps} steps): every segment is an episode that ends by a truncation, pair
by pair, the first segment first. Minari wants an observation after the last action, so each segment's last action is left out.
Rewards, and the costs in `infos["cost"]`, are zeros, or an even share of the segment's true return and cost; the first cost is
that of the reset, 0. Minari has no place for preferences and safety labels.

```python
import os

import minari

os.environ["MINARI_DATASETS_PATH"] = "."  # this folder, as it lies; or copy what is in it to where Minari keeps its datasets
dataset = minari.load_dataset("{name}")
```
"""


def write_minari(folder: Path, work: ExportedPairs) -> ExportResult:
    """Writes every segment as an episode; Minari needs an observation after the last action, so the last action is left out."""
    data = work.data
    name, steps = f"{NAMESPACE}/{work.task.name.lower()}/{work.split}-v0", work.length - 1
    if steps < 1:
        raise InputError("the format minari needs segments of two steps or more")
    place = folder / name / "data"
    place.mkdir(parents=True)
    cut = np.zeros(steps, bool)
    cut[-1] = True
    with h5py.File(place / "main_data.hdf5", "w", track_order=True) as file:
        for index in range(2 * len(data)):
            row, side = divmod(index, 2)
            group = file.create_group(f"episode_{index}")
            group.attrs["id"], group.attrs["total_steps"] = index, steps
            group["observations"] = data.observations[row, side]
            group["actions"] = data.actions[row, side, :-1]
            group["rewards"] = np.full(steps, work.returns[row, side] / steps)
            group["infos/cost"] = np.append(0, np.full(steps, work.costs[row, side] / steps))
            group["terminations"], group["truncations"] = np.zeros(steps, bool), cut
    metadata = {
        "dataset_id": name,
        "total_episodes": 2 * len(data),
        "total_steps": 2 * len(data) * steps,
        "data_format": "hdf5",
        "observation_space": _box(data.observations.shape[3], float("inf")),
        "action_space": _box(data.actions.shape[3], 1.0),
        "minari_version": "0.5.0",
    }
    (place / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    described = {"description": "Segments of safe preference feedback, each an episode, with costs in infos"}
    (folder / NAMESPACE / "namespace_metadata.json").write_text(json.dumps(described) + "\n", encoding="utf-8")
    (folder / NAMESPACE / work.task.name.lower() / "namespace_metadata.json").write_text("{}\n", encoding="utf-8")
    return ExportResult(2 * len(data), README.format(episodes=2 * len(data), steps=steps, name=name))


def _box(dim: int, bound: float) -> str:
    """A gymnasium Box as Minari writes it."""
    bounds = {"low": [-bound] * dim, "high": [bound] * dim}
    return json.dumps({"type": "Box", "dtype": "float32", "shape": [dim], **bounds})
