"""Compares the segments of a dataset with its source, and reads the rest of it.

    python verify.py SOURCE PLAN FOLDER        PLAN as benchmarks/build.py writes it

It takes the hashes of the source and of every file, gathers every window and compares it. It makes no draw, no label and no
statistic again, and takes no hash of a column.
"""

import sys
from pathlib import Path

from plain import sha256  # isort: skip

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from build import windows


def main(source: Path, plan: Path, folder: Path) -> None:
    pa.set_cpu_count(1)
    for path in (source, *folder.rglob("*.parquet")):
        sha256(path)
    with h5py.File(source) as file:
        arrays = {key: file[key][:] for key in ("observations", "actions", "rewards", "costs", "terminals", "timeouts")}
    rows = np.load(plan)["rows"]
    for path in folder.rglob("*.parquet"):
        at = 0
        for batch in pq.ParquetFile(path).iter_batches(1000):
            for name in batch.schema.names:
                key, _, side = name.rpartition("_")
                if key in ("observations", "actions"):
                    stored = batch[name].values.to_numpy()
                    assert np.array_equal(stored, windows(arrays[key], rows[at : at + len(batch), int(side)]).reshape(-1))
            at += len(batch)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
