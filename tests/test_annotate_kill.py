"""The annotation server is killed outright while four people answer."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

from safefeedback.dataset.build import build_dataset
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import tasks


def test_every_acknowledged_answer_is_there_once(tmp_path: Path):
    """Ten kills at random moments; tests/benchmarks/kill_annotate.py does two hundred."""
    file = Path(__file__).parent / "benchmarks" / "kill_annotate.py"
    spec = importlib.util.spec_from_file_location("kill_annotate", file)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    folder, _ = build_dataset(Recipe(tasks()["BallRun"], pairs=2000, length=16), "recordings", tmp_path / "run")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    found = script.kill_often(folder, port, times=10, longest=0.3)
    assert found["lost"] == found["doubled"] == 0 and found["acknowledged"] >= 10
