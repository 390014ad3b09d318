"""Kills the annotation server at random moments while four people answer, and counts what is in the store afterwards.

    python tests/benchmarks/kill_annotate.py --times 200

Every answer that the server acknowledged must be there once, and none twice.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any


class Answering(threading.Thread):
    """A person who answers until stopped, and sends each answer again until it is acknowledged."""

    def __init__(self, name: str, port: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.person, self.port, self.stop = name, port, stop
        self.acknowledged: dict[str, str] = {}  # id -> item
        self.refused: list[str] = []

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The server's reply; None if it is not running."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Annotator": self.person, "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if error.code not in (429, 503):
                self.refused.append(text)
            return json.loads(text) if error.code == 409 else None
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def run(self) -> None:
        state = None
        while not self.stop.is_set():
            if state is None or not state["upcoming"]:
                reply = self.ask("session")
                state = reply and reply["state"]
                time.sleep(0.02)
                continue
            item = state["upcoming"][0]["item"]
            body = {"id": str(uuid.uuid4()), "item": item, "preference": "left", "safe_left": "safe", "safe_right": "unsafe"}
            reply = None
            while reply is None and not self.stop.is_set():
                reply = self.ask("answer", body)
                if reply is None:
                    time.sleep(0.02)
            if reply is not None and "accepted" in reply:
                self.acknowledged[body["id"]] = item
            state = reply and reply["state"]
            time.sleep(random.random() * 0.02)


def serve_study(folder: Path, port: int) -> None:
    """A server of the study, in a process of its own, as the command runs it."""
    from safefeedback.cli.app import main

    words = ["annotate", folder.name, "--name", "lab1", "--quick", "--overlap", "4", "--no-browser", "--port", str(port)]
    os.chdir(folder.parent)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    main(words)


def kill_often(folder: Path, port: int, times: int, people: int = 4, longest: float = 0.6) -> dict[str, int]:
    """Kills the server this many times; returns how many answers were acknowledged, stored, lost and doubled.

    Args:
        folder: of a dataset with enough pairs.
        longest: the most seconds that a server lives after its first acknowledgement.
    """
    stop = threading.Event()
    crowd = [Answering(f"person{number}", port, stop) for number in range(people)]
    for one in crowd:
        one.start()
    context = multiprocessing.get_context("forkserver")  # whose children need not import everything again
    rooms = [f"safefeedback.annotate.{name}" for name in ("app", "serve", "opening")]
    context.set_forkserver_preload([*rooms, "safefeedback.cli.app"])
    for _ in range(times):
        server = context.Process(target=serve_study, args=(folder, port))
        server.start()
        before, end = sum(len(one.acknowledged) for one in crowd), time.monotonic() + 60
        while sum(len(one.acknowledged) for one in crowd) == before and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(random.random() * longest)
        server.kill()  # SIGKILL
        server.join()
    stop.set()
    for one in crowd:
        one.join(timeout=20)
    path = folder.parent / f"{folder.name}.answers" / "lab1.sqlite"
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT id, item, pair_id, person FROM every_answer").fetchall()
        sound = db.execute("PRAGMA integrity_check").fetchone()[0]
    acknowledged = {id: item for one in crowd for id, item in one.acknowledged.items()}
    stored = {id: item for id, item, *_ in rows}
    assert sound == "ok", sound
    refused = [text for one in crowd for text in one.refused]
    assert not refused, refused[0]
    return {
        "acknowledged": len(acknowledged),
        "stored": len(rows),
        "lost": sum(stored.get(id) != item for id, item in acknowledged.items()),
        "doubled": len(rows) - len({(pair, person) for _, _, pair, person in rows}),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--port", type=int, default=8765)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        build = ["build", "--task", "BallRun", "--pairs", "20000", "--source", "recordings", "--out", "run"]
        subprocess.run([sys.executable, "-m", "safefeedback", *build], cwd=place, check=True, stdout=subprocess.DEVNULL)
        began = time.monotonic()
        print(re.sub(r"[{}']", "", str(kill_often(Path(place) / "run", chosen.port, chosen.times))))
        print(f"{chosen.times} kills in {time.monotonic() - began:.0f} s")
