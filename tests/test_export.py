"""Every format is read back: by its own reader where that installs, otherwise as its documentation says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import datasets
import h5py
import numpy as np
import pytest
from conftest import run_cli, write_hdf5

import safefeedback
from safefeedback import simulators
from safefeedback.dataset.export import FORMATS
from safefeedback.dataset.export.export import export
from safefeedback.dataset.export.interface import TextOptions
from safefeedback.dataset.reading import Folder
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.sources import load, recordings_file
from safefeedback.tasks import find_task, tasks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pairs of four steps, some of them tied: rewards are whole numbers."""
    place = tmp_path_factory.mktemp("export")
    source = write_hdf5(place / "ball.hdf5", [20] * 8)
    with h5py.File(source, "r+") as file:
        file["rewards"][:] = np.arange(160) // 3 % 2
    recipe = Recipe(tasks()["BallCircle"], pairs=20, length=4, preference_noise=0.2)
    return safefeedback.build_dataset(recipe, str(source), place / "data")[0]


class FeedbackBuffer:
    """The rows that jhejna/cpl's FeedbackBuffer gives in mode "comparison", as its code of 2023 takes them from the file."""

    def __init__(self, path: Path, capacity: int | None = None) -> None:
        with np.load(path) as file:
            self.data = {name: file[name][: None if capacity is None else 2 * capacity] for name in file}

    def __len__(self) -> int:
        return len(self.data["action"]) // 2

    def __getitem__(self, pair: int) -> dict[str, np.ndarray]:
        first, second = ({name: values[row] for name, values in self.data.items()} for row in (pair, pair + len(self)))
        label = 1.0 * (first["label"] < second["label"]) + 0.5 * (first["label"] == second["label"])
        pairs = {f"{name}_{side}": row[name] for side, row in ((1, first), (2, second)) for name in ("obs", "action", "reward")}
        return {**pairs, "label": label}


@pytest.mark.parametrize("capacity", [None, 20])
def test_cpl(folder: Path, tmp_path: Path, capacity: int | None):
    told = export(folder, "cpl", tmp_path / "out", ties="keep", rewards="return")
    data, truth = safefeedback.read(folder), safefeedback.read_oracle(folder)
    buffer = FeedbackBuffer(tmp_path / "out" / "train.npz", capacity)
    assert len(buffer) == 20 and (data.preference == 0.5).any()
    assert buffer.data["label"].dtype == buffer.data["reward"].dtype == np.float32
    for pair in range(20):
        row = buffer[pair]
        for side in (0, 1):
            assert np.array_equal(row[f"obs_{side + 1}"], data.observations[pair, side])
            assert np.array_equal(row[f"action_{side + 1}"], data.actions[pair, side])
            assert row[f"reward_{side + 1}"].sum() == pytest.approx(truth.returns[pair, side])
        assert row["label"] == data.preference[pair]
    assert "mode: comparison" in told["notes"][0] and "rank mode is not served" in told["notes"][0]
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "capacity: null          # or 20" in readme and "`mode: rank` and `mode: score` are NOT served" in readme
    left = export(folder, "cpl", tmp_path / "decided", ties="drop", rewards="none")
    assert left["left_out"] == (data.preference == 0.5).sum() and left["rows"] == 2 * left["pairs"]
    with np.load(tmp_path / "decided" / "train.npz") as found:
        assert not found["reward"].any() and set(found["label"]) == {0.0, 1.0}


def test_d4rl_is_read_by_our_own_reader_of_that_schema(folder: Path, tmp_path: Path):
    export(folder, "d4rl", tmp_path / "out", rewards="return")
    data, truth = safefeedback.read(folder), safefeedback.read_oracle(folder)
    episodes = load(str(tmp_path / "out" / "train.hdf5"), tasks()["BallCircle"])
    assert len(episodes) == 40 and (episodes.lengths == 3).all()
    assert np.array_equal(episodes.observations, data.observations[:, :, :-1].reshape(-1, 8))
    assert np.array_equal(episodes.actions, data.actions[:, :, :-1].reshape(-1, 2))
    np.testing.assert_allclose(episodes.rewards.reshape(20, 2, 3).sum(axis=2), truth.returns, rtol=1e-6)
    np.testing.assert_allclose(episodes.costs.reshape(20, 2, 3).sum(axis=2), truth.costs, rtol=1e-6)


