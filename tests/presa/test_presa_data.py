"""A dataset as tensors, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")

from feedback_cases import set_column, write_dataset  # noqa: E402

from presa import cache as store  # noqa: E402
from presa.cache import make_room, mark_used  # noqa: E402
from presa.cli import main  # noqa: E402
from presa.data.pairs import load_data, resolve_device  # noqa: E402
from safefeedback import read  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path, ball_file: Path) -> Path:
    return write_dataset(tmp_path / "data", ball_file)


def test_the_tensors_are_the_datasets_numbers(folder: Path) -> None:
    data, arrays, held_out = load_data(folder), read(folder), read(folder, split="test")
    assert data.test is not None and (len(data.train), len(data.test)) == (45, 15)
    for split, dataset in ((data.train, arrays), (data.test, held_out)):
        for name in ("observations", "actions", "preference", "safe"):
            np.testing.assert_array_equal(getattr(split, name).numpy(), getattr(dataset, name))
    assert data.held_out == set(held_out.episode.ravel().tolist())
    assert (data.task.name, data.cost_limit, data.length) == ("BallCircle", 20.0, 8)
    assert data.identity["content_sha256"] == json.loads((folder / "recipe.json").read_text())["content"]["sha256"]


def test_the_first_pairs_are_the_first_pairs(folder: Path) -> None:
    few, all_ = load_data(folder, pairs=7), load_data(folder)
    assert torch.equal(few.train.observations, all_.train.observations[:7]) and len(few.train) == 7
    assert few.identity["segments_sha256"] != all_.identity["segments_sha256"]
    with pytest.raises(InputError, match="between 1 and the dataset's 45, not 46"):
        load_data(folder, pairs=46)


def test_unanswered_labels_become_nan(folder: Path) -> None:
    set_column(folder, "preference", [None, 0.5] + [1.0] * 43)
    set_column(folder, "is_safe_1", [None, True] + [False] * 43)
    train = load_data(folder).train
    assert train.preference.isnan().tolist() == [True] + [False] * 44 and train.preference[1] == 0.5
    assert train.safe[:, 1].isnan().sum() == 1


def test_the_identity_of_segments_does_not_depend_on_labels(folder: Path) -> None:
    before = load_data(folder).identity
    set_column(folder, "preference", [1.0] * 45)
    after = load_data(folder).identity
    assert before["segments_sha256"] == after["segments_sha256"] and before["labels_sha256"] != after["labels_sha256"]


def test_a_label_set_need_not_label_the_test_split(folder: Path) -> None:
    published = load_data(folder)
    for split in ("train", "test"):
        (file,) = (folder / "pairs").glob(f"{split}-*.parquet")
        table = pq.read_table(file, columns=["pair_id", "preference", "is_safe_0", "is_safe_1"])
        for name in ("train_only", "empty", "few"):
            if (name, split) != ("train_only", "test"):
                place = folder / "labels" / name
                place.mkdir(parents=True, exist_ok=True)
                rows = len(table) if split == "train" else {"empty": 0, "few": 2}[name]
                pq.write_table(table.slice(0, rows), place / file.name)
    for name, count in (("train_only", 0), ("empty", 0), ("few", 2)):
        data = load_data(folder, labels=name)
        assert (0 if data.test is None else len(data.test)) == data.identity["pairs_test"] == count
        assert (data.test is None) == (count == 0) and data.held_out == published.held_out


def test_what_cannot_be_trained_on_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    def edited(name: str, **changes: object) -> Path:
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        recipe = json.loads((copy / "recipe.json").read_text()) | changes
        (copy / "recipe.json").write_text(json.dumps({key: value for key, value in recipe.items() if value is not None}))
        return copy

    task = json.loads((folder / "recipe.json").read_text())["task"]
    (tmp_path / "empty").mkdir()
    not_finite = edited("nan")
    (file,) = (not_finite / "pairs").glob("train-*")
    values = pq.read_table(file)["actions_0"].to_pylist()
    values[3][0] = float("nan")
    set_column(not_finite, "actions_0", values)
    for place, message in (
        (tmp_path / "nowhere", "there is no folder"),
        (tmp_path / "empty", "not a dataset of safefeedback"),
        (edited("version", format_version=2), "format version 2"),
        (edited("bare", task=None), "no field 'task'"),
        (edited("dims", task={**task, "action_dim": 3}), "2 action dims but the task BallCircle has 8 and 3"),
        (not_finite, f"actions of pair {read(folder).pair_id[3]} are not finite"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            load_data(place)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no label set 'mine'"):
        load_data(folder, labels="mine")
    with pytest.raises(InputError, match="--device nothing"):
        resolve_device("nothing")


def test_segments_are_unpacked_once_and_again_when_a_file_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from presa.data import segments

    first = load_data(folder)
    monkeypatch.setattr(segments, "arrays_sha256", None)  # nothing is unpacked any more
    again = load_data(folder)
    assert again.identity == first.identity
    for split in ("train", "test"):
        for name in ("observations", "actions", "preference", "safe"):
            ours, theirs = (getattr(getattr(data, split), name) for data in (first, again))
            assert torch.equal(ours, theirs)
    again.train.observations.zero_()  # a copy: the cached segments do not change
    assert torch.equal(load_data(folder).train.observations, first.train.observations)
    (path,) = (folder / "pairs").glob("train-*.parquet")
    path.write_bytes(path.read_bytes())
    with pytest.raises(TypeError):  # it is read again
        load_data(folder)
    monkeypatch.undo()
    monkeypatch.setenv("PRESA_CACHE", "/dev/null/nowhere")  # no room is no error
    assert load_data(folder).identity == first.identity


def test_what_is_kept_has_a_limit_and_can_be_emptied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def told(*words: str) -> dict:
        with pytest.raises(SystemExit) as ended:
            main(["cache", *words, "--json"])
        assert not ended.value.code
        return json.loads(capsys.readouterr().out)

    kept = tmp_path / "kept"
    monkeypatch.setenv("PRESA_CACHE", str(kept))
    load_data(folder)
    size = sum(path.stat().st_size for path in (kept / "segments").iterdir())
    assert told()["bytes"] == size and told()["limit"] == 20e9 and told()["segments"]["files"] == 2
    monkeypatch.setenv("PRESA_CACHE_LIMIT", str(2 * size / 1e9))
    for name, when in (("old", 1), ("older", 0)):
        (kept / "cloned").mkdir(exist_ok=True)
        (kept / "cloned" / f"{name}.safetensors").write_bytes(bytes(size))
        os.utime(kept / "cloned" / f"{name}.safetensors", (when, when))
    new = kept / "segments" / "new.safetensors"
    new.write_bytes(bytes(10))
    mark_used(kept / "cloned" / "older.safetensors")  # it is now the newest
    make_room(new)
    assert {path.name for path, *_ in store.cached_files()} >= {"older.safetensors", "new.safetensors"}
    assert not (kept / "cloned" / "old.safetensors").exists() and told()["bytes"] <= 2 * size
    monkeypatch.setenv("PRESA_CACHE_LIMIT", "0")
    make_room(new)
    assert [path.name for path, *_ in store.cached_files()] == ["new.safetensors"]
    assert told("--empty")["bytes"] == 0 and told("--empty")["bytes"] == 0
    monkeypatch.setenv("PRESA_CACHE_LIMIT", "much")
    with pytest.raises(InputError, match="PRESA_CACHE_LIMIT must be a number of gigabytes"):
        store.size_limit()


def test_kept_segments_that_are_damaged_are_unpacked_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESA_CACHE", str(tmp_path / "kept"))
    first = load_data(folder)
    for kept in (tmp_path / "kept" / "segments").iterdir():
        kept.write_bytes(kept.read_bytes()[:1000])
    for _ in range(2):
        assert torch.equal(load_data(folder).train.observations, first.train.observations)


def test_segments_that_find_no_room_are_not_kept(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setenv("PRESA_CACHE", str(tmp_path / "kept"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        load_data(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "kept" / "segments").iterdir()) == []


def test_preferences_that_say_nothing_are_warned_of(folder: Path) -> None:
    set_column(folder, "preference", [0.5] * 45)
    with pytest.warns(UserWarning, match="all 45 preferences are ties: there is no better segment to learn from"):
        load_data(folder)
