"""Work on a Ray cluster of two nodes on this machine: FOLDER MARK. tests/test_parallel.py reads what it writes.

Every process that it starts has MARK in its environment; `end_marked` ends them all, however this program ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

MARK = "SAFEFEEDBACK_TEST_CLUSTER"
SMALL = {"num_cpus": 1, "object_store_memory": 80 << 20}


def end_marked(mark: str) -> list[str]:
    """Ends every other process whose environment holds the mark; returns their names."""
    ended = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            with suppress(OSError):  # another user's process, or gone
                if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    ended.append((folder / "comm").read_text().strip())
                    os.kill(int(folder.name), signal.SIGKILL)
    return ended


def meet(folder: str, index: int) -> str:
    """Returns the node it runs on, once the other task has begun too: so the two run on two nodes at once."""
    import ray

    (Path(folder) / f"here-{index}").touch()
    while not (Path(folder) / f"here-{1 - index}").exists():
        time.sleep(0.01)
    return ray.get_runtime_context().get_node_id()


def die(folder: str, name: str, times: int) -> int:
    """Kills its own process this many times, then returns the number of the attempt."""
    attempts = Path(folder) / name
    with attempts.open("a") as file:
        file.write("x")
    attempt = len(attempts.read_text())
    if attempt <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return attempt


def end_with_parent(mark: str) -> None:
    """Ends everything when the parent process is gone, which closes its stdin."""
    while os.read(0, 1):
        pass
    end_marked(mark)
    os._exit(1)


def main(folder: str, mark: str) -> None:
    threading.Thread(target=end_with_parent, args=(mark,), daemon=True).start()
    from ray.cluster_utils import Cluster

    from safefeedback import parallel
    from safefeedback.cli import main as safefeedback

    parallel.RETRIES = 1  # each would be one more process to start
    cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "include_dashboard": False})
    cluster.add_node(**SMALL)
    found: dict[str, dict[int, object]] = {"nodes": {}, "deaths": {}}
    parallel.run_on_cluster(meet, [(folder, 0), (folder, 1)], cluster.address, found["nodes"].__setitem__)
    items = [(folder, "once", 1), (folder, "always", 2)]
    parallel.run_on_cluster(die, items, cluster.address, lambda index, value: found["deaths"].update({index: str(value)}))
    (Path(folder) / "found.json").write_text(json.dumps(found))
    words = ["--task", "BallRun,CarRun", "--pairs", "30", "--source", "recordings", "--out", f"{folder}/built"]
    with suppress(SystemExit):
        safefeedback(["build", *words, "--ray", cluster.address])


if __name__ == "__main__":
    main(*sys.argv[1:])
