"""Processor time of a build, of verify and of relabel beside the least that must be done, and how a build grows.

    python tests/benchmarks/build.py                        ratios to the floors, medians of 5
    python tests/benchmarks/build.py --scale 10000 100000 1000000 --steps 2000000

The recordings are synthetic and of DroneCircle's size (577,000 steps, 18 and 4 dims, gzip), of other sizes with --steps. A
floor is what somebody writes who makes the same files with the same libraries, in the plainest way; the scripts in floors/ say
what each leaves out. All run as whole processes, in turn, on one thread, without pandas. Labels of 10,000 pairs are made in
less time than any command takes to start (commands.py measures that), so relabel gets 100,000 pairs.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
from measuring import in_turn, ratio, run, told

PAIRS, MANY = 10_000, 100_000
LIMITS = "10,15,20,25,30,40"
TABLES = {"pairs": "pairs", "oracle": "oracle", "scalars": "oracle/scalars"}
FLOORS = Path(__file__).with_name("floors")


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


def recipe(source: Path, out: Path, pairs: int) -> list[str]:
    words = {"task": "DroneCircle", "source": source, "pairs": pairs, "noise": 0.1, "out": out}
    return ["-m", "safefeedback", "build", *(str(part) for name, value in words.items() for part in (f"--{name}", value))]


def build(source: Path, out: Path, pairs: int, *more: str) -> tuple[float, float]:
    """Processor seconds and peak memory (MB)."""
    shutil.rmtree(out, ignore_errors=True)
    return run([*recipe(source, out, pairs), *more])


def plan(folder: Path, path: Path) -> None:
    """What the floor is given: which rows to gather, and the light columns of every table."""
    import pyarrow.parquet as pq

    given: dict[str, np.ndarray] = {}
    for name, place in TABLES.items():
        (file,) = folder.glob(f"{place}/*.parquet")
        table = pq.ParquetFile(file).read()
        light = [column for column in table.column_names if not column.startswith(("observations", "actions"))]
        given |= {f"{name}/{column}": table[column].to_numpy() for column in light}
        given[f"{name}/columns"] = np.array(table.column_names)
        given["metadata"] = np.array(table.schema.metadata[b"safefeedback"].decode())
    places = [given[f"pairs/episode_{side}"].astype(np.int64) * 300 + given[f"pairs/start_{side}"] for side in (0, 1)]
    np.savez(path, rows=np.stack(places, axis=1), **given)


def ratios(work: Path, repeats: int) -> list[str]:
    """A line for each command."""
    source, out, least_out, told_floor = (work / name for name in ("drone.hdf5", "out", "floor", "plan.npz"))
    least_out.mkdir()
    recordings(source)
    build(source, out, PAIRS)
    plan(out, told_floor)
    lines = []

    def compared(what: str, aim: float, ours: list[str], *floor: object, pairs: int = PAIRS) -> None:
        least = list(map(str, floor))
        run(ours), run(least)  # compiles modules
        one, other = in_turn(repeats, lambda: run(ours)[0], lambda: run(least)[0])
        how = f"{sorted(one)[repeats // 2]:.2f} s of processor time, floor {sorted(other)[repeats // 2]:.2f}"
        lines.append(told(f"{what}, {pairs:,} pairs, against its floor", ratio(one, other), aim, how=how))

    ours = [*recipe(source, out, PAIRS), "--overwrite"]
    compared("build", 1.2, ours, FLOORS / "build.py", source, told_floor, least_out)
    for name, place in TABLES.items():
        (file,) = out.glob(f"{place}/*.parquet")
        assert (least_out / f"{name}.parquet").read_bytes() == file.read_bytes(), "the floor does not write the same bytes"
    check = ["-m", "safefeedback", "verify", str(out), "--source", str(source)]
    compared("verify", 2.0, check, FLOORS / "verify.py", source, told_floor, out)
    build(source, out, MANY, "--length", "4")
    again = ["-m", "safefeedback", "relabel", str(out), "--cost-limit", LIMITS, "--overwrite"]
    compared("relabel to six limits", 2.0, again, FLOORS / "relabel.py", out, least_out, *LIMITS.split(","), pairs=MANY)
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
