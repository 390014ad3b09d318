"""`safefeedback inspect`: every number against a simple loop, pictures that repeat, and what is refused."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import run_cli, write_hdf5

import safefeedback
from safefeedback import plots
from safefeedback.cli import inspect as command
from safefeedback.cli.output import print_built, summary
from safefeedback.dataset.label_sets import relabel
from safefeedback.dataset.reading import open_dataset
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.imports import install_command
from safefeedback.inspection.dataset import inspect_dataset
from safefeedback.inspection.recordings import inspect_recordings
from safefeedback.inspection.tables import dataset_table, recordings_table
from safefeedback.inspection.windows import repetition
from safefeedback.tasks import tasks

BALL = tasks()["BallCircle"]
LENGTH = 16


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("built")
    file = write_hdf5(place / "ball.hdf5", [200, 200, 50, 130, 200, 64, 200, 180, 20, 200, 90, 200], trailing=3)
    recipe = Recipe(BALL, pairs=80, length=LENGTH, noise=0.2, preference_noise=0.2, test_fraction=0.5)
    return safefeedback.build_dataset(recipe, str(file), place / "data")[0]


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy of the dataset, to be broken."""
    return shutil.copytree(built, tmp_path / "data")


def rewrite(folder: Path, config: str, change) -> None:
    for file in (folder / config).glob("*.parquet"):
        table = pq.read_table(file)
        pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), file)


def put(table: pa.Table, name: str, values: list) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values, table[name].type))


def ratio(part: int, whole: int) -> float:
    return round(part / whole, 6)


