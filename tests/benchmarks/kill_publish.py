"""Kills `safefeedback publish` at random moments, and runs it again: is it complete, and was anything sent twice?

python tests/benchmarks/kill_publish.py --kills 30
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import write_hdf5
from hub_server import Hub

import safefeedback
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import tasks


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=30)
    kills = parser.parse_args().kills
    with tempfile.TemporaryDirectory() as folder, Hub() as hub:
        place = Path(folder)
        os.environ.update(hub.env(place / "hf"))  # before the client is imported
        from safefeedback.publish.dataset import dataset_release
        from safefeedback.publish.push import publish

        recipe = Recipe(tasks()["BallCircle"], pairs=2000, length=64, test_fraction=0.5)
        data, _ = safefeedback.build_dataset(recipe, str(write_hdf5(place / "b.hdf5", [200] * 40)), place / "data")
        words = [sys.executable, "-m", "safefeedback", "publish", str(data), "user/name"]
        ended = {"while it was sending": 0, "after its commit": 0, "when all was done": 0}
        twice = 0
        rng = np.random.default_rng(0)
        life = 0.0  # from its first request to its last, measured once
        for number in range(kills + 1):
            for part in (hub.repos, hub.large, hub.log, hub.received):
                part.clear()
            first = threading.Event()
            times: list[float] = []
            hub.on_request = lambda index, first=first, times=times: (times.append(time.monotonic()), first.set())
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            first.wait()
            if number:
                time.sleep(rng.uniform(0, life))
                process.send_signal(signal.SIGKILL)
            process.wait()
            life = life or times[-1] - times[0]
            time.sleep(0.2)
            repo = hub.repos.get(("dataset", "user/name"))
            kind = 2 if repo and repo.tags else 1 if repo and len(repo.commits) > 1 else 0
            ended[list(ended)[kind]] += number > 0
            sent, asked = len(hub.received), len(times)
            publish(dataset_release(data, "user/name"), "user/name")
            repo = hub.repos["dataset", "user/name"]
            assert len(repo.commits) == 2 and repo.tags == {"v1.0.0": repo.commits[-1][0]}
            for path, content in repo.commits[-1][1].items():
                assert path in (".gitattributes", "README.md", "croissant.json") or content == (data / path).read_bytes(), path
            twice += len(hub.received) - len(set(hub.received))
            print(
                f"killed after {asked} requests, {sent} of 4 large files sent; {len(hub.log) - asked} more to complete it",
                flush=True,
            )
    print(f"{kills} kills, all complete after the second run; {twice} large files were sent twice; killed {ended}")


if __name__ == "__main__":
    main()
