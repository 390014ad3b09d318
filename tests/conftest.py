"""Small real HDF5 files, and the real recordings where they are available."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hub_server import TOKEN, Hub
from running import run_and_interrupt, run_cli

__all__ = ["run_and_interrupt", "run_cli"]

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # a shell that runs the tests in the background ignores Ctrl-C, which could then not be tested
    signal.signal(signal.SIGINT, signal.default_int_handler)
SHARED = Path(__file__).parents[2] / "shared" / "data"
os.environ.pop("COLUMNS", None)  # of the terminal that runs the suite
# the many processes that tests start find their modules compiled, as in any installation: starting takes half as long
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# no test needs a network: any attempt to use one fails at once, here and in every process that a test starts
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_ENDPOINT": "http://127.0.0.1:9",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
}
os.environ.update(OFFLINE)
os.environ["PRESA_CACHE"] = tempfile.mkdtemp(prefix="presa-tests-")  # no other run sees what a test leaves there
atexit.register(shutil.rmtree, os.environ["PRESA_CACHE"], ignore_errors=True)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run in parallel: more threads would only slow one another down


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """Gives back the handlers of this process's signals: a program that a test calls in this process sets its own."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def recorded(name: str) -> Path:
    """A file of real recordings; the test is skipped if it is not available."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"the recordings {name} are not beside this checkout")
    return path


def write_hdf5(path: Path, lengths: list[int], dims: tuple[int, int] = (8, 2), seed: int = 0, trailing: int = 0) -> Path:
    """A file in DSRL's schema with made-up episodes of these lengths, and extra rows after the last one."""
    rng = np.random.default_rng(seed)
    steps = sum(lengths) + trailing
    ends = np.zeros(steps, bool)
    ends[np.cumsum(lengths) - 1] = True
    values: dict[str, Any] = {
        "observations": rng.normal(size=(steps, dims[0])).astype(np.float32),
        "next_observations": rng.normal(size=(steps, dims[0])).astype(np.float32),
        "actions": rng.uniform(-1, 1, size=(steps, dims[1])).astype(np.float32),
        "rewards": rng.normal(size=steps).astype(np.float32),
        "costs": (rng.uniform(size=steps) < 0.1).astype(np.float32),
        "terminals": np.zeros(steps, bool),
        "timeouts": ends,
    }
    with h5py.File(path, "w") as file:
        for key, value in values.items():
            file.create_dataset(key, data=value, compression="gzip")
    return path


def wait_for(condition: Callable[[], object], seconds: float = 1200) -> None:
    """Waits until a condition holds, and fails if it never does; the time limit allows for a busy machine."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.01)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A Hub on loopback, without a repository."""
    with Hub() as server:
        yield server


@pytest.fixture
def online(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """Makes this process use the server as the Hub, without waiting; the seconds it would have waited are listed."""
    from huggingface_hub import constants

    for name, value in {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_OFFLINE": False,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


@pytest.fixture
def ball_file(tmp_path: Path) -> Path:
    """Twelve made-up episodes with BallCircle's dims, two of them shorter than a segment, and three extra rows."""
    return write_hdf5(tmp_path / "ball.hdf5", [200, 200, 50, 130, 200, 64, 200, 180, 20, 200, 90, 200], trailing=3)


@pytest.fixture
def edit_hdf5(ball_file: Path) -> Callable[..., Path]:
    """Replaces datasets of the small file (None removes one)."""

    def edit(**values: Any) -> Path:
        with h5py.File(ball_file, "r+") as file:
            for key, value in values.items():
                if key in file:
                    del file[key]
                if value is not None:
                    file[key] = value
        return ball_file

    return edit