@pytest.mark.parametrize("split", ["train", "test"])
def test_label_numbers_are_those_of_a_loop(folder: Path, split: str):
    numbers = inspect_dataset(folder)[0]["splits"][split]
    data, truth = safefeedback.read(folder, split=split), safefeedback.read_oracle(folder, split=split)
    pairs, safe, both, none, one = len(data), 0, 0, 0, 0
    preferred_unsafe, one_safe_preferred, cheaper, differing, agree, first = 0, 0, 0, 0, 0, Counter()
    right, classes = Counter(), Counter()
    margins = []
    for row in range(pairs):
        labels, costs = [int(value) for value in data.safe[row]], list(truth.costs[row])
        safe, both, none, one = (
            safe + sum(labels),
            both + (sum(labels) == 2),
            none + (sum(labels) == 0),
            one + (sum(labels) == 1),
        )
        better = int(data.preference[row])
        preferred_unsafe += labels[better] == 0
        one_safe_preferred += sum(labels) == 1 and labels[better] == 1
        differing += costs[0] != costs[1]
        cheaper += costs[better] < costs[1 - better]
        agree += data.preference[row] == truth.clean_preference[row]
        first["right", truth.clean_preference[row]] += data.preference[row] == truth.clean_preference[row]
        first["all", truth.clean_preference[row]] += 1
        for side in (0, 1):
            classes[truth.clean_safe[row, side]] += 1
            right[truth.clean_safe[row, side]] += data.safe[row, side] == truth.clean_safe[row, side]
        margins.append(abs(truth.returns[row, 0] - truth.returns[row, 1]))
    assert 0 < one < pairs and 0 < agree < pairs  # otherwise the loop would prove little
    assert numbers["pairs"] == pairs == 40 and numbers["length"] == LENGTH
    assert numbers["safety"] == {
        "segments_safe": ratio(safe, 2 * pairs),
        "pairs_both_safe": ratio(both, pairs),
        "pairs_one_safe": ratio(one, pairs),
        "pairs_both_unsafe": ratio(none, pairs),
        "unanswered": 0,
    }
    assert numbers["conflict"] == {
        "preferred_is_unsafe": ratio(preferred_unsafe, pairs),
        "safe_one_is_preferred": ratio(one_safe_preferred, one),
        "lower_cost_is_preferred": ratio(cheaper, differing),
    }
    assert numbers["agreement"]["preference"] == {
        "compared": pairs,
        "contradict": pairs - agree,
        "agree": ratio(agree, pairs),
        "agree_by_class": {
            "segment_0": ratio(first["right", 0.0], first["all", 0.0]),
            "segment_1": ratio(first["right", 1.0], first["all", 1.0]),
            "tie": None,
        },
    }
    assert numbers["agreement"]["safety"]["agree_by_class"] == {
        "safe": ratio(right[1.0], classes[1.0]),
        "unsafe": ratio(right[0.0], classes[0.0]),
    }
    rms = math.sqrt(math.fsum(value * value for value in margins) / pairs)
    assert numbers["margin"]["rms"] == pytest.approx(rms, rel=1e-12)
    assert numbers["margin"]["near_ties"] == ratio(sum(value < 0.1 * rms for value in margins), pairs)
    assert numbers["margin"]["quantiles"]["median"] == sorted(margins)[(pairs - 1) // 2]
    for entry in numbers["limits"]:
        threshold = entry["cost_limit"] * LENGTH / BALL.horizon
        assert entry["segments_safe"] == ratio(sum(cost <= threshold for cost in truth.costs.ravel()), 2 * pairs)
    assert [entry["cost_limit"] for entry in numbers["limits"]] == [0, 5, 10, 20, 40, 80]


def test_window_and_value_numbers_are_those_of_a_loop(folder: Path):
    numbers = inspect_dataset(folder)[0]["splits"]["train"]
    data = safefeedback.read(folder)
    windows = Counter((int(data.episode[i, s]), int(data.start[i, s])) for i in range(len(data)) for s in (0, 1))
    steps = {(episode, start + step) for episode, start in windows for step in range(LENGTH)}
    touching = sum(
        any(other != (episode, start) and other[0] == episode and abs(other[1] - start) < LENGTH for other in windows)
        for episode, start in windows
    )
    assert numbers["windows"] == {
        "segments": 80,
        "distinct_windows": len(windows),
        "most_used": max(windows.values()),
        "overlapping": ratio(touching, len(windows)),
        "distinct_steps": len(steps),
    }
    uses = sorted(Counter(int(value) for value in data.episode.ravel()).values())
    assert numbers["episodes"] == {
        "in_source": 12,
        "used": len(uses),
        "segments_per_episode": {"min": uses[0], "median": uses[(len(uses) - 1) // 2], "max": uses[-1]},
    }
    large = [sum(abs(step[dim]) > 0.99 for pair in data.actions for side in pair for step in side) for dim in (0, 1)]
    assert numbers["actions"]["saturated_by_dim"] == [ratio(count, 80 * LENGTH) for count in large] and sum(large) > 0
    assert numbers["actions"]["beyond_one"] == 0 and numbers["actions"]["highest"][0] == data.actions[..., 0].max()
    assert numbers["observations"]["constant_dims"] == []


def test_constant_oversized_and_tied_values(tmp_path: Path):
    file = write_hdf5(tmp_path / "two.hdf5", [16, 16])
    with h5py.File(file, "r+") as opened:
        opened["observations"][:, 3] = 0.5
        opened["actions"][4, 1] = -1.5
        opened["rewards"][:] = 1
    folder, _ = safefeedback.build_dataset(Recipe(BALL, pairs=1, length=16), str(file), tmp_path / "data")
    numbers = inspect_dataset(folder)[0]["splits"]["train"]
    assert numbers["observations"]["constant_dims"] == [3] and numbers["actions"]["lowest"][1] == -1.5
    assert numbers["actions"]["beyond_one"] == ratio(1, 64) and numbers["preference"]["ties"] == 1
    assert numbers["margin"]["quantiles_relative"] is None and numbers["conflict"]["lower_cost_is_preferred"] is None


def test_repetition_by_hand():
    """Episode 0 shows steps 0-9 twice and 5-14; episode 1 steps 5-14; episode 2 steps 0-9 and 10-19, which only touch."""
    found = repetition(np.array([[0, 0], [0, 1], [2, 2]]), np.array([[0, 5], [0, 5], [10, 0]]), 10)
    assert found == {
        "segments": 6,
        "distinct_windows": 5,
        "most_used": 2,
        "overlapping": 0.4,
        "distinct_steps": 15 + 10 + 20,
    }


def test_the_keys_of_the_json(folder: Path, tmp_path: Path):
    result = run_cli("inspect", folder, "--json", "--no-plots", cwd=tmp_path)
    assert result.stderr == "" and result.returncode == 0
    printed = json.loads(result.stdout)
    context = ["dataset", "labels", "task", "length", "horizon", "cost_limit", "segment_cost_limit", "oracle"]
    assert list(printed) == [*context, "splits", "plots"] and printed["plots"] == []
    assert list(printed["splits"]) == ["train", "test"]
    assert list(printed["splits"]["train"]) == [
        *("pairs", "length", "safety", "preference", "agreement", "margin", "conflict"),
        *("episodes", "windows", "limits", "actions", "observations"),
    ]
    assert not (folder / "plots").exists()


def test_labels_of_ones_own_and_no_oracle(folder: Path):
    """Three answered pairs, one of them a soft preference, one skipped."""
    ids = safefeedback.read(folder).pair_id[[1, 2, 5]]
    answers = {
        "pair_id": pa.array(ids),
        "preference": pa.array([0.25, None, 0.5], pa.float32()),
        "is_safe_0": pa.array([True, None, False]),
        "is_safe_1": pa.array([True, False, False]),
    }
    (folder / "labels" / "lab1").mkdir(parents=True)
    pq.write_table(pa.table(answers), folder / "labels" / "lab1" / "train-00000-of-00001.parquet")
    result, view = inspect_dataset(folder, "lab1")
    numbers = result["splits"]["train"]
    assert list(result["splits"]) == ["train"] and numbers["pairs"] == 3 and result["cost_limit"] is None
    assert numbers["preference"] == {"preferred_segment_1": 0.0, "ties": 1, "soft": 1, "unanswered": 1}
    assert numbers["safety"]["unanswered"] == 1 and numbers["safety"]["segments_safe"] == ratio(2, 5)
    truth = safefeedback.read_oracle(folder).clean_preference[1]
    assert numbers["agreement"]["preference"]["agree"] == ratio(int(truth == 0), 2)
    assert [clip.name for clip in view.clips] == [f"pair {pair_id}" for pair_id in ids]
    for file in (folder / "oracle").glob("*.parquet"):
        file.unlink()
    result, view = inspect_dataset(folder)
    assert result["oracle"] is False
    assert all(numbers[key] is None for numbers in result["splits"].values() for key in ("agreement", "margin", "limits"))
    assert [name for name, _ in plots.draw_all(view, folder / "plots")] == ["pairs.png"]


def test_segments_are_not_held_in_memory(tmp_path: Path):
    file = write_hdf5(tmp_path / "ball.hdf5", [200] * 20)
    folder, _ = safefeedback.build_dataset(Recipe(BALL, pairs=20_000), str(file), tmp_path / "data")
    tracemalloc.start()
    inspect_dataset(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 2 * 64 * 10 * 4 / 1.5


def test_recordings_are_counted_as_a_loop_does(ball_file: Path):
    result, view = inspect_recordings(ball_file, "BallCircle", 64)
    with h5py.File(ball_file) as file:
        costs, ends = file["costs"][:].astype(float), np.flatnonzero(file["timeouts"][:]) + 1
    starts = [0, *ends[:-1]]
    sums = [sum(costs[start:end]) for start, end in zip(starts, ends, strict=True)]
    windows = [sum(costs[row : row + 64]) for start, end in zip(starts, ends, strict=True) for row in range(start, end - 63)]
    assert result["episodes"] == 12 and result["windows"] == len(windows) == len(view.costs)
    assert result["episodes_too_short"] == 2 and result["episodes_full_length"] == ratio(6, 12)
    assert result["steps"] == 1734 and result["steps_after_last_episode"] == 3
    shown = dict(row[:2] for row in recordings_table(result)[1])
    assert shown["steps after the last end"] == "3" and shown["episodes too short"] == "2"
    assert result["episode_cost"]["max"] == max(sums)
    for entry in result["limits"]:
        assert entry["episodes_safe"] == ratio(sum(cost <= entry["cost_limit"] for cost in sums), 12)
        assert entry["segments_safe"] == ratio(sum(cost <= entry["cost_limit"] * 64 / 200 for cost in windows), len(windows))


def test_a_first_observation_from_elsewhere_is_seen(tmp_path: Path):
    file = write_hdf5(tmp_path / "SafetyBallCircle-v0-80-886.hdf5", [100] * 4)  # DSRL's name tells the task
    with h5py.File(file, "r+") as opened:
        places = np.tile(np.linspace(0, 0.5, 100), 4)
        places[[100, 300]] = -0.4
        opened["observations"][:, :2] = np.stack([places, np.zeros(400)], axis=1)
    jump = inspect_recordings(file, None)[0]["first_step"]
    assert jump["episodes_jumping"] == 0.5 and jump["farthest_other"] == pytest.approx(5 / 99, rel=1e-4)


def test_the_same_pictures_to_the_byte(folder: Path, tmp_path: Path):
    matplotlib = pytest.importorskip("matplotlib")
    view = inspect_dataset(folder)[1]
    names = [name for name, _ in plots.draw_all(view, tmp_path / "one")]
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 30}):
        assert [name for name, _ in plots.draw_all(inspect_dataset(folder)[1], tmp_path / "two")] == names
    assert names == ["return-cost.png", "margins.png", "safe-share.png", "pairs.png"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(names)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another place with --out"):
        plots.draw_all(view, tmp_path / "file")


def test_pictures_of_one_pair_of_one_class_and_of_a_task_of_ones_own(tmp_path: Path):
    pytest.importorskip("matplotlib")
    file = write_hdf5(tmp_path / "mine.hdf5", [20, 20], (5, 3))
    with h5py.File(file, "r+") as opened:
        opened["costs"][:] = 0
    task = tmp_path / "maze.toml"
    task.write_text('name = "AntRun"\ndomain = "Mine"\nobservation_dim = 5\naction_dim = 3\nhorizon = 20\ncost_limits = [5]\n')
    mine = safefeedback.find_task(str(task))  # it has the name of a task whose observations show the position
    folder, _ = safefeedback.build_dataset(Recipe(mine, pairs=1, length=20), str(file), tmp_path / "data")
    drawn = plots.draw_all(inspect_dataset(folder)[1], folder / "plots")
    assert dict(drawn)["pairs.png"].endswith("over time.") and len(drawn) == 4
    drawn = plots.draw_all(inspect_recordings(file, str(task), 7)[1], folder / "plots")  # no preferences, no margins
    assert [name for name, _ in drawn] == ["return-cost.png", "safe-share.png", "pairs.png"]
    assert not (folder / "plots" / "margins.png").exists()


def test_without_matplotlib_the_numbers_are_printed(folder: Path, monkeypatch, capsys):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    command.inspect(str(folder))
    shown = capsys.readouterr()
    assert "safe segments" in shown.out and shown.err == f"note: plots need matplotlib: {install_command('plots')}\n"
    assert not (folder / "plots").exists()


def test_where_plots_cannot_go_the_numbers_are_printed_all_the_same(folder: Path, tmp_path: Path, capsys):
    (folder / "plots").write_text("a dataset that others may read only")
    command.inspect(str(folder))
    shown = capsys.readouterr()
    assert "safe segments" in shown.out and shown.err.count("\n") == 1
    assert shown.err.startswith(f"note: plots cannot be written into {folder / 'plots'}: ") and "--out" in shown.err
    with pytest.raises(InputError, match="cannot be written"):
        command.inspect(str(folder), out=folder / "recipe.json")
    command.inspect(str(folder), out=tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "return-cost.png").is_file()


def test_labels_that_are_not_true_are_counted_whoever_made_them_so(ball_file: Path, tmp_path: Path, capsys):
    """A Boltzmann teacher neither makes mistakes nor flips labels, yet its choices can contradict the truth."""
    recipe = Recipe(BALL, pairs=200, length=LENGTH, noise=0.1, teacher="boltzmann:beta=1", preference_noise=0.1)
    folder, manifest = safefeedback.build_dataset(recipe, str(ball_file), tmp_path / "data")
    truth, data = safefeedback.read_oracle(folder), safefeedback.read(folder)
    wrong = sum(a != b for a, b in zip(data.preference, truth.clean_preference, strict=True) if 0.5 not in (a, b))
    words = f"{40} safety labels, {wrong} preferences"
    assert wrong > 30 and wrong == manifest["statistics"]["preferences_flipped"]
    assert f"| not the truth | {words} |" in (folder / "README.md").read_text()
    result, _ = inspect_dataset(folder)
    assert dict(row[:2] for row in dataset_table(result)[1])["not the truth"] == words
    opened = open_dataset(folder).manifest
    print_built(summary(folder, opened, 1.0), opened)
    assert f"not the truth: {words}" in capsys.readouterr().out


BROKEN = {
    "NaN": ("pairs", lambda t: put(t, "preference", [math.nan, *t["preference"].to_pylist()[1:]]), "NaN"),
    "range": ("pairs", lambda t: put(t, "preference", [2.0, *t["preference"].to_pylist()[1:]]), "not a number from 0 to 1"),
    "twice": ("pairs", lambda t: put(t, "pair_id", [0] * len(t)), "twice"),
    "return": ("oracle", lambda t: put(t, "return_0", [None, *t["return_0"].to_pylist()[1:]]), "null"),
    "lost": ("oracle", lambda t: t.slice(1), "does not hold the pairs"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tables_are_refused(folder: Path, name: str):
    config, change, words = BROKEN[name]
    rewrite(folder, config, change)
    with pytest.raises(InputError, match=words):
        inspect_dataset(folder)


def test_a_table_of_segments_that_is_not_whole_is_refused(folder: Path):
    """It follows from the other tables, so only reading it shows that it was cut off."""
    file = next((folder / "oracle" / "scalars").glob("train-*"))
    whole, table = file.read_bytes(), pq.read_table(file)
    file.write_bytes(whole[:-100])
    with pytest.raises(InputError, match="is not a whole Parquet file"):
        inspect_dataset(folder)
    pq.write_table(table.slice(2), file)
    with pytest.raises(InputError, match="78 rows of split train, but 40 pairs have 80 segments"):
        inspect_dataset(folder)
    file.unlink()
    with pytest.raises(InputError, match="scalars has no split"):
        inspect_dataset(folder)
    shutil.rmtree(folder / "oracle")
    assert not inspect_dataset(folder)[0]["oracle"]


def test_poisoned_segments_and_manifests_are_refused(folder: Path):
    def poison(table: pa.Table) -> pa.Table:
        values = table["actions_1"].to_pylist()
        values[3][5] = math.inf
        return put(table, "actions_1", values)

    rewrite(folder, "pairs", poison)
    with pytest.raises(InputError, match=r"actions of pair \d+ hold NaN or infinity"):
        inspect_dataset(folder)
    for text in ("{}", '{"history": 3}', "[]"):
        (folder / "recipe.json").write_text(text)
        with pytest.raises(InputError):
            inspect_dataset(folder)


def test_enormous_values_are_drawn_or_refused(ball_file: Path, tmp_path: Path):
    pytest.importorskip("matplotlib")
    with h5py.File(ball_file, "r+") as file:
        file["observations"][:200] = 3e38
        del file["rewards"]
        file["rewards"] = np.full(1737, 1e300)
        file.attrs["task"] = [1, 2]
    result, view = inspect_recordings(ball_file, "BallCircle")
    assert len(plots.draw_all(view, tmp_path / "plots")) == 3 and json.dumps(result, allow_nan=False)
    with h5py.File(ball_file, "r+") as file:
        file["rewards"][0:4] = [1.7e308, 1.7e308, -1.7e308, -1.7e308]
    with pytest.raises(InputError, match="infinite"):
        inspect_recordings(ball_file, "BallCircle")
    with h5py.File(ball_file, "r+") as file:
        file["rewards"][:] = np.repeat([1e306, -1e306], [800, 937])
    folder, _ = safefeedback.build_dataset(Recipe(BALL, pairs=40, length=50), str(ball_file), tmp_path / "data")
    numbers = inspect_dataset(folder)[0]["splits"]["train"]
    assert numbers["margin"]["rms"] == pytest.approx(1e308 * math.sqrt(0.5), rel=0.3)


def test_what_cannot_be_inspected_is_said_in_one_line(folder: Path, ball_file: Path, tmp_path: Path):
    shard = next((folder / "pairs").glob("train-*"))
    shard.write_bytes(shard.read_bytes()[:-100])
    result = run_cli("inspect", folder, cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1) and "whole Parquet" in result.stderr
    shard.write_text("<html>" * 9)
    with pytest.raises(InputError, match=r"[^.]; it is a web page"):
        inspect_dataset(folder)
    pointer, unnamed = tmp_path / "pointer.hdf5", tmp_path / "unnamed.hdf5"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\n")
    with h5py.File(unnamed, "w") as file:
        file["rewards"] = np.zeros(3)
    for words, said in (
        (("nowhere",), "there is no folder"),
        (("nowhere.hdf5",), "there is no file nowhere.hdf5"),
        ((str(pointer),), "pointer.hdf5 cannot be read as HDF5; it is a pointer of Git LFS: `git lfs pull` fetches the file$"),
        ((str(unnamed),), "unnamed.hdf5 does not say which task it records: give it with --task"),
        ((str(tmp_path),), "not a dataset of safefeedback"),
        ((str(ball_file), "NoTask"), "there is no task"),
    ):
        with pytest.raises(InputError, match=said):
            command.inspect(*words)
    with pytest.raises(InputError, match="--labels is for a dataset"):
        command.inspect(str(ball_file), labels="x")
    with pytest.raises(InputError, match="--task is for recordings"):
        command.inspect(str(folder), task="BallRun")
    with pytest.raises(InputError, match="the longest has 200"):
        inspect_recordings(ball_file, "BallCircle", 300)


def test_a_label_set_is_shown_at_its_own_horizon(folder: Path):
    """Its own horizon changes the limit of a segment, and with it every number about limits."""
    relabel(folder, [{"horizon": 100, "noise": 0.0}], "h100")
    result, view = inspect_dataset(folder, "h100")
    assert (result["horizon"], result["segment_cost_limit"]) == (100, 20 * LENGTH / 100)
    assert (view.horizon, view.segment_cost_limit) == (100, 20 * LENGTH / 100)
    numbers = result["splits"]["train"]
    at_its_limit = next(entry["segments_safe"] for entry in numbers["limits"] if entry["cost_limit"] == 20)
    assert at_its_limit == numbers["safety"]["segments_safe"]


def test_a_backend_that_is_not_installed_is_no_reason_to_fail(folder: Path, tmp_path: Path):
    """MPLBACKEND as a notebook sets it for the terminals it opens."""
    pytest.importorskip("matplotlib")
    code = f"from safefeedback.cli import main; main(['inspect', {str(folder)!r}, '--out', 'plots'])"
    env = {**os.environ, "MPLBACKEND": "module://nowhere"}
    for backend in ("module://nowhere", "nonsense"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={**env, "MPLBACKEND": backend}, capture_output=True, text=True
        )
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert (tmp_path / "plots" / "margins.png").is_file()
