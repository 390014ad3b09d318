"""A study on another machine: the folder of a Docker Space, its container's command, the answers that it saves on the Hub."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
from annotating import Server
from conftest import run_cli
from hub_server import Hub
from typer.testing import CliRunner

from safefeedback.annotate.backup import Backup, restore
from safefeedback.annotate.results import results
from safefeedback.annotate.space import packages
from safefeedback.annotate.standing_answers import StandingAnswers
from safefeedback.annotate.store import Store
from safefeedback.cli.app import app
from safefeedback.dataset.build import build_dataset
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import tasks


@pytest.fixture
def folder(ball_file: Path, tmp_path: Path) -> Path:
    return build_dataset(Recipe(tasks()["BallCircle"], pairs=30), str(ball_file), tmp_path / "ball")[0]


def test_batches_hold_no_names_and_bring_every_answer_back(hub: Hub, online: list[float], folder: Path, tmp_path: Path):
    hub.put("dataset", "user/lab-answers", {})
    server = Server(folder, quick=True, repeat=0.3)
    ann = server.person("zacharias")
    backup = Backup("user/lab-answers", server.store.path)
    server.live.unsaved = lambda: backup.unsaved(server.store)
    assert ann.answer_all(5)["progress"]["not_yet_saved_remotely"] == 5
    assert backup.upload() > 5 and backup.upload() == 0
    assert ann.state()["progress"]["not_yet_saved_remotely"] == 0
    ann.post("undo", id=str(uuid.uuid4()))
    ann.answer_all(10)
    hub.faults["commit/main"] = 500
    with pytest.raises(InputError, match="cannot upload to user/lab-answers"):
        backup.upload()
    assert ann.state()["progress"]["not_yet_saved_remotely"] == 11  # an undo is a row as well
    hub.faults.clear()
    backup.upload()
    files = hub.repos["dataset", "user/lab-answers"].commits[-1][1]
    assert len(files) == 2 and not any(b"zacharias" in content or b"token" in content for content in files.values())
    again = Store.create(tmp_path / "again.sqlite", "ball", server.material.content_sha256)
    assert restore(again, "user/lab-answers") == 16 and restore(again, "user/lab-answers") == 0
    again.set_names({row["id"]: row["name"] for row in server.store.rows("SELECT id, name FROM person")})
    ours, theirs = (
        [(row["item"], row["preference"], row["kind"]) for row in StandingAnswers.of(one).rows] for one in (server.store, again)
    )
    assert ours == theirs and len(ours) == 14
    truth = server.material.truth
    assert results(again, server.live.study, truth)["people"] == results(server.store, server.live.study, truth)["people"]
    assert Backup("user/lab-answers", again.path, restored=True).upload() == 0


def test_who_withdraws_does_not_come_back(hub: Hub, online: list[float], folder: Path, tmp_path: Path):
    hub.put("dataset", "user/lab-answers", {})
    server = Server(folder, quick=True)
    backup = Backup("user/lab-answers", server.store.path)
    for name in ("ann", "bob"):
        server.person(name).answer_all(3)
    backup.upload()
    server.person("ann").post("withdraw", id=str(uuid.uuid4()), confirm="withdraw")
    backup.upload()
    again = Store.create(tmp_path / "again.sqlite", "ball", server.material.content_sha256)
    assert restore(again, "user/lab-answers") == 3 and len(again.rows("SELECT * FROM person")) == 1


def test_the_space_is_written_and_its_containers_command_runs(hub: Hub, folder: Path, tmp_path: Path):
    words = ["annotate", folder, "--name", "lab", "--space", "user/lab"]
    refused = run_cli(*words, "--quick", cwd=tmp_path)
    assert refused.returncode == 2 and "name them with --annotators" in refused.stderr
    made = run_cli(*words, "--quick", "--annotators", "ann,bob", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    place = tmp_path / "ball.answers" / "lab.space"
    docker = (place / "space" / "Dockerfile").read_text()
    assert "starlette" in docker and "torch" not in docker and "safefeedback.annotate.container" in docker
    assert "sdk: docker" in (place / "space" / "README.md").read_text()
    for path in (place / "space").rglob("*"):
        assert path.suffix not in (".parquet", ".hdf5", ".sqlite"), f"{path} would be public"
    secret = next(line.split("=", 1)[1] for line in made.stdout.splitlines() if "ANNOTATE_SECRET=" in line)
    assert secret not in "".join(path.read_text() for path in (place / "space").glob("*.*"))
    token = next(line.split("token=")[1] for line in made.stdout.splitlines() if line.strip().startswith("ann:"))
    dataset = {f"dataset/{one.relative_to(place / 'dataset')}": one for one in (place / "dataset").rglob("*") if one.is_file()}
    hub.put("dataset", "user/lab-answers", {name: one.read_bytes() for name, one in dataset.items()})
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    env = {**os.environ, **hub.env(tmp_path / "hf"), "SAFEFEEDBACK_ANNOTATE_SECRET": secret, "PORT": str(port)}
    env["SAFEFEEDBACK_ANNOTATE_NAMES"] = "ann,bob"

    def container() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "safefeedback.annotate.container", "study.json"]
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(command, cwd=place / "space", env=env, **streams)
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "Ctrl-C" in said, said + process.stdout.read()
        return process, said

    def ask(path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/api/{path}", data, headers)) as reply:
            return json.load(reply)

    process, said = container()
    assert said.startswith("0 answers restored")
    state = ask("session")["state"]
    for _ in range(3):
        body = {"id": str(uuid.uuid4()), "item": state["upcoming"][0]["item"], "preference": "left", "safe_left": "safe"}
        state = ask("answer", {**body, "safe_right": "unsafe"})["state"]
    assert state["progress"]["answered"] == 3 and state["progress"]["not_yet_saved_remotely"] <= 3
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    process, said = container()
    assert said.startswith("3 answers restored") and ask("session")["state"]["progress"]["answered"] == 3
    process.kill()
    process.wait()
    home = run_cli(
        "annotate", folder, "--name", "lab", "--merge", "user/lab-answers", cwd=tmp_path, env=hub.env(tmp_path / "hf2")
    )
    assert home.returncode == 0 and "3 answers from user/lab-answers" in home.stdout, home.stderr
    told = CliRunner().invoke(app, ["annotate", str(folder), "--name", "lab", "--results", "--json"])
    assert json.loads(told.output)["people"]["ann"]["answers"] == 3


def test_what_a_container_installs():
    found = " ".join(packages())
    assert all(one in found for one in ("numpy", "pyarrow", "starlette", "uvicorn")) and "torch" not in found
