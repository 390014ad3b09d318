"""The annotation server is killed outright while four people answer."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from safefeedback.dataset.build import build_dataset
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import tasks


def test_every_acknowledged_answer_is_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Ten kills at random moments; tests/benchmarks/kill_annotate.py does two hundred."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "benchmarks")
    from kill_annotate import kill_often

    folder, _ = build_dataset(Recipe(tasks()["BallRun"], pairs=2000, length=16), "recordings", tmp_path / "run")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    found = kill_often(folder, port, times=10, longest=0.3)
    assert found["lost"] == found["doubled"] == 0 and found["acknowledged"] >= 10
