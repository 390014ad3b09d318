"""Labels published alone over somebody else's dataset, on a Hub on loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import write_hdf5
from hub_server import Hub

import safefeedback
from safefeedback.cli import hub as hub_commands
from safefeedback.dataset.label_sets import relabel
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.publish.dataset import dataset_release
from safefeedback.publish.fetch import fetch
from safefeedback.publish.label_set import labels_release
from safefeedback.publish.push import publish
from safefeedback.tasks import tasks
from safefeedback.verification.verify import verify

DATA, LABELS = "other/data", "user/labels"
BASE = f"{DATA}@v1.0.0"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's dataset with a label set of their own, and ours."""
    place = tmp_path_factory.mktemp("labels")
    recipe = Recipe(tasks()["BallCircle"], pairs=12, length=4, test_fraction=0.5)
    source = write_hdf5(place / "ball.hdf5", [20] * 8)
    data, _ = safefeedback.build_dataset(recipe, str(source), place / "data")
    relabel(data, [{"noise": 0.5}], "ours")
    return data


@pytest.fixture
def base(built: Path, hub: Hub, online: list[float], tmp_path: Path) -> Path:
    """The dataset as it was published, without our labels; returns the folder that has both."""
    folder = Path(shutil.copytree(built, tmp_path / "theirs"))
    shutil.rmtree(folder / "labels")
    files = {path: content for path, content in dataset_release(folder, DATA).files.items()}
    hub.put(
        "dataset",
        DATA,
        {path: content if isinstance(content, bytes) else content.read_bytes() for path, content in files.items()},
    )
    repo = hub.repos["dataset", DATA]
    repo.tags["v1.0.0"] = repo.commits[-1][0]
    return built


def test_labels_alone_are_loaded_and_joined_with_their_dataset(
    base: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture
):
    hub_commands.publish(base, LABELS, labels="ours", base=BASE, as_json=True)
    files = hub.repos["dataset", LABELS].commits[-1][1]
    assert not any("pairs" in path for path in files) and len([path for path in files if path.endswith(".parquet")]) == 4
    theirs = hub.repos["dataset", DATA].commits[-1]
    named = json.loads(files["base.json"])
    assert named["base"] == BASE and named["commit"] == theirs[0]
    assert named["content_sha256"] == json.loads(theirs[1]["recipe.json"])["content"]["sha256"]
    code = (
        "import datasets, pathlib, pyarrow.parquet as pq, sys\n"
        "for config, place in (('labels', 'ours'), ('oracle', 'ours/oracle')):\n"
        "    data = datasets.load_dataset('user/labels', config, split='test')\n"
        "    table = pq.read_table(next((pathlib.Path(sys.argv[1]) / 'labels' / place).glob('test-*')))\n"
        "    assert data.column_names == table.column_names and data.to_list() == table.to_pylist()\n"
        "assert datasets.load_dataset('user/labels', split='test').column_names[0] == 'pair_id'\n"
    )
    words, env = [sys.executable, "-c", code, str(base)], {**os.environ, **hub.env(tmp_path / "hf")}
    loaded = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    hub_commands.fetch(LABELS, out=tmp_path / "again")
    assert "label sets: ours\n" in (printed := capsys.readouterr().out) and "again --labels ours\n" in printed
    out, manifests, _ = fetch(LABELS, tmp_path / "out")
    assert list(manifests) == [""] and not [check for check in verify(out) if check.problems]
    for split in ("train", "test"):
        here, there = safefeedback.read(base, "ours", split), safefeedback.read(out, "ours", split)
        assert here.observations.tobytes() == there.observations.tobytes()
        assert np.array_equal(here.safe, there.safe) and np.array_equal(here.preference, there.preference)
    with pytest.raises(InputError, match=r"user/labels holds labels alone: `safefeedback fetch user/labels` joins them"):
        safefeedback.read(LABELS)
    assert publish(labels_release(base, LABELS, "ours", BASE), LABELS)["sent"] == {}


def test_another_dataset_is_not_joined(base: Path, hub: Hub, tmp_path: Path):
    publish(labels_release(base, LABELS, "ours", BASE), LABELS)
    theirs = dict(hub.repos["dataset", DATA].commits[-1][1])
    recipe = json.loads(theirs["recipe.json"])
    recipe["content"]["sha256"] = "0" * 64
    hub.repos["dataset", DATA].commit({**theirs, "recipe.json": json.dumps(recipe).encode()}, "changed")
    files = dict(hub.repos["dataset", LABELS].commits[-1][1])
    named = {**json.loads(files["base.json"]), "commit": hub.repos["dataset", DATA].commits[-1][0]}
    hub.repos["dataset", LABELS].commit({**files, "base.json": json.dumps(named).encode()}, "points to it")
    with pytest.raises(InputError, match=r"user/labels does not fit: other/data@v1.0.0 is not the dataset that was labelled"):
        fetch(LABELS, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    hub.repos["dataset", LABELS].commit({"base.json": b'{"labels": "../up", "base": "other/data"}'}, "points nowhere")
    with pytest.raises(InputError, match="does not say which dataset was labelled"):
        fetch(LABELS, tmp_path / "out")


def test_refused_in_one_line(base: Path, hub: Hub, tmp_path: Path):
    for labels, named, wanted in (
        ("none", BASE, "has no label set 'none'; it has ours"),
        ("ours", DATA, "does not name a version of a published dataset"),
        (
            "ours",
            f"{DATA}@v9",
            "other/data@v9 is not a folder here and cannot be fetched from the Hub: there is no such revision",
        ),
    ):
        with pytest.raises(InputError, match=wanted):
            labels_release(base, LABELS, labels, named)
    with pytest.raises(InputError, match="--labels and --base belong together"):
        hub_commands.publish(base, LABELS, labels="ours")
    recipe = Recipe(tasks()["BallCircle"], pairs=12, length=4, seed=1)
    source = write_hdf5(tmp_path / "ball.hdf5", [20] * 8)
    data, _ = safefeedback.build_dataset(recipe, str(source), tmp_path / "data")
    relabel(data, [{"noise": 0.5}], "ours")
    with pytest.raises(InputError, match=r"--base other/data@v1.0.0 is not the dataset that lies in"):
        labels_release(data, LABELS, "ours", BASE)
    assert ("dataset", LABELS) not in hub.repos


def test_a_folder_of_the_name_is_not_the_published_dataset(base: Path, hub: Hub, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(base, tmp_path / BASE)
    with pytest.raises(InputError, match=r"other/data@v1.0.0 is a folder here, which hides the published dataset"):
        labels_release(base, LABELS, "ours", BASE, dry_run=True)


def test_a_dry_run_needs_no_network(base: Path, hub: Hub):
    with pytest.raises(InputError, match="there is no such revision"):
        labels_release(base, LABELS, "ours", f"{DATA}@v9", dry_run=True)
    hub.always = 503
    result = publish(labels_release(base, LABELS, "ours", BASE, dry_run=True), LABELS, dry_run=True)
    assert result["note"].startswith("not compared with --base: other/data@v1.0.0") and "with the server" in result["note"]
    assert {"base.json", "labels/ours/recipe.json"} < result["sent"].keys()
    with pytest.raises(InputError, match="cannot be fetched from the Hub"):
        labels_release(base, LABELS, "ours", BASE)
