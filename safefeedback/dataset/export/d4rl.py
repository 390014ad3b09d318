"""The schema of D4RL and DSRL: transitions of all episodes one after another."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from safefeedback.dataset.export.interface import ExportedPairs, ExportResult
from safefeedback.errors import InputError

README = """
`{split}.hdf5` has DSRL's seven keys: `observations`, `next_observations`, `actions`, `rewards`, `costs`, `terminals`,
`timeouts`. Every segment is an episode that ends by a timeout, pair by pair, the first segment first: {episodes} episodes of
{steps} steps. It is one step shorter than the segment, whose last observation is what the last step here led to. Rewards and
costs are zeros, or an even share of the segment's true return and cost. DSRL's schema has no place for preferences and
safety labels.
{loading}
OSRL takes the dict `data` as it is:

```python
from osrl.common import TransitionDataset
dataset = TransitionDataset(data)
```
"""
LOADING = """
```python
import dsrl
import gymnasium

data = gymnasium.make("{env_id}").unwrapped.get_dataset("{split}.hdf5")
```
"""
PLAIN = """
```python
import h5py

with h5py.File("{split}.hdf5") as file:
    data = {{key: file[key][:] for key in file}}
```
"""


def write_d4rl(folder: Path, work: ExportedPairs) -> ExportResult:
    """Writes every segment as an episode; its last observation is the next one of its last step, which ends by a timeout."""
    data, steps = work.data, work.length - 1
    if steps < 1:
        raise InputError("the format d4rl needs segments of two steps or more: a step has a next observation")
    ends = np.zeros((len(data), 2, steps), bool)
    ends[:, :, -1] = True
    observations = data.observations
    arrays = {
        "observations": observations[:, :, :-1].reshape(-1, observations.shape[3]),
        "next_observations": observations[:, :, 1:].reshape(-1, observations.shape[3]),
        "actions": data.actions[:, :, :-1].reshape(-1, data.actions.shape[3]),
        "rewards": np.repeat(work.returns.reshape(-1) / steps, steps).astype(np.float32),
        "costs": np.repeat(work.costs.reshape(-1) / steps, steps).astype(np.float32),
        "terminals": np.zeros(ends.size, bool),
        "timeouts": ends.reshape(-1),
    }
    with h5py.File(folder / f"{work.split}.hdf5", "w", track_order=True) as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip")
    loading = (LOADING if (work.task.env_id or "").startswith("Offline") else PLAIN).format(
        env_id=work.task.env_id, split=work.split
    )
    readme = README.format(split=work.split, episodes=2 * len(data), steps=steps, loading=loading)
    return ExportResult(ends.size, readme)
