"""Where recordings are found, and that they are read as DSRL's own loader reads them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import recorded, run_cli, write_hdf5
from hub_server import Hub

from safefeedback import sources
from safefeedback.errors import InputError
from safefeedback.files import file_sha256
from safefeedback.sources import hdf5, load
from safefeedback.sources.hdf5 import read_advantages
from safefeedback.tasks import tasks

NAME = "SafetyBallCircle-v0-80-886.hdf5"


@pytest.mark.parametrize("name", ["BallCircle", "CarRun", "DroneCircle"])
def test_equals_dsrl_get_dataset(name: str, tmp_path: Path):
    """DSRL's loader, in a process of its own because importing it makes a folder, gives the same arrays."""
    pytest.importorskip("dsrl", reason="dsrl (the extra 'sim') is not installed")
    path = recorded(f"dsrl/Safety{name}-v0.hdf5")
    code = (
        "import sys, numpy\n"
        "from dsrl.offline_env import OfflineEnv\n"
        "import gymnasium\n"
        "class Any(OfflineEnv):\n"
        "    def __init__(self, dims):\n"
        "        self.observation_space = gymnasium.spaces.Box(-9, 9, (dims[0],))\n"
        "        self.action_space = gymnasium.spaces.Box(-1, 1, (dims[1],))\n"
        "        self.dataset_url = None\n"
        "data = Any([int(x) for x in sys.argv[3:]]).get_dataset(h5path=sys.argv[1])\n"
        "numpy.savez(sys.argv[2], **data)\n"
    )
    task = tasks()[name]
    env = {**os.environ, "DSRL_SUPPRESS_IMPORT_ERROR": "1", "DSRL_DATASET_DIR": str(tmp_path)}
    words = [
        sys.executable,
        "-c",
        code,
        str(path),
        str(tmp_path / "theirs.npz"),
        str(task.observation_dim),
        str(task.action_dim),
    ]
    subprocess.run(words, check=True, capture_output=True, env=env)
    theirs, ours = np.load(tmp_path / "theirs.npz"), load(str(path), task)
    for key in ("observations", "actions", "rewards", "costs"):
        assert np.array_equal(theirs[key], getattr(ours, key)), key
    ends = np.flatnonzero((theirs["terminals"] == 1) | (theirs["timeouts"] == 1)) + 1
    assert np.array_equal(ours.bounds, np.concatenate([[0], ends]))


def test_columns_of_scalars_are_accepted(ball_file: Path):
    flat = load(str(ball_file), tasks()["BallCircle"])
    with h5py.File(ball_file, "r+") as file:
        for key in ("rewards", "costs", "terminals", "timeouts"):
            values = file[key][:].reshape(-1, 1)
            del file[key]
            file[key] = values
    tall = load(str(ball_file), tasks()["BallCircle"])
    for name in ("observations", "actions", "rewards", "costs", "bounds"):
        assert np.array_equal(getattr(flat, name), getattr(tall, name))


def test_next_observations_is_not_read(ball_file: Path):
    with h5py.File(ball_file) as file:
        info = file["next_observations"].id.get_chunk_info(0)
    content = bytearray(ball_file.read_bytes())
    content[info.byte_offset : info.byte_offset + info.size] = bytes(info.size)
    ball_file.write_bytes(content)
    assert len(load(str(ball_file), tasks()["BallCircle"])) == 12


def test_an_array_never_written_is_its_fill_value(ball_file: Path):
    with h5py.File(ball_file, "r+") as file:
        del file["costs"]
        file.create_dataset("costs", (1737,), "f4", chunks=True)
    assert not load(str(ball_file), tasks()["BallCircle"]).costs.any()


def test_attributes_that_are_no_text_state_nothing(ball_file: Path):
    with h5py.File(ball_file, "r+") as file:
        file.attrs["license"], file.attrs["author"] = np.bytes_(b"mit"), [1, 2]
        file.attrs["citation"] = h5py.Empty("f4")
    source = load(str(ball_file), tasks()["BallCircle"]).source
    assert (source.license, source.author, source.citation) == ("mit", "", "")


def test_next_observations_is_not_needed(ball_file: Path):
    with h5py.File(ball_file, "r+") as file:
        del file["next_observations"]
    assert len(load(str(ball_file), tasks()["BallCircle"])) == 12


def test_doubles_are_read_as_floats_and_that_is_said(ball_file: Path):
    with h5py.File(ball_file, "r+") as file:
        values = file["observations"][:].astype(np.float64) + 1e-12
        del file["observations"]
        file["observations"] = values
    episodes = load(str(ball_file), tasks()["BallCircle"])
    assert episodes.observations.dtype == np.float32
    assert episodes.source.converted == ("observations from float64 to float32",)


def test_terms_in_the_files_attributes_are_kept(ball_file: Path):
    with h5py.File(ball_file, "r+") as file:
        file.attrs["license"], file.attrs["author"] = "mit", "A. Person"
    source = load(str(ball_file), tasks()["BallCircle"]).source
    assert (source.license, source.author, source.kind) == ("mit", "A. Person", "file")


def test_dsrls_own_cache_comes_first(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path))
    write_hdf5(tmp_path / NAME, [200, 200])
    episodes = load("auto", tasks()["BallCircle"])
    assert episodes.source.kind == "dsrl" and episodes.source.license == "cc-by-4.0"
    assert episodes.source.fingerprint == hashlib.sha256((tmp_path / NAME).read_bytes()).hexdigest()


