"""Writes the tables of a dataset with the same libraries, told which windows to take and which labels to give.

    python build.py SOURCE PLAN OUT        PLAN as benchmarks/build.py writes it

They are the same to the byte, and so are the hashes that recipe.json holds, of the source, of every column and of every file.
It draws and checks nothing, and makes no card.
"""

import hashlib
import json
import sys
from pathlib import Path

from plain import sha256  # isort: skip

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LENGTH = 64


def windows(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    every = np.lib.stride_tricks.sliding_window_view(values, LENGTH, axis=0)  # [T, D, L]
    return every[starts].swapaxes(1, 2).reshape(len(starts), -1)


def main(source: Path, plan_file: Path, out: Path) -> None:
    pa.set_cpu_count(1)
    hashes = {"source": sha256(source)}
    with h5py.File(source) as file:
        arrays = {key: file[key][:] for key in ("observations", "actions", "rewards", "costs", "terminals", "timeouts")}
    plan = dict(np.load(plan_file))
    for name in ("pairs", "oracle", "scalars"):
        columns, lists = {}, []
        for column in plan[f"{name}/columns"]:
            key, _, side = column.rpartition("_")
            if name == "pairs" and key in arrays:
                values = windows(arrays[key], plan["rows"][:, int(side)])
                columns[column] = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
                lists.append(column)
            else:
                values = plan[f"{name}/{column}"]
                columns[column] = pa.array(values)
            if name != "scalars":
                hashes[f"{name}/{column}"] = hashlib.sha256(values.data).hexdigest()
        pq.write_table(
            pa.table(columns).replace_schema_metadata({"safefeedback": str(plan["metadata"])}),
            out / f"{name}.parquet",
            row_group_size=2000 if name == "scalars" else 1000,
            compression="zstd",
            use_dictionary=False,
            use_byte_stream_split=[f"{column}.list.element" for column in lists],
            write_statistics=[column for column in columns if column not in lists],
            write_page_index=True,
            data_page_size=8 << 20,
            use_content_defined_chunking={"min_chunk_size": 1 << 20, "max_chunk_size": 4 << 20},
        )
        hashes[f"{name}.parquet"] = sha256(out / f"{name}.parquet")
    (out / "hashes.json").write_text(json.dumps(hashes))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
