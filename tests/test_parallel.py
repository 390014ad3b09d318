"""Work on a real Ray cluster: both nodes take part, a worker that dies is replaced, and one that always dies is reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_cluster import MARK, end_marked

PATIENCE = 1200  # seconds, for a busy machine: nothing here takes long


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark of a cluster's processes; those left at the end are ended."""
    mark = uuid.uuid4().hex
    yield mark
    while end_marked(mark):
        pass


def test_a_cluster_of_two_nodes(mark: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    words = [sys.executable, str(Path(__file__).with_name("ray_cluster.py")), str(tmp_path), mark]
    quiet = {"RAY_DISABLE_IMPORT_WARNING": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        program = subprocess.Popen(
            words, cwd=tmp_path, stdin=subprocess.PIPE, stdout=out, stderr=err, env={**os.environ, MARK: mark, **quiet}
        )
        try:
            program.wait(timeout=PATIENCE)
        finally:
            program.kill()
    assert program.returncode == 0, (tmp_path / "err").read_text()[-2000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(set(found["nodes"].values())) == 2
    assert found["deaths"]["0"] == "2" and found["deaths"]["1"].startswith("lost on the cluster: ")
    assert "2 built" in (tmp_path / "out").read_text() and len(list(tmp_path.glob("built/*/recipe.json"))) == 2


def test_a_cluster_ends_with_whoever_started_it(mark: str) -> None:
    """The program waits for its stdin, which closes when its parent is gone."""
    code = "import sys, threading, ray_cluster; ray_cluster.end_with_parent(sys.argv[1])"
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1e6)"], env={**os.environ, MARK: mark})
    program = subprocess.run(
        [sys.executable, "-c", code, mark], cwd=Path(__file__).parent, input=b"", env={**os.environ, MARK: mark}, check=False
    )
    assert program.returncode == 1 and other.wait() == -9
