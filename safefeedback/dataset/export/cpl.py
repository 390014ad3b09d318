"""The format of Contrastive Preference Learning's FeedbackBuffer (jhejna/cpl)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from safefeedback.dataset.export.interface import ExportedPairs, ExportResult
from safefeedback.dataset.parquet import SIDES

README = """
`{split}.npz` holds N = {pairs} pairs as 2 N segments: pair k is the segments k and N + k.

| key | shape | |
|---|---|---|
| `obs` | [2 N, L, O] | float32 |
| `action` | [2 N, L, A] | float32 |
| `reward` | [2 N, L] | float32; zeros, or an even share of the segment's true return |
| `label` | [2 N] | float32; 1 for the better segment of a pair, 0 for the other, 0.5 for both of a tie |

In a configuration of CPL (class `FeedbackBuffer`), `mode`, `capacity` and `segment_length` must be these:

```yaml
dataset: FeedbackBuffer
dataset_kwargs:
  path: {split}.npz
  mode: comparison        # pairs as they were labelled
  label_key: label
  capacity: null          # or {pairs}, for all pairs
  segment_length: null
```

- `mode: rank` and `mode: score` are NOT served: they compare labels of any two segments, and the labels here compare the
  two of a pair only. In rank mode half of the comparisons would be ties.
- A `capacity` of n < {pairs} keeps the first 2 n rows and joins row k with row n + k: segments that were never compared.
  For fewer pairs, build fewer.
- The buffer takes the larger of two labels for the better one, so of a soft label only the side is left.
"""


def write_cpl(folder: Path, work: ExportedPairs) -> ExportResult:
    """All first segments, then all second ones; the label grows with how much a segment is preferred."""
    data, length = work.data, work.length
    arrays = {
        "obs": _sides_in_turn(data.observations),
        "action": _sides_in_turn(data.actions),
        "reward": np.repeat(_sides_in_turn(work.returns / length)[:, None], length, axis=1).astype(np.float32),
        "label": np.concatenate([1 - data.preference, data.preference]).astype(np.float32),
    }
    np.savez_compressed(folder / f"{work.split}.npz", **arrays)
    note = f"in CPL, use mode: comparison with capacity: null (or {len(data)}); its rank mode is not served"
    return ExportResult(len(arrays["label"]), README.format(split=work.split, pairs=len(data)), (note,))


def _sides_in_turn(values: np.ndarray) -> np.ndarray:
    """[N, 2, ...] -> [2 N, ...], all of side 0 first."""
    return np.concatenate([values[:, side] for side in SIDES])
