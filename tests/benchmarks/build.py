"""Processor time of a build, of verify and of relabel beside the least that must be done, and how a build grows.

    python tests/benchmarks/build.py                        ratios to the floors, medians of 5
    python tests/benchmarks/build.py --scale 10000 100000 1000000 --steps 2000000

The recordings are synthetic and of DroneCircle's size (577,000 steps, 18 and 4 dims, gzip), of other sizes with --steps. The
floors are processes that do only this:

    build      reads the needed columns, gathers the same windows with NumPy, and writes the same Parquet bytes with pyarrow
    verify     the sha256 of the source and of every file; reads both, gathers the windows, and compares every column
    relabel    reads returns and costs, compares them with each limit, and writes the two tables of each set with pyarrow

None of them imports pandas, which `pyarrow.array` does. All run as whole processes, in turn, on one thread.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
from measuring import in_turn, ratio, run, told

PAIRS = 10_000
LIMITS = "10,15,20,25,30,40"
BUILD = """
import json, sys
import h5py, numpy as np, pyarrow as pa, pyarrow.parquet as pq
pa.set_cpu_count(1)
source, plan, out, length, group = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), 1000
with h5py.File(source) as file:
    arrays = {key: file[key][:] for key in ("observations", "actions", "rewards", "costs", "terminals", "timeouts")}
plan = dict(np.load(plan))
LABELS = ["preference", "is_safe_0", "is_safe_1"]
rows = plan.pop("rows")
metadata = {"safefeedback": plan.pop("metadata").item()}
views = {}
for key in ("observations", "actions"):
    dim = arrays[key].shape[1]
    views[key] = np.lib.stride_tricks.sliding_window_view(arrays[key].reshape(-1), length * dim)[::dim]
writer = None
for start in range(0, len(rows), group):
    stop = min(start + group, len(rows))
    columns = {}
    for name, (key, side) in {"observations_0": ("observations", 0), "observations_1": ("observations", 1),
                              "actions_0": ("actions", 0), "actions_1": ("actions", 1)}.items():
        values = views[key][rows[start:stop, side]]
        flat = pa.Array.from_buffers(pa.float32(), values.size, [None, pa.py_buffer(values)])
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    light = {}
    for name, values in plan.items():
        values = np.ascontiguousarray(values[start:stop])
        bits = np.packbits(values, bitorder="little") if values.dtype == bool else values
        light[name] = pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(bits)])
    order = [name for name in plan if name not in LABELS] + list(columns) + LABELS
    table = pa.table({name: columns.get(name, light.get(name)) for name in order}).replace_schema_metadata(metadata)
    if writer is None:
        names = [f"{name}.list.element" for name in columns]
        scalars = [name for name in order if name not in columns]
        writer = pq.ParquetWriter(out, table.schema, compression="zstd", use_dictionary=False, use_byte_stream_split=names,
                                  write_statistics=scalars, write_page_index=True, data_page_size=8 << 20,
                                  use_content_defined_chunking={"min_chunk_size": 1 << 20, "max_chunk_size": 4 << 20})
    writer.write_table(table, row_group_size=group)
writer.close()
"""


VERIFY = """
import hashlib, sys
from pathlib import Path
import h5py, numpy as np, pyarrow as pa, pyarrow.parquet as pq
pa.set_cpu_count(1)
source, folder, plan, length = sys.argv[1], Path(sys.argv[2]), dict(np.load(sys.argv[3])), int(sys.argv[4])
for path in (Path(source), *folder.rglob("*.parquet")):
    with open(path, "rb") as file:
        hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
with h5py.File(source) as file:
    arrays = {key: file[key][:] for key in ("observations", "actions", "rewards", "costs", "terminals", "timeouts")}
rows, at = plan["rows"], 0
views = {key: np.lib.stride_tricks.sliding_window_view(arrays[key].reshape(-1), length * arrays[key].shape[1])
         [:: arrays[key].shape[1]] for key in ("observations", "actions")}
for path in sorted((folder / "pairs").iterdir()):
    for batch in pq.ParquetFile(path).iter_batches(1000):
        for name in batch.schema.names:
            key, _, side = name.rpartition("_")
            if key in views:
                stored = np.frombuffer(batch[name].flatten().buffers()[1], np.float32)[: len(batch) * views[key].shape[1]]
                assert np.array_equal(stored.reshape(len(batch), -1), views[key][rows[at : at + len(batch), int(side)]])
        at += len(batch)
for path in (folder / "oracle").rglob("*.parquet"):
    for batch in pq.ParquetFile(path).iter_batches(1000):
        pass
