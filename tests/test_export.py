"""Every format is read back: by its own reader where it installs, else as its documentation says."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import run_cli, write_hdf5

import safefeedback
from safefeedback.dataset.export import export
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.sources import load
from safefeedback.tasks import tasks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pairs of four steps, some of them tied: rewards are whole numbers."""
    place = tmp_path_factory.mktemp("export")
    source = write_hdf5(place / "ball.hdf5", [20] * 8)
    with h5py.File(source, "r+") as file:
        file["rewards"][:] = np.arange(160) // 3 % 2
    recipe = Recipe(tasks()["BallCircle"], pairs=20, length=4, preference_noise=0.2)
    return safefeedback.build_dataset(recipe, str(source), place / "data")[0]


def test_cpl(folder: Path, tmp_path: Path):
    """As jhejna/cpl's FeedbackBuffer reads it: pair k is segments k and N + k, its label 1 if the second one's is larger."""
    export(folder, "cpl", tmp_path / "out", ties="keep", rewards="return")
    data, truth = safefeedback.read(folder), safefeedback.read_oracle(folder)
    with np.load(tmp_path / "out" / "train.npz") as found:
        obs, label, reward = found["obs"], found["label"], found["reward"]
        action = found["action"]
    count = len(data)
    assert (data.preference == 0.5).any() and label.dtype == reward.dtype == np.float32
    for pair in range(count):
        assert np.array_equal(obs[pair], data.observations[pair, 0]) and np.array_equal(
            obs[count + pair], data.observations[pair, 1]
        )
        assert np.array_equal(action[count + pair], data.actions[pair, 1])
        hard, soft = label[pair] < label[count + pair], label[pair] == label[count + pair]
        assert 1.0 * hard + 0.5 * soft == data.preference[pair]
        assert reward[pair].sum() == pytest.approx(truth.returns[pair, 0])
    left = export(folder, "cpl", tmp_path / "decided", ties="drop", rewards="none")
    assert left["left_out"] == (data.preference == 0.5).sum() and left["rows"] == 2 * left["pairs"]
    with np.load(tmp_path / "decided" / "train.npz") as found:
        assert not found["reward"].any() and set(found["label"]) == {0.0, 1.0}


def test_d4rl_is_read_by_our_own_reader_of_that_schema(folder: Path, tmp_path: Path):
    export(folder, "d4rl", tmp_path / "out", rewards="return")
    data, truth = safefeedback.read(folder), safefeedback.read_oracle(folder)
    episodes = load(str(tmp_path / "out" / "train.hdf5"), tasks()["BallCircle"])
    assert len(episodes) == 40 and (episodes.lengths == 4).all()
    assert np.array_equal(episodes.observations, data.observations.reshape(-1, 8))
    assert np.array_equal(episodes.actions, data.actions.reshape(-1, 2))
    np.testing.assert_allclose(episodes.rewards.reshape(20, 2, 4).sum(axis=2), truth.returns)
    np.testing.assert_allclose(episodes.costs.reshape(20, 2, 4).sum(axis=2), truth.costs)


def test_minari(folder: Path, tmp_path: Path):
    minari = pytest.importorskip("minari", reason="minari is not installed")
    export(folder, "minari", tmp_path / "out", rewards="none")
    data = safefeedback.read(folder)
    found = minari.MinariDataset(tmp_path / "out" / "data")
    assert found.total_episodes == 40 and found.total_steps == 120 and found.observation_space.shape == (8,)
    for episode in found.iterate_episodes():
        row, side = divmod(episode.id, 2)
        assert np.array_equal(episode.observations, data.observations[row, side])
        assert np.array_equal(episode.actions, data.actions[row, side, :-1])
        assert episode.truncations.tolist() == [False, False, True] and not episode.terminations.any()


def test_trl(folder: Path, tmp_path: Path):
    """The columns and types that TRL documents for its preference and unpaired preference formats."""
    export(folder, "trl-paired", tmp_path / "paired", ties="drop")
    export(folder, "trl-unpaired", tmp_path / "unpaired")
    data = safefeedback.read(folder)
    decided = np.flatnonzero(data.preference != 0.5)
    rows = [json.loads(line) for line in (tmp_path / "paired" / "train.jsonl").read_text().splitlines()]
    assert len(rows) == len(decided)
    for row, pair in zip(rows, decided, strict=True):
        assert set(row) == {"prompt", "chosen", "rejected"} and all(isinstance(text, str) for text in row.values())
        better = int(data.preference[pair])
        chosen = np.array(json.loads(row["chosen"])["observations"], np.float32)
        assert chosen.tobytes() == data.observations[pair, better].tobytes()
        assert np.array_equal(np.array(json.loads(row["rejected"])["actions"], np.float32), data.actions[pair, 1 - better])
    rows = [json.loads(line) for line in (tmp_path / "unpaired" / "train.jsonl").read_text().splitlines()]
    assert [set(row) for row in rows] == [{"prompt", "completion", "label"}] * 40
    assert [row["label"] for row in rows] == (data.safe.reshape(-1) == 1).tolist()


def test_choices_are_asked_for_in_one_line(folder: Path, tmp_path: Path):
    for words, message in (
        (("cpl", "--ties", "keep"), "say --rewards none (zeros) or --rewards return"),
        (("cpl", "--rewards", "none"), "pairs are tied: say --ties drop, or --ties keep"),
        (("trl-paired",), "pairs are tied: say --ties drop"),
        (("csv",), "there is no format 'csv': choose from cpl, d4rl, minari, trl-paired, trl-unpaired"),
    ):
        result = run_cli("export", folder, "--format", *words, "--out", tmp_path / "out", cwd=tmp_path)
        assert result.returncode == 2 and message in result.stderr and result.stderr.count("\n") == 1
    for kind, choices, message in (
        ("trl-paired", {"ties": "keep"}, "has no ties"),
        ("trl-unpaired", {"ties": "drop"}, "does not compare segments"),
        ("trl-unpaired", {"rewards": "none"}, "has no rewards"),
        ("d4rl", {"rewards": "all"}, "--rewards must be none or return"),
        ("cpl", {"ties": "some"}, "--ties must be keep or drop"),
    ):
        with pytest.raises(InputError, match=message):
            export(folder, kind, tmp_path / "out", **choices)
    assert not (tmp_path / "out").exists()
