"""How long a build takes beside the least that must be done, and how it grows with the number of pairs.

    python tests/benchmarks/build.py                        ratio to the floor, median of 5
    python tests/benchmarks/build.py --scale 10000 100000 1000000

The recordings are synthetic and of DroneCircle's size (577,000 steps, 18 and 4 dims, gzip). The floor is a process that only
reads the needed columns, gathers the same windows with NumPy and writes the same Parquet bytes with pyarrow. Both run as whole
processes, in turn, with threads pinned to one. Believe the ratios: absolute times are the machine's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
FLOOR = """
import json, sys
import h5py, numpy as np, pyarrow as pa, pyarrow.parquet as pq
pa.set_cpu_count(1)
source, plan, out, length, group = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), 1000
with h5py.File(source) as file:
    arrays = {key: file[key][:] for key in ("observations", "actions", "rewards", "costs", "terminals", "timeouts")}
plan = dict(np.load(plan))
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
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
    light = {name: pa.array(values[start:stop]) for name, values in plan.items()}
    order = ["pair_id", "episode_0", "episode_1", "start_0", "start_1", *columns, "preference", "is_safe_0", "is_safe_1"]
    table = pa.table({name: columns.get(name, light.get(name)) for name in order}).replace_schema_metadata(metadata)
    if writer is None:
        names = [f"{name}.list.element" for name in columns]
        scalars = [name for name in order if name not in columns]
        writer = pq.ParquetWriter(out, table.schema, compression="zstd", use_dictionary=False, use_byte_stream_split=names,
                                  write_statistics=scalars)
    writer.write_table(table, row_group_size=group)
writer.close()
"""


def recordings(path: Path) -> None:
    """A file of DroneCircle's size; a random walk, so that it compresses about as recordings do."""
    rng, episodes, length = np.random.default_rng(0), 1923, 300
    steps = episodes * length
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


def run(words: list[str]) -> tuple[float, float]:
    """Wall seconds and peak memory (MB) of a process."""
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env={**os.environ, **THREADS})
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, words
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def build(source: Path, out: Path, pairs: int) -> tuple[float, float]:
    shutil.rmtree(out, ignore_errors=True)
    words = [
        "build",
        "--task",
        "DroneCircle",
        "--source",
        str(source),
        "--pairs",
        str(pairs),
        "--noise",
        "0.1",
        "--out",
        str(out),
    ]
    return run([sys.executable, "-m", "safefeedback", *words])


def plan(folder: Path, path: Path) -> None:
    """What the floor is told: which rows to gather, and the light columns."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "pairs")
    light = {name: table[name].to_numpy() for name in table.column_names if not name.startswith(("observations", "actions"))}
    rows = np.stack([light[f"episode_{side}"].astype(np.int64) * 300 + light[f"start_{side}"] for side in (0, 1)], axis=1)
    metadata = pq.read_schema(next((folder / "pairs").iterdir())).metadata[b"safefeedback"].decode()
    np.savez(path, rows=rows, metadata=np.array(metadata), **light)


def against_the_floor(work: Path, repeats: int) -> None:
    source, out, floor_out = work / "drone.hdf5", work / "out", work / "floor.parquet"
    build(source, out, 10_000)
    plan(out, work / "plan.npz")
    floor = [sys.executable, "-c", FLOOR, str(source), str(work / "plan.npz"), str(floor_out), "64"]
    run(floor)
    same = floor_out.read_bytes() == next((out / "pairs").iterdir()).read_bytes()
    ours, least = [], []
    for _ in range(repeats):
        ours.append(build(source, out, 10_000)[0])
        least.append(run(floor)[0])
    ratios = [one / other for one, other in zip(ours, least, strict=True)]
    print(f"the floor writes the same bytes: {same}")
    print(f"build {statistics.median(ours):.2f} s, floor {statistics.median(least):.2f} s (medians of {repeats})")
    print(f"ratio {statistics.median(ratios):.2f} (median; {min(ratios):.2f} to {max(ratios):.2f}); at most 1.5 is wanted")


def scale(work: Path, counts: list[int]) -> None:
    first = None
    for count in counts:
        seconds, peak = build(work / "drone.hdf5", work / "out", count)
        each = seconds / count
        first = first or each
        speed = f"{1e6 * each:6.0f} us a pair, {each / first:.2f} of the first"
        print(f"{count:>9,} pairs: {seconds:7.1f} s, {speed}, peak {peak:,.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, nargs="+", help="numbers of pairs to compare instead")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        recordings(Path(name) / "drone.hdf5")
        scale(Path(name), options.scale) if options.scale else against_the_floor(Path(name), options.repeats)
