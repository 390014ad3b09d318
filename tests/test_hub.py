"""Publishing to a Hub on loopback and fetching from it, through the real client, with every request failing in its turn."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import run_cli, write_hdf5
from hub_server import GUEST, TOKEN, Hub, Repo

import safefeedback
from safefeedback.cli import hub as hub_commands
from safefeedback.cli import main
from safefeedback.dataset.label_sets import relabel
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.hub import client as network
from safefeedback.hub.places import whole_dataset
from safefeedback.inspection.dataset import inspect_dataset
from safefeedback.publish import fetch as fetching
from safefeedback.publish import push as publishing
from safefeedback.publish.dataset import dataset_release
from safefeedback.publish.release import changelog
from safefeedback.tasks import tasks

NAME = "user/ball"
DATASET = ("dataset", NAME)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset with two splits and a label set; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("hub")
    recipe = Recipe(tasks()["BallCircle"], pairs=20, length=4, noise=0.2, test_fraction=0.5)
    source = write_hdf5(folder / "ball.hdf5", [20] * 8)
    data, _ = safefeedback.build_dataset(recipe, str(source), folder / "data")
    relabel(data, [{"noise": 0.5}], "noisy")
    return data


def publish(folder: Path, repo: str = NAME, **choices: Any) -> dict[str, Any]:
    return publishing.publish(dataset_release(folder, repo), repo, **choices)


def assert_whole(repo: Repo) -> None:
    """No commit shows part of a dataset: everything that its manifests name is there and unchanged, or nothing."""
    import hashlib

    for _, files, title in repo.commits:
        shown = {path for path in files if path.endswith((".parquet", "recipe.json"))}
        named = set()
        for path in (path for path in files if path.endswith("recipe.json")):
            folder = path.removesuffix("recipe.json")
            facts = json.loads(files[path])["files"]
            named |= {path, *(folder + inner for inner in facts)}
            assert {hashlib.sha256(files[folder + inner]).hexdigest() == one["sha256"] for inner, one in facts.items()} == {
                True
            }
        assert shown == named, title


def test_published_loaded_streamed_and_fetched_it_is_the_same_to_the_bit(built: Path, hub: Hub, online, tmp_path: Path, capsys):
    hub_commands.publish(built, NAME, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["version"] == "v1.0.0" and told["private"] and told["commit"] == hub.repos[DATASET].tags["v1.0.0"]
    assert set(told["sent"]) == set(hub.repos[DATASET].commits[-1][1]) - {".gitattributes"}
    code = (
        "import datasets, json, pathlib, pyarrow.parquet as pq, safefeedback, sys\n"
        "folder, out = map(pathlib.Path, sys.argv[1:])\n"
        "for config, place in (('pairs', 'pairs'), ('noisy-oracle', 'labels/noisy/oracle')):\n"
        "    data = datasets.load_dataset('user/ball', config, revision='v1.0.0')\n"
        "    for split in ('train', 'test'):\n"
        "        table = pq.read_table(next((folder / place).glob(split + '-*')))\n"
        "        loaded = data[split].with_format('arrow')[:]\n"
        "        assert all(loaded[name].combine_chunks() == table[name].combine_chunks() for name in table.column_names)\n"
        "        assert loaded.column_names == table.column_names\n"
        "stream = datasets.load_dataset('user/ball', revision='v1.0.0', split='train', streaming=True)\n"
        "assert list(stream) == pq.read_table(next((folder / 'pairs').glob('train-*'))).to_pylist()\n"
        "data = safefeedback.read('user/ball@v1.0.0', labels='noisy')\n"
        "here = safefeedback.read(folder, labels='noisy')\n"
        "assert data.observations.tobytes() == here.observations.tobytes() and data.safe.tobytes() == here.safe.tobytes()\n"
    )
    env = {**hub.env(tmp_path / "hf"), "USE_TORCH": "0"}  # datasets imports it to stream, but does not need it
    words = [sys.executable, "-c", code, str(built), str(tmp_path)]
    loaded = subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    assert any("bytes=" in request for request in hub.log)  # streaming reads ranges
    fetching.fetch(NAME, tmp_path / "here", "v1.0.0")
    files = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()}
    fetched = {path.relative_to(tmp_path / "here").as_posix() for path in (tmp_path / "here").rglob("*") if path.is_file()}
    assert fetched == files | {"croissant.json"} and all(
        (built / path).read_bytes() == (tmp_path / "here" / path).read_bytes() for path in files - {"README.md"}
    )
    card = (tmp_path / "here" / "README.md").read_text()
    assert f'load_dataset("{NAME}", split="train")' in card and card.endswith("## Versions\n\n- **v1.0.0**: first version\n")


TRANSIENT = (500, 429, "cut", "lost", "stall")
FINAL = {401: "the token was refused", 403: "write access", 409: "409", 412: "somebody changed it meanwhile"}


def said(fault: int | str, request: str) -> str:
    """The message about a fault; whoever only reads is not advised to ask for the right to write."""
    reads = request.startswith("GET") or "paths-info" in request
    return "lets nobody with this token read that" if fault == 403 and reads else FINAL[fault]


def set_fault(hub: Hub, monkeypatch: pytest.MonkeyPatch, index: int, fault: int | str) -> None:
    """Makes one request fail; the client waits only briefly where it would wait in vain."""
    hub.faults[index] = fault
    monkeypatch.setattr(network, "SILENCE_SECONDS", 0.25 if fault == "stall" else 30.0)


def requests_of(hub: Hub, action: Callable[[], Any]) -> list[str]:
    before = len(hub.log)
    action()
    return hub.log[before:]


def reset(hub: Hub) -> None:
    for part in (hub.repos, hub.large, hub.log, hub.received, hub.faults):
        part.clear()  # type: ignore[attr-defined]
    hub.stalled.clear()


def test_every_request_of_a_publish_fails_in_its_turn(built: Path, hub: Hub, online: list[float], monkeypatch):
    """Success after another try or one line, never half a dataset, and the same command again completes it."""
    requests = requests_of(hub, lambda: publish(built))
    wanted = hub.repos[DATASET].commits[-1][1]
    assert len(requests) >= 13 and sum("PUT" in request for request in requests) == 10
    one_put = next(index for index, request in enumerate(requests) if "PUT" in request)
    indices = [index for index, request in enumerate(requests) if "PUT" not in request or index == one_put]
    for index in indices:
        for fault in (*TRANSIENT, *FINAL):
            reset(hub)
            set_fault(hub, monkeypatch, index, fault)
            online.clear()
            where = f"{fault} at {requests[index]}"
            try:
                publish(built)
            except InputError as error:
                assert fault in FINAL, f"{where}: {error}"
                line = str(error)
                assert (
                    said(fault, requests[index]) in line
                    and "\n" not in line
                    and TOKEN not in line
                    and line.startswith("cannot ")
                ), where
                if repo := hub.repos.get(DATASET):
                    assert_whole(repo)
                publish(built)
            if fault == 429:
                assert online[0] in (1, 2), where  # as Retry-After says; the client itself adds a second
            repo = hub.repos[DATASET]
            assert_whole(repo)
            assert repo.commits[-1][1] == wanted and repo.tags == {"v1.0.0": repo.commits[-1][0]} and len(repo.commits) == 2, (
                where
            )
            assert len(set(hub.received)) == 10, where
            assert fault in ("lost", "stall") or len(hub.received) == 10, (
                where
            )  # the client does not know that it arrived, and sends it again


def test_every_request_of_an_update_fails_in_its_turn(built: Path, hub: Hub, online: list[float], tmp_path: Path):
    """A second version of a repository that is made public on the way: its own requests, those that read and the last one."""
    folder = Path(shutil.copytree(built, tmp_path / "data"))
    shutil.rmtree(folder / "labels")
    requests: list[str] = []

    def first() -> None:
        reset(hub)
        publish(folder)
        hub.log.clear()

    first()
    requests = requests_of(hub, lambda: publish(built, public=True))
    wanted = hub.repos[DATASET].commits[-1][1]
    own = [
        index for index, request in enumerate(requests) if request.startswith("GET") or request.endswith(("settings", "main"))
    ]
    assert len(own) == 7 and requests[-1].endswith("/settings")
    for index in own:
        for fault in ("lost", 500, 403):
            first()
            hub.faults[index] = fault
            try:
                publish(built, public=True)
            except InputError as error:
                assert fault == 403 and said(403, requests[index]) in str(error)
                publish(built, public=True)
            repo = hub.repos[DATASET]
            assert_whole(repo)
            assert repo.commits[-1][1] == wanted and list(repo.tags) == ["v1.0.0", "v1.1.0"] and not repo.private


def test_every_request_of_a_fetch_fails_in_its_turn(built: Path, hub: Hub, online: list[float], tmp_path: Path, monkeypatch):
    from huggingface_hub import constants

    folder = Path(shutil.copytree(built, tmp_path / "data"))
    shutil.rmtree(folder / "labels")
    publish(folder)
    files = {path: content for path, content in hub.repos[DATASET].commits[-1][1].items() if path != ".gitattributes"}

    def fetch(name: str) -> Path:
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache" / name))
        return fetching.fetch(NAME, tmp_path / name)[0]

    requests = requests_of(hub, lambda: fetch("clean"))
    assert len(requests) == 2 + 2 * (len(files) + 1)
    for index in (0, 1, 4, len(requests) - 1):
        for fault in (500, "cut", "half", 403, *((429, "stall", 401) if index < 2 else ())):
            hub.log.clear()
            hub.faults.clear()
            set_fault(hub, monkeypatch, index, fault)
            name = f"{index}-{fault}"
            try:
                out = fetch(name)
            except InputError as error:
                assert fault in (401, 403) and "\n" not in str(error), (requests[index], fault, error)
                assert not (tmp_path / name).exists()
                out = fetch(name)
            assert {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()} == files
    hub.log.clear()
    hub.faults.clear()
    hub.faults["pairs/train"] = "damaged"
    with pytest.raises(InputError, match="arrived damaged"):
        fetch("damaged")
    hub.faults.clear()
    assert (fetch("damaged") / "recipe.json").read_bytes() == files["recipe.json"]


@pytest.mark.parametrize("moment", ["PUT", "/commit/", "/tag/"])
def test_killed_and_run_again_it_is_complete_and_nothing_is_sent_twice(
    moment: str, built: Path, hub: Hub, tmp_path: Path, online
):
    words = [sys.executable, "-m", "safefeedback", "publish", str(built), NAME]
    process = subprocess.Popen(words, env={**os.environ, **hub.env(tmp_path / "hf")}, cwd=tmp_path)
    seen = []

    def kill(index: int) -> None:
        seen.append(hub.log[index])
        if sum(moment in request for request in seen) == (4 if moment == "PUT" else 1):
            process.send_signal(signal.SIGKILL)

    hub.on_request = kill
    assert process.wait() == -signal.SIGKILL
    hub.on_request = None
    hub.lock.acquire()
    hub.lock.release()  # the request in progress is finished
    publish(built)
    repo = hub.repos[DATASET]
    assert_whole(repo)
    assert len(hub.received) == len(set(hub.received)) == 10 and len(repo.commits) == 2
    assert repo.tags == {"v1.0.0": repo.commits[-1][0]}


def test_versions_tell_what_changed(built: Path, hub: Hub, online: list[float], tmp_path: Path):
    folder = Path(shutil.copytree(built, tmp_path / "data"))
    assert publish(folder)["version"] == "v1.0.0"
    assert publish(folder)["sent"] == {} and publish(folder, tag="v1.0.0")["commit"] is None
    (folder / "README.md").write_text((folder / "README.md").read_text() + "\nMind the second circle.\n")
    assert publish(folder)["version"] == "v1.0.1"
    relabel(folder, [{"noise": 0.4}], "more")
    result = publish(folder, message="asked for by A. Person")
    assert result["version"] == "v1.1.0" and result["line"] == "adds labels/more; asked for by A. Person"
    assert {path.split("/")[0] for path in result["sent"]} == {"README.md", "croissant.json", "labels"} and result["kept"] == 12
    shutil.rmtree(folder / "labels" / "noisy")
    result = publish(folder)
    assert result["version"] == "v2.0.0" and len(result["removed"]) == 5
    assert not any("noisy" in path for path in hub.repos[DATASET].commits[-1][1] if path != "README.md")
    assert publish(folder, tag="camera-ready")["version"] == "camera-ready"
    card = hub.repos[DATASET].commits[-1][1]["README.md"].decode()
    versions, notes = changelog(card)
    assert [name for name, _ in versions] == ["camera-ready", "v2.0.0", "v1.1.0", "v1.0.1", "v1.0.0"]
    assert notes == "Mind the second circle."
    assert list(hub.repos[DATASET].tags) == ["v1.0.0", "v1.0.1", "v1.1.0", "v2.0.0", "camera-ready"]


def test_what_was_written_on_the_server_stays(built: Path, hub: Hub, online: list[float]):
    publish(built)
    files = dict(hub.repos[DATASET].commits[-1][1])
    files["README.md"] += b"\nSeen in the seminar.\n"
    files["notes.txt"] = b"mine"
    hub.repos[DATASET].commit(files, "by hand")
    result = publish(built)
    after = hub.repos[DATASET].commits[-1][1]
    assert result["sent"] == {} and after == files


def test_a_change_meanwhile_is_reported_and_not_overwritten(built: Path, hub: Hub, online: list[float], tmp_path: Path):
    publish(built)
    folder = Path(shutil.copytree(built, tmp_path / "data"))
    relabel(folder, [{"noise": 0.4}], "more")

    def meddle(index: int) -> None:
        if "/validate-yaml" in hub.log[index] and len(hub.repos[DATASET].commits) == 2:
            hub.repos[DATASET].commit({**hub.repos[DATASET].commits[-1][1], "theirs.txt": b"theirs"}, "by somebody else")

    hub.on_request = meddle
    with pytest.raises(InputError, match="cannot publish to user/ball: somebody changed it meanwhile"):
        publish(folder)
    assert [title for _, _, title in hub.repos[DATASET].commits][-1] == "by somebody else"
    publish(folder)
    assert hub.repos[DATASET].commits[-1][1]["theirs.txt"] == b"theirs" and "v1.1.0" in hub.repos[DATASET].tags


def test_a_tag_that_was_missed_goes_to_its_own_commit(built: Path, hub: Hub, online: list[float]):
    hub.faults["/tag/"] = 403
    with pytest.raises(InputError, match="cannot tag user/ball"):
        publish(built)
    hub.faults.clear()
    repo = hub.repos[DATASET]
    whole, files = repo.commits[-1][:2]
    repo.commit({path: content for path, content in files.items() if not path.startswith("oracle")}, "by hand")
    assert publish(built)["line"] == "adds oracle"
    assert repo.tags["v1.0.0"] == whole and repo.commits[-1][0] == repo.tags["v1.1.0"]


def test_refused_in_one_line(built: Path, hub: Hub, online: list[float], tmp_path: Path, monkeypatch):
    def line(*, repo: str = NAME, folder: Path = built, **choices: Any) -> str:
        with pytest.raises(InputError) as error:
            publish(folder, repo, **choices)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "the token has no right" in line(repo="other/ball")
    for name in ("ball", "user/ball/x", "user/a..b", "user/a b", "../x", "user/b\u00e4ll", "user-/ball", "user/ball.git"):
        for dry in (True, False):
            assert "must read user/name" in line(repo=name, dry_run=dry), name
    assert "cannot name a version" in line(tag="a/b") and "cannot name a version" in line(tag="main")
    publish(built)
    folder = Path(shutil.copytree(built, tmp_path / "data"))
    relabel(folder, [{"noise": 0.4}], "more")
    assert "the tag v1.0.0 exists already" in line(folder=folder, tag="v1.0.0")
    hub.put("dataset", "user/theirs", {"data.csv": b"1,2"})
    assert "user/theirs will not be overwritten: it holds other files (data.csv)" in line(repo="user/theirs")
    hub.put("dataset", "user/odd", {"recipe.json": b'{"recipe": []}'})
    assert "it holds something else" in line(repo="user/odd") and "cannot name a version" in line(tag="v1.lock")
    with pytest.raises(InputError, match="makes no sense: check HF_ENDPOINT"):
        network.retry("cannot read it", lambda: {}["id"])
    hub.put("dataset", "user/run", {"recipe.json": b'{"recipe": {"task": "BallRun"}}'})
    assert "it holds the task BallRun" in line(repo="user/run")
    monkeypatch.setenv("HF_TOKEN", GUEST)
    assert "write access" in line(folder=folder)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "the token was refused" in line(folder=folder) and "hf_wrong" not in line(folder=folder)
    monkeypatch.setenv("HF_TOKEN", "hf_a\u00e9b")
    assert "characters that no token has" in line()
    monkeypatch.setenv("HF_TOKEN", "")
    assert "there is no token" in line()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.always = 500
    assert "the server failed (500), 3 times in a row" in line()
    hub.always = 429
    assert "the server asks for patience (429)" in line()
    (folder / "oracle" / "train-00000-of-00001.parquet").unlink()
    assert "has no oracle/train-00000-of-00001.parquet" in line(folder=folder)
    assert "is not a dataset of safefeedback" in line(folder=tmp_path)


SENTENCES = {
    "gated": "its owner lets in whoever asks: ask for access at ",
    401: "the token was refused: make one at",
    403: "the server lets nobody with this token read that (You don't have the required rights): look at its rights at ",
    404: "there is no such repository, or it is private and the token may not see it",
    429: "the server asks for patience (429): run the same command again later",
}


@pytest.mark.parametrize("fault", SENTENCES)
def test_the_servers_own_word_on_whatever_reads(fault: int | str, hub: Hub, online: list[float], tmp_path: Path):
    """Each has its own message, and none mentions writing."""
    import presa

    hub.always = None if fault == 404 else fault
    reads: dict[str, Callable[[], object]] = {
        "datasets/user/ball": lambda: fetching.fetch(NAME, tmp_path / "out"),
        "user/ball": lambda: safefeedback.read(NAME),
        "datasets/user/ball ": lambda: inspect_dataset(NAME),
        "user/run": lambda: presa.load("user/run"),
        "datasets/user/ball  ": lambda: whole_dataset(NAME),
    }
    for page, read in reads.items():
        with pytest.raises(InputError) as error:
            read()
        line = str(error.value)
        assert SENTENCES[fault] in line and "write" not in line and "\n" not in line, line
        assert fault != "gated" or (f"{hub.url}/" in line and page.strip().rpartition("/")[2] in line)


def test_a_published_dataset_is_verified_by_its_name(built: Path, hub: Hub, online: list[float], capsys):
    publish(built)
    with pytest.raises(SystemExit) as ended:
        main(["verify", f"{NAME}@v1.0.0"])
    assert not ended.value.code and "ok: user/ball@v1.0.0 is what it says" in capsys.readouterr().out
    hub.faults["/resolve/"] = "damaged"
    with pytest.raises(SystemExit) as ended:
        main(["verify", "nobody/nothing"])
    assert ended.value.code == 2 and "there is no such repository" in capsys.readouterr().err


def test_no_network_is_one_line_within_seconds(built: Path, online: list[float], monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(InputError) as error:
        hub_commands.publish(built, NAME, as_json=True)
    assert time.monotonic() - started + sum(online) < 90
    line = str(error.value)
    assert line.startswith("cannot read user/ball: http://127.0.0.1:9 cannot be reached")
    assert TOKEN not in line and "\n" not in line


def test_a_dry_run_sends_nothing_and_needs_no_server(built: Path, hub: Hub, online: list[float], monkeypatch):
    result = publish(built, dry_run=True)
    assert result["version"] == "v1.0.0" and len(result["sent"]) == 14 and not hub.repos and not hub.received
    publish(built)
    assert publish(built, dry_run=True)["sent"] == {}
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_TOKEN", "")
    result = publish(built, dry_run=True)
    assert len(result["sent"]) == 14 and result["note"].startswith(
        "not compared with the server: cannot read user/ball: HF_HUB"
    )


def test_a_damaged_dataset_is_not_published(built: Path, hub: Hub, online: list[float], tmp_path: Path):
    folder = Path(shutil.copytree(built, tmp_path / "data"))
    file = folder / "pairs" / "train-00000-of-00001.parquet"
    table = pq.read_table(file)
    pq.write_table(table.slice(0, len(table) - 1), file)
    with pytest.raises(InputError, match=r"will not be published: .*pairs/train-00000-of-00001.parquet"):
        hub_commands.publish(folder, NAME, as_json=True)
    (folder / "recipe.json").write_text("[]")
    with pytest.raises(InputError, match=r"will not be published: recipe.json"):
        hub_commands.publish(folder, NAME, as_json=True)
    assert hub.log == []


def test_a_full_disk_while_fetching_leaves_nothing(built: Path, hub: Hub, online: list[float], tmp_path: Path):
    """RLIMIT_FSIZE makes every write past the limit fail, as a full disk does."""
    publish(built)
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))\n"
        "from safefeedback.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    words = [sys.executable, "-c", code, "fetch", NAME, "--out", str(tmp_path / "out")]
    env = {**os.environ, **hub.env(tmp_path / "hf")}
    result = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 2 and len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "File too large: free some space, or set HF_HOME" in result.stderr
    assert not list(tmp_path.glob("*out*"))


def test_a_private_dataset_is_not_shown_without_a_token(
    built: Path, hub: Hub, online: list[float], monkeypatch, tmp_path: Path
):
    publish(built)
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(InputError, match="cannot fetch user/ball: there is no such repository, or it is private"):
        fetching.fetch(NAME, tmp_path / "out")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert publish(built, public=True)["private"] is False
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(InputError, match="cannot fetch user/ball at v9: there is no such revision"):
        fetching.fetch(NAME, tmp_path / "out", "v9")
    assert fetching.fetch(NAME, tmp_path / "out", "v1.0.0")[1][""].splits == {"train": 10, "test": 10}


def test_what_is_public_can_have_a_doi(built: Path, hub: Hub, tmp_path: Path):
    """The last line says how, except for a private repository or a dry run."""
    env = hub.env(tmp_path / "hf")
    for words, told in (((), False), (("--public", "--dry-run"), False), (("--public",), True)):
        result = run_cli("publish", built, NAME, *words, cwd=tmp_path, env=env)
        assert result.returncode == 0, result.stderr
        last = result.stdout.splitlines()[-1]
        assert ("DOI" in result.stdout) == told == last.startswith("for a DOI to cite: "), result.stdout
    assert f"/datasets/{NAME}/settings, Generate DOI" in last


def test_anonymous_leaves_out_who_recorded(tmp_path: Path, hub: Hub, online: list[float]):
    recipe = Recipe(tasks()["BallCircle"], pairs=10, length=4)
    source = write_hdf5(tmp_path / "ball.hdf5", [20] * 8)
    terms = {"author": "Q. Quimby", "citation": "@misc{quimby}", "license": "mit"}
    folder, _ = safefeedback.build_dataset(recipe, str(source), tmp_path / "data", terms=terms)
    (folder / "README.md").write_text((folder / "README.md").read_text() + "\nAsk Q. Quimby.\n")
    publishing.publish(dataset_release(folder, NAME, anonymous=True), NAME)
    files = hub.repos[DATASET].commits[-1][1]
    text = b"".join(content for path, content in files.items() if not path.endswith(".parquet")).decode()
    assert "quimby" not in text.lower() and "license: mit" in text
    from safefeedback.verification.verify import verify

    fetched, _, _ = fetching.fetch(NAME, tmp_path / "here")
    assert not [check for check in verify(fetched, source) if check.problems]
    publish(folder)
    assert b"Q. Quimby" in hub.repos[DATASET].commits[-1][1]["recipe.json"]
    publishing.publish(dataset_release(folder, NAME, anonymous=True), NAME)
    assert b"Ask Q. Quimby" not in hub.repos[DATASET].commits[-1][1]["README.md"]


@pytest.mark.parametrize("manifest", [b"[]", b"{}", b'{"files": 3}', b"[" * 100_000], ids=("list", "empty", "number", "deep"))
def test_what_is_no_manifest_is_fetched_as_one_line(manifest: bytes, hub: Hub, online: list[float], tmp_path: Path):
    hub.put("dataset", "other/odd", {"recipe.json": manifest})
    with pytest.raises(InputError) as error:
        fetching.fetch("other/odd", tmp_path / "out")
    assert "\n" not in str(error.value) and not list(tmp_path.glob("*out*"))


def test_a_manifest_that_names_files_elsewhere_reaches_none_of_them(built: Path, hub: Hub, online: list[float], tmp_path: Path):
    publish(built)
    files = dict(hub.repos[DATASET].commits[-1][1])
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    for path in ("recipe.json", "labels/noisy/recipe.json"):
        manifest = json.loads(files[path])
        manifest["files"][str(mine)] = next(iter(manifest["files"].values()))
        hub.put("dataset", "other/evil", {**files, path: json.dumps(manifest).encode()})
        with pytest.raises(InputError, match="names the file"):
            fetching.fetch("other/evil", tmp_path / "out")
        assert mine.read_text() == "precious"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:9"}, "a SOCKS proxy is set, which needs the package socksio: "),
        ({"SSL_CERT_FILE": "/nowhere.pem"}, "SSL_CERT_FILE names /nowhere.pem, which is not there"),
        ({"HTTPS_PROXY": "http://proxy:port"}, "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or HF_ENDPOINT holds what is no address"),
        ({"HF_TOKEN": "tökén"}, "the token for the Hub holds characters that no token has: "),
    ],
)
def test_settings_of_the_network_that_cannot_work_are_named(variables: dict[str, str], message: str, tmp_path: Path):
    """In a process of its own: the client reads them when it starts."""
    if "ALL_PROXY" in variables and find_spec("socksio") is not None:
        pytest.skip("socksio is installed")
    code = "from safefeedback.cli import main; main(['fetch', 'user/ball', '--out', 'x'])"
    env = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://localhost:9", "NO_PROXY": "", **variables}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith(f"error: cannot fetch user/ball: {message}"), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_certificate_that_is_not_trusted_is_no_lack_of_a_network():
    from safefeedback.hub.client import failure_reason

    error = OSError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1016)")
    assert "is not trusted here: set SSL_CERT_FILE" in failure_reason(error)
