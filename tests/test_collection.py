"""One repository with many tasks: published to a Hub on loopback, loaded, read, fetched, and refused in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import run_cli, write_hdf5
from hub_server import Hub

import safefeedback
from safefeedback.cli import hub as hub_commands
from safefeedback.dataset.label_sets import relabel
from safefeedback.dataset.reading import open_dataset
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.publish.collection import collection_release, dataset_names
from safefeedback.publish.dataset import dataset_release
from safefeedback.publish.fetch import fetch
from safefeedback.publish.push import publish
from safefeedback.tasks import tasks
from safefeedback.verification.verify import verify

NAME = "user/many"
KEY = ("dataset", NAME)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets side by side, one with two splits and a label set."""
    place = tmp_path_factory.mktemp("collection")
    for task, dims, test_fraction in (("BallCircle", (8, 2), 0.5), ("CarRun", (7, 2), 0.0)):
        source = write_hdf5(place / f"{task}.hdf5", [20] * 8, dims)
        recipe = Recipe(tasks()[task], pairs=12, length=4, test_fraction=test_fraction)
        safefeedback.build_dataset(recipe, str(source), place / "many" / task, terms={"author": "Q. Quimby"})
    relabel(place / "many" / "BallCircle", [{"noise": 0.5}], "noisy")
    return place / "many"


def send(folder: Path, **choices: Any) -> dict[str, Any]:
    return publish(collection_release(folder, NAME), NAME, **choices)


