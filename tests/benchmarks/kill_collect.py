"""Kills a collection of MetaDrive's recordings at random moments, goes on, and compares with one that was left alone.

    python tests/benchmarks/kill_collect.py [--kills 20] [--episodes 40] [--steps 12]

Each process is the command itself; it is killed (SIGKILL) between its start and the time that it would need to the end. Kills
are counted whatever they hit: the imports, an episode, the writing of a part or of the file.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from safefeedback.tasks import find_task

TASK = """
name = "{name}"
domain = "{domain}"
env_id = "{env_id}"
file = "{file}"
observation_dim = 259
action_dim = 2
horizon = {horizon}
cost_limits = [10, 20, 40]
"""


def content(path: Path) -> dict[str, bytes]:
    """Datasets and attributes of a file."""
    with h5py.File(path, "r") as file:
        values = {name: file[name][:] for name in file} | {f"@{name}": np.asarray(value) for name, value in file.attrs.items()}
        return {name: str(value.dtype).encode() + np.ascontiguousarray(value).tobytes() for name, value in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--steps", type=int, default=12, help="of an episode")
    options = parser.parse_args()
    task = replace(find_task("mediumdense"), horizon=options.steps)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        about = folder / "task.toml"
        about.write_text(TASK.format(**vars(task)), encoding="utf-8")

        def start(out: Path) -> subprocess.Popen[bytes]:
            words = ["collect", "--task", str(about), "--episodes", str(options.episodes), "--out", str(out)]
            return subprocess.Popen([sys.executable, "-m", "safefeedback", *words], stdout=subprocess.DEVNULL)

        began = time.monotonic()
        assert start(folder / "whole.hdf5").wait() == 0
        whole = time.monotonic() - began
        out, killed, finished = folder / "killed.hdf5", 0, 0
        while killed < options.kills:
            process = start(out)
            try:
                assert process.wait(rng.uniform(0, whole)) == 0
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed += 1
                parts = len(list(Path(f"{out}.parts").glob("*.hdf5")))
                print(f"kill {killed}: {parts} parts, {'the file is there' if out.exists() else 'no file'}", flush=True)
            if out.exists():  # it was complete before the kill: again from the beginning
                finished += 1
                assert content(out) == content(folder / "whole.hdf5")
                out.unlink()
                shutil.rmtree(f"{out}.parts")
        assert start(out).wait() == 0
        assert content(out) == content(folder / "whole.hdf5")
        print(f"{killed} kills, {finished + 1} collections that came to their end, all with the content of the one left alone")


if __name__ == "__main__":
    main()