"""
RELABEL = """
import sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
pa.set_cpu_count(1)
folder, out, limits = Path(sys.argv[1]), Path(sys.argv[2]), [float(limit) for limit in sys.argv[3].split(",")]
place = pq.ParquetFile(next((folder / "pairs").iterdir())).read(["pair_id", "episode_0", "episode_1", "start_0", "start_1"])
truth = pq.ParquetFile(next((folder / "oracle").glob("*.parquet"))).read()
costs = [np.frombuffer(truth[f"cost_{side}"].combine_chunks().buffers()[1]) for side in (0, 1)]
for limit in limits:
    bits = [np.packbits(cost <= limit / 5, bitorder="little") for cost in costs]
    safe = [pa.Array.from_buffers(pa.bool_(), len(truth), [None, pa.py_buffer(values)]) for values in bits]
    columns = [truth["pair_id"], truth["clean_preference"], *safe]
    labels = pa.Table.from_arrays(columns, names=["pair_id", "preference", "is_safe_0", "is_safe_1"])
    for side in (0, 1):
        at = truth.schema.get_field_index(f"clean_is_safe_{side}")
        truth = truth.set_column(at, f"clean_is_safe_{side}", safe[side])
    for name, table in {"labels": labels, "oracle": truth}.items():
        pq.write_table(table, out / f"{name}-{limit}.parquet", row_group_size=1000, compression="zstd", use_dictionary=False)
"""


def recordings(path: Path, steps: int = 576_900) -> None:
    """A file of DroneCircle's size; a random walk, so that it compresses about as recordings do."""
    rng, length = np.random.default_rng(0), 300
    with h5py.File(path, "w") as file:
        walk = np.cumsum(rng.normal(scale=0.05, size=(steps, 18)), axis=0).astype(np.float32)
        ends = np.zeros(steps, bool)
        ends[length - 1 :: length] = True
        for key, values in {
            "observations": walk,
            "next_observations": np.roll(walk, -1, axis=0),
            "actions": rng.uniform(-1, 1, (steps, 4)).astype(np.float32),
            "rewards": rng.normal(size=steps).astype(np.float32),
            "costs": (rng.uniform(size=steps) < 0.1).astype(np.float32),
            "terminals": np.zeros(steps, bool),
            "timeouts": ends,
        }.items():
            file.create_dataset(key, data=values, compression="gzip")


def build(source: Path, out: Path, pairs: int) -> tuple[float, float]:
    """Processor seconds and peak memory (MB)."""
    shutil.rmtree(out, ignore_errors=True)
    recipe = ["--task", "DroneCircle", "--source", str(source), "--pairs", str(pairs), "--noise", "0.1", "--out", str(out)]
    return run(["-m", "safefeedback", "build", *recipe])


def plan(folder: Path, path: Path) -> None:
    """What the floor is given: which rows to gather, and the light columns."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "pairs")
    light = {name: table[name].to_numpy() for name in table.column_names if not name.startswith(("observations", "actions"))}
    rows = np.stack([light[f"episode_{side}"].astype(np.int64) * 300 + light[f"start_{side}"] for side in (0, 1)], axis=1)
    metadata = pq.read_schema(next((folder / "pairs").iterdir())).metadata[b"safefeedback"].decode()
    np.savez(path, rows=rows, metadata=np.array(metadata), **light)


def ratios(work: Path, repeats: int) -> list[str]:
    """A line for each command."""
    source, out, floor_out, told_floor = work / "drone.hdf5", work / "out", work / "floor.parquet", str(work / "plan.npz")
    recordings(source)
    build(source, out, PAIRS)
    plan(out, work / "plan.npz")
    floor = ["-c", BUILD, str(source), told_floor, str(floor_out), "64"]
    run(floor)
    same = floor_out.read_bytes() == next((out / "pairs").iterdir()).read_bytes()
    assert same, "the floor does not write the same bytes"
    lines = []

    def compared(what: str, aim: float, ours: list[str], least: list[str]) -> None:
        one, other = in_turn(repeats, lambda: run(ours)[0], lambda: run(least)[0])
        how = f"{sorted(one)[repeats // 2]:.2f} s of processor time, floor {sorted(other)[repeats // 2]:.2f}"
        lines.append(told(f"{what}, {PAIRS:,} pairs, against its floor", ratio(one, other), aim, how=how))

    recipe = ["--task", "DroneCircle", "--source", str(source), "--pairs", str(PAIRS), "--noise", "0.1", "--out", str(out)]
    compared("build", 1.2, ["-m", "safefeedback", "build", *recipe, "--overwrite"], floor)
    check = ["-m", "safefeedback", "verify", str(out), "--source", str(source)]
    compared("verify", 2.0, check, ["-c", VERIFY, str(source), str(out), told_floor, "64"])
    again = ["-m", "safefeedback", "relabel", str(out), "--cost-limit", LIMITS, "--overwrite"]
    compared("relabel to six limits", 2.0, again, ["-c", RELABEL, str(out), str(work), LIMITS])
    return lines


def scale(work: Path, counts: list[int], steps: int) -> None:
    recordings(work / "large.hdf5", steps)
    first = None
    for count in counts:
        seconds, peak = build(work / "large.hdf5", work / "out", count)
        first = first or seconds / count
        speed = f"{1e6 * seconds / count:6.0f} us a pair, {seconds / count / first:.2f} of the first"
        print(
            f"{count:>9,} pairs of {steps:,} steps: {seconds:7.1f} s of processor time, {speed}, peak {peak:,.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, nargs="+", help="numbers of pairs to compare instead")
    parser.add_argument("--steps", type=int, default=576_900, help="of the recordings, with --scale")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if options.scale:
            scale(Path(name), options.scale, options.steps)
        else:
            print(*ratios(Path(name), options.repeats), sep="\n")
