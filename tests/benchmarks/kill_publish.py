"""Kills `safefeedback publish` at random moments of its life and runs it again: is it complete, and was anything sent twice?

python tests/benchmarks/kill_publish.py --kills 30
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import write_hdf5
from hub_server import Hub

import safefeedback
from safefeedback.build import Recipe
from safefeedback.tasks import tasks


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=30)
    kills = parser.parse_args().kills
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        recipe = Recipe(tasks()["BallCircle"], pairs=2000, length=64, test_fraction=0.5)
        data, _ = safefeedback.build_dataset(recipe, str(write_hdf5(place / "b.hdf5", [200] * 40)), place / "data")
        words = [sys.executable, "-m", "safefeedback", "publish", str(data), "user/name"]
        ended = {"before its first request": 0, "while it was sending": 0, "after its commit": 0, "whole": 0}
        begins = life = twice = 0.0
        rng = np.random.default_rng(0)
        for number in range(kills + 1):
            with Hub() as hub:
                env = {**os.environ, **hub.env(place / "hf")}
                requested: list[float] = []
                hub.on_request = lambda index, seen=requested: seen.append(time.monotonic())
                started = time.monotonic()
                process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if number:
                    time.sleep(rng.uniform(0.9 * begins, life))
                    process.send_signal(signal.SIGKILL)
                process.wait()
                if not number:  # how long it lives, and when it begins to send
                    begins, life = requested[0] - started, time.monotonic() - started
                time.sleep(0.1)
                repo = hub.repos.get(("dataset", "user/name"))
                whole = repo is not None and bool(repo.tags)
                kind = 3 if whole else 2 if repo and len(repo.commits) > 1 else 1 if requested else 0
                ended[list(ended)[kind]] += number > 0
                subprocess.run(words, env=env, check=True, stdout=subprocess.DEVNULL)
                repo = hub.repos["dataset", "user/name"]
                assert len(repo.commits) == 2 and repo.tags == {"v1.0.0": repo.commits[-1][0]}
                for path, content in repo.commits[-1][1].items():
                    assert path in (".gitattributes", "README.md") or content == (data / path).read_bytes(), path
                twice += len(hub.received) - len(set(hub.received))
    print(f"{kills} kills, all complete after the second run; {twice:g} large files were sent twice; killed: {ended}")


if __name__ == "__main__":
    main()
