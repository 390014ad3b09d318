"""A study on a Ray cluster of two nodes on this machine, a worker of which is killed while it trains: FOLDER WORDS..."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from ray.cluster_utils import Cluster

from presa.cli import main


def kill_a_worker(folder: Path) -> None:
    """Kills the first process that works on a cell."""
    while True:
        for config in folder.glob("cells/*/limit*/config.json"):
            lock = config.parents[1].with_suffix(".lock").stat().st_ino
            for line in Path("/proc/locks").read_text().splitlines():
                words = line.split()
                if words[1] == "FLOCK" and words[5].endswith(f":{lock}"):
                    os.kill(int(words[4]), signal.SIGKILL)
                    print("killed a worker", flush=True)
                    return
        time.sleep(0.02)


folder, *words = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
options = ["--task", "BallRun,CarRun", "--pairs", "30", "--source", "recordings", "--out", "ray", "--ray", cluster.address]
program = [sys.executable, "-m", "safefeedback", "build", *options]
built = subprocess.run(program, cwd=Path(folder).parent, capture_output=True, text=True, check=False)
assert built.returncode == 0 and "2 built" in built.stdout, built
print("built on the cluster", flush=True)
threading.Thread(target=kill_a_worker, args=(Path(folder),), daemon=True).start()
main(["study", "modules", *words, "--ray", cluster.address, "--out", folder])
