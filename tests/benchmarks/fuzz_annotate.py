"""Sends the annotation server requests that no browser would, and looks at what comes back and what is stored.

python tests/benchmarks/fuzz_annotate.py --requests 5000
"""

from __future__ import annotations

import argparse
import json
import random
import string
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from annotating import Server

PATHS = [*["answer"] * 6, "session", "study", "progress", "undo", "practice", "consent"]
PATHS += ["leave", "pair/0", "frames/0/0", "withdraw"]
CODES = {200, 400, 401, 403, 404, 405, 409, 410, 413, 415, 421, 422, 429, 503}
SECRETS = ("Traceback", "sqlite", "/tmp", "safefeedback/", "oracle", "gold", "probability")


def value(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON value, more often one that is nearly right."""
    words = ["left", "right", "equal", "cannot-tell", "safe", "unsafe", "", "\x00", "é" * 50, "' OR 1=1 --", "../" * 9, "null"]
    plain = [
        None,
        True,
        False,
        0,
        -1,
        1e308,
        float("inf"),
        2**70,
        1.5,
        [1, 1],
        [0],
        {},
        str(uuid.UUID(int=rng.getrandbits(128))),
    ]
    choice = rng.random()
    if choice < 0.45:
        return rng.choice(plain)
    if choice < 0.85 or depth > 2:
        return rng.choice(words)
    if choice < 0.93:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(words): value(rng, depth + 1) for _ in range(rng.randrange(4))}


def body(rng: random.Random, item: str) -> bytes:
    """The body of a request."""
    choice = rng.random()
    if choice < 0.1:
        return bytes(rng.getrandbits(8) for _ in range(rng.randrange(60)))
    if choice < 0.15:
        return b"[" * rng.randrange(1, 15_000)
    if choice < 0.18:
        return b"1" * rng.randrange(16_000, 40_000)
    given = {
        "id": str(uuid.UUID(int=rng.getrandbits(128))),
        "item": item,
        "preference": "left",
        "safe_left": "safe",
        "safe_right": "safe",
        "plays": [1, 1],
    }
    for key in rng.sample([*given, "shown_at", "milliseconds", "page", "confirm", "agreed", "swapped"], rng.randrange(4)):
        given[key] = value(rng)
    return json.dumps(given if rng.random() < 0.95 else value(rng)).encode()


def fuzz(server: Server, count: int, seed: int = 0) -> dict[int, int]:
    """Sends this many requests; returns how many replies had each status.

    Every reply is one of the known statuses with one plain sentence, reveals nothing internal, and leaves the store intact.
    """
    rng, codes = random.Random(seed), dict[int, int]()
    item = server.person().state()["upcoming"][0]["item"]
    server.guard.strangers.burst = server.guard.strangers.a_second = 1e9
    for number in range(count):
        path = rng.choice(PATHS) if rng.random() < 0.8 else "".join(rng.choice(string.printable[:95]) for _ in range(12))
        headers = {"X-Annotator": rng.choice([*["ann"] * 12, "", "a b", "x" * 99, "../x", "eve'--"])}
        if rng.random() < 0.1:
            headers["Origin"] = rng.choice(["http://testserver", "null", "http://evil.example", "x"])
        if rng.random() < 0.1:
            headers["Host"] = rng.choice(["testserver", "evil.example", "testserver:99999", ""])
        headers["Content-Type"] = rng.choice(["application/json"] * 8 + ["text/plain", "application/json; charset=x"])
        method = rng.choice([*["POST"] * 9, *["GET"] * 3, "PUT", "DELETE", "HEAD", "OPTIONS"])
        if path == "withdraw":
            headers["X-Annotator"] = "gone"
        try:
            address = server.client.base_url.copy_with(raw_path=f"/api/{path}".encode("ascii", "replace"))
        except Exception:
            continue
        content = body(rng, item) if method in ("POST", "PUT") else None
        reply = server.client.request(method, address, headers=headers, content=content)
        codes[reply.status_code] = codes.get(reply.status_code, 0) + 1
        text = reply.text if "octet-stream" not in reply.headers.get("content-type", "") else ""
        assert reply.status_code in CODES, f"request {number}: {method} {path} {content!r}: {reply.status_code} {text}"
        assert not any(secret in text for secret in SECRETS), f"request {number}: {text}"
        if reply.status_code >= 400 and method != "HEAD":
            message = reply.json()["error"]["message"]
            assert message.endswith(".") and "\n" not in message and len(message) < 200, message
        assert "content-security-policy" in reply.headers
        if number % 20 == 0:
            state = server.person().state()
            item = state["upcoming"][0]["item"] if state["upcoming"] else item
    rows = server.store.rows("SELECT id, preference, safe_0, safe_1 FROM every_answer WHERE undoes = ''")
    for row in rows:
        assert row["preference"] in (None, 0, 0.5, 1) and row["safe_0"] in (None, 0, 1) and row["safe_1"] in (None, 0, 1)
    assert server.store.rows("PRAGMA integrity_check")[0][0] == "ok"
    return codes


if __name__ == "__main__":
    from safefeedback.dataset.build import build_dataset
    from safefeedback.feedback.recipe import Recipe
    from safefeedback.tasks import tasks

    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, _ = build_dataset(Recipe(tasks()["BallRun"], pairs=5000, length=16), "recordings", Path(place) / "run")
        print(fuzz(Server(folder, quick=True), chosen.requests, chosen.seed))