def test_without_dsrls_file_and_network_auto_takes_our_recordings_and_says_so(tmp_path: Path):
    env = {"DSRL_DATASET_DIR": str(tmp_path / "dsrl"), "HF_HOME": str(tmp_path / "hf")}
    result = run_cli("build", "--task", "DroneCircle", "--pairs", 50, "--json", cwd=tmp_path, env=env)
    printed = json.loads(result.stdout)
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("warning: DSRL's file of DroneCircle is neither") and "NOT DSRL's" in line
    assert printed["source"]["kind"] == "recordings" and "-recordings-" in printed["folder"]
    card = (tmp_path / printed["folder"] / "README.md").read_text()
    assert "recordings made by safefeedback in the real simulator (not DSRL's)" in card and "license: cc-by-4.0" in card
    assert "Warm-started by cloning episodes of DSRL" in card and "- dsrl" not in card
    by_name = run_cli(
        "build", "--task", "DroneCircle", "--pairs", 50, "--json", "--source", "recordings", "--out", "x", cwd=tmp_path
    )
    assert by_name.stderr == "" and json.loads(by_name.stdout)["content_sha256"] == printed["content_sha256"]


def test_tasks_without_recordings_are_named(tmp_path: Path):
    result = run_cli("build", "--task", "CarButton1", "--source", "recordings", cwd=tmp_path)
    assert result.returncode == 2 and "no recordings of CarButton1 are shipped" in result.stderr and "DroneRun" in result.stderr


@pytest.fixture
def mirror(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """The environment variables that make a server on loopback, which holds the task's file, the Hub."""
    hub.put("dataset", "YYY-45/DSRL", {NAME: write_hdf5(tmp_path / "source.hdf5", [200] * 5).read_bytes()})
    return {**hub.env(tmp_path / "hf", token=None), "DSRL_DATASET_DIR": str(tmp_path / "dsrl")}


def test_downloaded_once_from_the_hub_and_then_found_in_its_cache(hub: Hub, mirror: dict[str, str], tmp_path: Path):
    words = ("build", "--task", "BallCircle", "--pairs", 20, "--json", "--overwrite")
    first = run_cli(*words, cwd=tmp_path, env=mirror)
    assert first.returncode == 0, first.stderr
    sha256 = hashlib.sha256((tmp_path / "source.hdf5").read_bytes()).hexdigest()
    assert json.loads(first.stdout)["source"] == {"kind": "dsrl", "sha256": sha256}
    assert sum(request.startswith("GET") for request in hub.log) == 1
    second = run_cli(*words, cwd=tmp_path, env={**mirror, "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert second.returncode == 0 and json.loads(second.stdout)["content_sha256"] == json.loads(first.stdout)["content_sha256"]
    rows = json.loads(run_cli("tasks", "--json", cwd=tmp_path, env=mirror).stdout)
    assert [row["name"] for row in rows if row["cached"]] == ["BallCircle"]


GET = 2  # the index of the request for the content: the first asks whether there is a network, the second about the file


def test_a_download_that_breaks_off_goes_on_where_it_stopped(hub: Hub, mirror: dict[str, str], tmp_path: Path):
    with h5py.File(tmp_path / "source.hdf5", "r+") as file:
        padding = np.random.default_rng(0).integers(0, 256, 30_000_000, np.uint8)  # the client keeps whole pieces of 10 MB
        file["padding"] = padding
    content = (tmp_path / "source.hdf5").read_bytes()
    hub.put("dataset", "YYY-45/DSRL", {NAME: content})
    hub.faults[GET] = "half"
    words = ("build", "--task", "BallCircle", "--pairs", 20, "--source", "dsrl", "--json")
    result = run_cli(*words, cwd=tmp_path, env=mirror)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["source"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert any("bytes=1048576" in request for request in hub.log), hub.log


def test_a_damaged_download_is_refused_and_removed(hub: Hub, mirror: dict[str, str], tmp_path: Path):
    for run in range(2):
        hub.faults[GET + 3 * run] = "damaged"
        result = run_cli("build", "--task", "BallCircle", "--pairs", 20, "--source", "dsrl", cwd=tmp_path, env=mirror)
        assert result.returncode == 2 and "arrived damaged" in result.stderr and result.stderr.count("\n") == 1
    assert not list((tmp_path / "hf").rglob("*.hdf5"))


def test_what_is_hashed_is_what_was_read(ball_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that is being written, or is not a file, is refused: its sha256 would be that of other content."""
    task = tasks()["BallCircle"]
    pipe = tmp_path / "pipe.hdf5"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="is no file but a pipe or a device"):
        sources.load(str(pipe), task)
    with h5py.File(tmp_path / "advantages.hdf5", "w") as file:
        file["advantages"] = np.zeros(5)
    with pytest.raises(InputError, match="is another file than the recipe names"):
        read_advantages(tmp_path / "advantages.hdf5", 5, "0" * 64)
    assert len(read_advantages(tmp_path / "advantages.hdf5", 5, file_sha256(tmp_path / "advantages.hdf5"))) == 5

    def and_then_written(path: Path) -> str:
        digest = file_sha256(path)
        os.utime(path, (1, 1))
        return digest

    monkeypatch.setattr(hdf5, "file_sha256", and_then_written)
    with pytest.raises(InputError, match="was written while it was read"):
        sources.load(str(ball_file), task)