def test_the_tasks_are_configs_that_load_to_the_same_bytes(built: Path, hub: Hub, tmp_path: Path):
    result = run_cli("publish", built, NAME, "--json", cwd=tmp_path, env=hub.env(tmp_path / "hf"))
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["version"] == "v1.0.0" and len(hub.repos[KEY].commits) == 2
    code = (
        "import datasets, pathlib, pyarrow.parquet as pq, sys\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "assert sorted(datasets.get_dataset_config_names('user/many')) == [\n"
        "    'BallCircle', 'BallCircle-noisy', 'BallCircle-noisy-oracle', 'BallCircle-oracle', 'BallCircle-scalars',\n"
        "    'CarRun', 'CarRun-oracle', 'CarRun-scalars']\n"
        "both, one = ['train', 'test'], ['train']\n"
        "for config, place, splits in (('BallCircle', 'BallCircle/pairs', both), ('CarRun', 'CarRun/pairs', one),\n"
        "        ('CarRun-oracle', 'CarRun/oracle', one), ('CarRun-scalars', 'CarRun/oracle/scalars', one),\n"
        "        ('BallCircle-noisy', 'BallCircle/labels/noisy', both)):\n"
        "    data = datasets.load_dataset('user/many', config, revision='v1.0.0')\n"
        "    assert list(data) == splits\n"
        "    for split in splits:\n"
        "        table = pq.read_table(next((folder / place).glob(split + '-*')))\n"
        "        loaded = data[split].with_format('arrow')[:]\n"
        "        assert loaded.column_names == table.column_names\n"
        "        assert all(loaded[name].combine_chunks() == table[name].combine_chunks() for name in table.column_names)\n"
    )
    words = [sys.executable, "-c", code, str(built)]
    env = {**os.environ, **hub.env(tmp_path / "hf")}
    loaded = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr


def test_one_of_several_is_read_and_fetched_by_its_name(built: Path, hub: Hub, online: list[float], tmp_path: Path):
    send(built)
    for source in (f"{NAME}/BallCircle", f"{NAME}/BallCircle@v1.0.0"):
        there, here = safefeedback.read(source, "noisy", "test"), safefeedback.read(built / "BallCircle", "noisy", "test")
        assert there.observations.tobytes() == here.observations.tobytes() and there.safe.tobytes() == here.safe.tobytes()
    asked = [request for request in hub.log if "/resolve/" in request]
    assert asked and not any("CarRun" in request for request in asked)  # files that are not read are not fetched
    assert (
        safefeedback.read_oracle(f"{NAME}/CarRun").costs.tobytes() == safefeedback.read_oracle(built / "CarRun").costs.tobytes()
    )
    assert list(open_dataset(f"{NAME}/BallCircle").label_sets) == ["noisy"] and not open_dataset(f"{NAME}/CarRun").label_sets
    out, manifests, _ = fetch(f"{NAME}/BallCircle@v1.0.0", tmp_path / "one")
    assert set(manifests) == {""} and not (out / "CarRun").exists()
    assert not [check for check in verify(out) if check.problems]
    for path in built.joinpath("BallCircle").rglob("*.*"):
        assert (out / path.relative_to(built / "BallCircle")).read_bytes() == path.read_bytes(), path
    out, manifests, _ = fetch(NAME, tmp_path / "all")
    assert list(manifests) == ["BallCircle", "CarRun"] == dataset_names(out)
    assert not [check for name in manifests for check in verify(out / name) if check.problems]
    assert send(out)["sent"] == {}  # only fetched files are there
    (out / "CarRun" / "README.md").unlink()
    assert fetch(NAME, out, overwrite=True)[0] == out and (out / "CarRun" / "README.md").is_file()  # labels come again
    files = [path for path in (built / "CarRun").rglob("*") if path.is_file()]
    hub.put("dataset", "user/single", {str(path.relative_to(built / "CarRun")): path.read_bytes() for path in files})
    with pytest.raises(InputError, match="is not a dataset of safefeedback and will not be overwritten"):
        fetch("user/single", out, overwrite=True)
    relabel(out / "CarRun", [{"noise": 0.4}], "mine")
    with pytest.raises(InputError, match=r"CarRun holds label sets, which --overwrite would delete"):
        fetch(NAME, out, overwrite=True)
    with pytest.raises(InputError, match="will not be overwritten"):
        safefeedback.build_dataset(Recipe(tasks()["CarRun"], pairs=20), "recordings", out, overwrite=True)
    assert dataset_names(out) == ["BallCircle", "CarRun"]
    shutil.rmtree(out / "CarRun" / "labels")
    with pytest.raises(
        InputError, match=r"all is not a dataset of safefeedback but holds BallCircle, CarRun: name one, such as .*/BallCircle"
    ):
        safefeedback.read(out)


def test_versions_tell_which_of_them_changed(built: Path, hub: Hub, online: list[float], tmp_path: Path):
    folder = Path(shutil.copytree(built, tmp_path / "many"))
    shutil.move(folder / "CarRun", tmp_path / "CarRun")
    assert send(folder)["version"] == "v1.0.0"
    shutil.move(tmp_path / "CarRun", folder / "CarRun")
    result = send(folder)
    assert (result["version"], result["line"]) == ("v1.1.0", "adds CarRun")
    relabel(folder / "CarRun", [{"noise": 0.25}], "quarter")
    result = send(folder)
    assert (result["version"], result["line"]) == ("v1.2.0", "adds CarRun/labels/quarter")
    shutil.rmtree(folder / "BallCircle" / "labels")
    assert send(folder)["line"].endswith("removes BallCircle/labels/noisy") and list(hub.repos[KEY].tags)[-1] == "v2.0.0"
    card = hub.repos[KEY].commits[-1][1]["README.md"].decode()
    assert f'load_dataset("{NAME}", "BallCircle", split="train")' in card and "noisy" not in card.partition("## Versions")[0]


def test_refused_in_one_line(built: Path, hub: Hub, online: list[float], tmp_path: Path):
    def line(folder: Path) -> str:
        with pytest.raises(InputError) as error:
            send(folder)
        assert "\n" not in str(error.value)
        return str(error.value)

    send(built)
    alone = Path(shutil.copytree(built / "CarRun", tmp_path / "some" / "CarRun")).parent
    assert f"it holds BallCircle as well: `safefeedback fetch {NAME}/BallCircle --out {alone}/BallCircle`" in line(alone)
    swapped = Path(shutil.copytree(built, tmp_path / "swapped"))
    shutil.rmtree(swapped / "CarRun")
    shutil.copytree(swapped / "BallCircle", swapped / "CarRun")
    assert "its CarRun is of the task CarRun" in line(swapped)
    with pytest.raises(InputError, match="it holds other files"):
        publish(dataset_release(built / "CarRun", NAME), NAME)
    other = Path(shutil.copytree(built, tmp_path / "other"))
    (other / "notes.txt").write_text("mine")
    assert "holds notes.txt, which is not a dataset" in line(other)
    (other / "notes.txt").unlink()
    shutil.copytree(other / "CarRun", other / "BallCircle-noisy")
    assert "two things would be called BallCircle-noisy" in line(other)
    (other / "BallCircle-noisy").rename(other / "two words")
    assert "cannot have that name on the Hub" in line(other)
    for source, wanted in (
        (NAME, f"{NAME} is not a dataset of safefeedback but holds BallCircle, CarRun: name one, such as {NAME}/BallCircle"),
        (f"{NAME}/AntRun", f"{NAME} has no dataset 'AntRun'; it has BallCircle, CarRun"),
        (f"{NAME}/CarRun/pairs", "does not name a Hub repository"),
    ):
        with pytest.raises(InputError, match=wanted):
            safefeedback.read(source)
    with pytest.raises(InputError, match="has no dataset 'AntRun'"):
        fetch(f"{NAME}/AntRun", tmp_path / "out")
    hub.put("dataset", "user/bad", {"datasets.json": b'{"../up": {}}'})
    with pytest.raises(InputError, match=r"user/bad: datasets.json does not name datasets"):
        fetch("user/bad", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_that_is_damaged_keeps_all_from_going_up(built: Path, hub: Hub, online: list[float], tmp_path: Path):
    folder = Path(shutil.copytree(built, tmp_path / "many"))
    file = folder / "CarRun" / "oracle" / "train-00000-of-00001.parquet"
    table = pq.read_table(file)
    pq.write_table(table.slice(0, len(table) - 1), file)
    with pytest.raises(InputError, match=r"CarRun will not be published: .*oracle/train-00000"):
        hub_commands.publish(folder, NAME, as_json=True)
    assert hub.log == []


def test_the_metadata_of_all_describe_every_file(built: Path, tmp_path: Path):
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    release = collection_release(built, NAME)
    found = json.loads(release.files["croissant.json"])
    for file in found["distribution"]:
        assert file["contentUrl"].endswith(f"/datasets/{NAME}/resolve/main/{file['@id']}")
        file["contentUrl"] = str(built / file["@id"])
    assert {file["@id"] for file in found["distribution"]} == {path for path in release.files if path.endswith(".parquet")}
    (tmp_path / "croissant.json").write_text(json.dumps(found))
    dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    table = pq.read_table(built / "CarRun" / "pairs" / "train-00000-of-00001.parquet")
    rows = list(dataset.records(record_set="CarRun/pairs-train"))
    assert [row["CarRun/pairs-train/pair_id"] for row in rows] == table["pair_id"].to_pylist()


def test_anonymous_leaves_every_author_out(built: Path):
    release = collection_release(built, NAME, anonymous=True)
    texts = [content for path, content in release.files.items() if not path.endswith(".parquet") and isinstance(content, bytes)]
    assert len(texts) == 6 and b"Quimby" not in b"".join(texts) and "Quimby" not in release.card
    assert "Quimby" in collection_release(built, NAME).card
