"""Kills collections again and again, and compares their final contents; prints the result of each.

    python tests/benchmarks/kill_training.py [--kills 20] [--seed 0]

Each collection is started as a command of its own and killed (SIGKILL) after a time drawn at random, until the kills are used
up; then it runs to its end. Its content must be that of a collection that nobody disturbed. One collection is learnt (BallRun),
one is played by a script (AntCircle); kill_collect.py does so with MetaDrive's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

COLLECTIONS = {
    "BallRun": ["--episodes", "60", "--steps", "4500", "--cost-limits", "none,40,10", "--seeds", "2"],
    "AntCircle": ["--episodes", "60"],
}


def content(path: Path) -> dict[str, str]:
    """Datasets and attributes of a file, as comparable values."""
    with h5py.File(path, "r") as file:
        arrays = {name: file[name][:] for name in file} | {f"@{name}": np.asarray(value) for name, value in file.attrs.items()}
        return {name: str(values.tolist()) for name, values in arrays.items()}


def started(task: str, out: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "safefeedback", "collect", "--task", task, "--out", str(out), "--json", *COLLECTIONS[task]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    for task in COLLECTIONS:
        with tempfile.TemporaryDirectory() as name:
            whole, killed = Path(name) / "whole.hdf5", Path(name) / "killed.hdf5"
            assert started(task, whole).wait() == 0
            parts = len(list(Path(f"{whole}.parts").iterdir()))
            kills = 0
            while kills < options.kills // 2:
                process = started(task, killed)
                try:
                    process.wait(timeout=rng.uniform(1, 12))
                    break  # it ended before it could be killed
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    kills += 1
            if not killed.exists():
                assert started(task, killed).wait() == 0
            same = content(killed) == content(whole)
            print(f"{task}: {kills} kills, {parts} parts, content {'equal' if same else 'DIFFERENT'}", flush=True)
            assert same


if __name__ == "__main__":
    main()