def dsrls(path: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """A file as DSRL's own environment reads it."""
    pytest.importorskip("dsrl")
    monkeypatch.setenv("DSRL_DATASET_DIR", str(path.parent))
    monkeypatch.setenv("DSRL_SUPPRESS_IMPORT_ERROR", "1")
    with simulators.quiet():
        import dsrl.offline_bullet_safety_gym  # noqa: F401
        import gymnasium

        env = gymnasium.make(f"Offline{task}-v0", disable_env_checker=True)
        return env.unwrapped.get_dataset(str(path))


def osrls(data: dict[str, np.ndarray], row: int) -> tuple[np.ndarray, ...]:
    """A sample as OSRL's TransitionDataset takes it from DSRL's dict."""
    done = np.logical_or(data["terminals"], data["timeouts"]).astype(np.float32)
    return (*(data[k][row] for k in ("observations", "next_observations", "actions", "rewards", "costs")), done[row])


def test_d4rl_is_read_by_dsrls_environment_and_has_osrls_keys(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(folder, "d4rl", tmp_path / "out", rewards="none")
    found, data = dsrls(tmp_path / "out" / "train.hdf5", "BallCircle", monkeypatch), safefeedback.read(folder)
    for row in range(120):
        segment, step = divmod(row, 3)
        observation, following, action, _, _, done = osrls(found, row)
        shown = data.observations[segment // 2, segment % 2]
        assert np.array_equal(observation, shown[step]) and np.array_equal(following, shown[step + 1])
        assert np.array_equal(action, data.actions[segment // 2, segment % 2, step]) and done == (step == 2)


def test_a_shipped_recording_becomes_a_file_that_dsrls_environment_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_cli("recordings", "--task", "BallRun", cwd=tmp_path)
    assert result.returncode == 0 and "NOT DSRL's" in result.stdout and 'make("OfflineBallRun-v0")' in result.stdout
    (path,) = tmp_path.glob("SafetyBallRun-v0-*-200.hdf5")
    found, source = dsrls(path, "BallRun", monkeypatch), recordings_file(find_task("BallRun"))
    with h5py.File(source, "r") as file:
        assert np.array_equal(found["observations"], file["observations"][:])
    going_on = ~(found["terminals"] | found["timeouts"])[:-1]
    assert np.array_equal(found["next_observations"][:-1][going_on], found["observations"][1:][going_on])
    assert osrls(found, 0)[1].shape == (7,)
    again = run_cli("recordings", "--task", "BallRun", cwd=tmp_path)
    assert again.returncode == 2 and again.stderr.endswith("exists already: give another --out\n")
    none = run_cli("recordings", "--task", "PointButton1", cwd=tmp_path)
    assert none.returncode == 2 and "no recordings of PointButton1 are shipped; there are those of AntCircle" in none.stderr


def test_minari(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    minari = pytest.importorskip("minari", reason="minari is not installed")
    export(folder, "minari", tmp_path / "out", rewards="return")
    data, truth = safefeedback.read(folder), safefeedback.read_oracle(folder)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "out"))
    assert minari.namespace.list_local_namespaces() == ["safefeedback", "safefeedback/ballcircle"]
    found = minari.load_dataset("safefeedback/ballcircle/train-v0")
    assert found.total_episodes == 40 and found.total_steps == 120 and found.observation_space.shape == (8,)
    for episode in found.iterate_episodes():
        row, side = divmod(episode.id, 2)
        assert np.array_equal(episode.observations, data.observations[row, side])
        assert np.array_equal(episode.actions, data.actions[row, side, :-1])
        assert episode.truncations.tolist() == [False, False, True] and not episode.terminations.any()
        assert episode.rewards.sum() == pytest.approx(truth.returns[row, side])
        assert episode.infos["cost"].shape == (4,) and episode.infos["cost"][0] == 0
        assert episode.infos["cost"].sum() == pytest.approx(truth.costs[row, side])
    again = load("minari:safefeedback/ballcircle/train-v0,cost=cost", find_task("BallCircle"))
    assert len(again) == 40 and again.costs.sum() == pytest.approx(truth.costs.sum())


def steps(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Observations and actions of a segment written out."""
    observations, actions = zip(*json.loads(text), strict=True)
    return np.array(observations, np.float32), np.array(actions, np.float32)


@pytest.mark.parametrize("jsonl", [False, True])
def test_trl(folder: Path, tmp_path: Path, jsonl: bool):
    """The columns and types that TRL documents for its preference and unpaired preference formats, as `datasets` opens them."""
    text, ending, reader = (TextOptions(jsonl=True), "jsonl", "json") if jsonl else (None, "parquet", "parquet")
    export(folder, "trl-paired", tmp_path / "paired", ties="drop", text=text)
    export(folder, "trl-unpaired", tmp_path / "unpaired", text=text)
    paired, unpaired = (
        datasets.load_dataset(reader, data_files=str(tmp_path / kind / f"train.{ending}"), split="train", cache_dir=tmp_path)
        for kind in ("paired", "unpaired")
    )
    data = safefeedback.read(folder)
    decided = np.flatnonzero(data.preference != 0.5)
    assert set(paired.column_names) == {"prompt", "chosen", "rejected"} and len(paired) == len(decided)
    for row, pair in zip(paired, decided, strict=True):
        better = int(data.preference[pair])
        for name, side in (("chosen", better), ("rejected", 1 - better)):
            observations, actions = steps(row[name])
            assert observations.tobytes() == data.observations[pair, side].tobytes()
            assert actions.tobytes() == data.actions[pair, side].tobytes()
    assert set(unpaired.column_names) == {"prompt", "completion", "label"} and len(unpaired) == 40
    assert unpaired["label"][:] == (data.safe.reshape(-1) == 1).tolist()


def test_trl_with_fewer_digits_and_steps(folder: Path, tmp_path: Path):
    words = ("--format", "trl-unpaired", "--digits", 3, "--stride", 3, "--jsonl", "--out", tmp_path / "out")
    result = run_cli("export", folder, *words, cwd=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    data = safefeedback.read(folder)
    assert len(rows) == 40 and rows[0]["prompt"] == "BallCircle, 4 steps, every 3th"
    observations, actions = steps(rows[1]["completion"])
    assert observations.shape == (2, 8) and actions.shape == (2, 2)
    np.testing.assert_allclose(observations, data.observations[0, 1, ::3], rtol=0.005)
    length = len(rows[0]["completion"])
    assert f"a segment is about {length:,} characters, roughly" in result.stdout and length < 200
    assert f"about {length:,} characters long" in (tmp_path / "out" / "README.md").read_text()
    for option, value, message in (("--digits", 10, "between 1 and 9, not 10"), ("--stride", 0, "at least 1, not 0")):
        refused = run_cli("export", folder, "--format", "trl-unpaired", option, value, "--out", "x", cwd=tmp_path)
        assert refused.returncode == 2 and message in refused.stderr
    with pytest.raises(InputError, match="the format d4rl holds numbers, not text: leave --digits"):
        export(folder, "d4rl", tmp_path / "x", rewards="none", text=TextOptions(3))


def test_many_rows_are_all_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safefeedback.dataset.export.trl.ROWS", 7)  # 40 rows: five whole pieces and a part
    export(folder, "trl-unpaired", tmp_path / "out")
    found = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out" / "train.parquet"), split="train", cache_dir=tmp_path
    )
    data = safefeedback.read(folder)
    assert [steps(text)[1].tobytes() for text in found["completion"]] == [
        data.actions[pair, side].tobytes() for pair in range(20) for side in (0, 1)
    ]


def test_labels_of_one_class_and_preferences_that_say_nothing_are_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = safefeedback.read(folder)
    for name, values, kind, ties, message in (
        ("safe", 1.0, "trl-unpaired", None, "every label is True: a trainer of two classes has nothing to tell apart"),
        ("preference", 0.5, "cpl", "keep", "all 20 preferences are ties"),
        ("preference", 1.0, "trl-paired", None, "all 20 preferences are for the second segment"),
        ("preference", 0.0, "cpl", None, "all 20 preferences are for the first segment"),
    ):
        same = replace(data, **{name: np.full_like(getattr(data, name), values)})
        monkeypatch.setattr(Folder, "pairs", lambda *_, same=same: same)
        rewards = "none" if kind == "cpl" else None
        notes = export(folder, kind, tmp_path / f"{name}{values}", ties=ties, rewards=rewards)["notes"]
        assert any(message in note for note in notes), notes
    monkeypatch.undo()
    notes = export(folder, "trl-paired", tmp_path / "mixed", ties="drop")["notes"]
    assert len(notes) == 1 and "characters" in notes[0]


def test_a_return_that_float32_does_not_hold_is_refused(tmp_path: Path) -> None:
    source = write_hdf5(tmp_path / "huge.hdf5", [20] * 8)
    with h5py.File(source, "r+") as file:
        del file["rewards"]
        file["rewards"] = np.where(np.arange(160) % 7 == 0, 1e300, 0.0)
    recipe = Recipe(tasks()["BallCircle"], pairs=20, length=4)
    folder = safefeedback.build_dataset(recipe, str(source), tmp_path / "data")[0]
    for kind in ("cpl", "d4rl", "minari"):
        with pytest.raises(InputError, match=r"return of 1e\+300 is too large for the float32 .* say --rewards none"):
            export(folder, kind, tmp_path / "out", rewards="return", ties="drop" if kind == "cpl" else None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", list(FORMATS))
def test_every_folder_says_how_to_load_it_and_that_runs(
    kind: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python of each README, but for what does not install here (OSRL, and DSRL's loader where there is none)."""
    compared = FORMATS[kind].preferences
    rewards = None if kind.startswith("trl") else "none"
    export(folder, kind, tmp_path / "out", ties="drop" if compared else None, rewards=rewards)
    readme = (tmp_path / "out" / "README.md").read_text()
    assert (
        readme.partition("---\n\n")[2 if kind == "lerobot" else 0].startswith("# BallCircle, ")
        and (tmp_path / "out" / "recipe.json").is_file()
    )
    blocks = re.findall(r"```python\n(.*?)```", readme, re.S)
    blocks = [block for block in blocks if "osrl" not in block and "import LeRobotDataset" not in block]
    assert len(blocks) == (0 if kind == "cpl" else 1)
    if kind == "d4rl" and simulators.can_simulate(find_task("BallCircle")) is not None:
        pytest.skip("BallCircle cannot be simulated here")
    if kind == "minari":
        pytest.importorskip("minari")
    monkeypatch.chdir(tmp_path / "out")
    monkeypatch.setenv("MINARI_DATASETS_PATH", "set by the README")
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path))
    monkeypatch.setenv("DSRL_SUPPRESS_IMPORT_ERROR", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for block in blocks:
        with simulators.quiet():
            exec(block, {})


def test_choices_are_asked_for_in_one_line(folder: Path, tmp_path: Path):
    for words, message in (
        (("cpl", "--ties", "keep"), "say --rewards none (zeros) or --rewards return"),
        (("cpl", "--rewards", "none"), "pairs are tied: say --ties drop, or --ties keep"),
        (("trl-paired",), "pairs are tied: say --ties drop"),
        (("csv",), "there is no format 'csv': choose from cpl, d4rl, lerobot, minari, trl-paired, trl-unpaired"),
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
