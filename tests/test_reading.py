"""`safefeedback.read`: shapes, label sets, folders that other tools wrote, and what it refuses."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import write_hdf5

import safefeedback
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import tasks


@pytest.fixture
def folder(ball_file: Path, tmp_path: Path) -> Path:
    recipe = Recipe(tasks()["BallCircle"], pairs=60, length=16, noise=0.2, test_fraction=0.5)
    return safefeedback.build_dataset(recipe, str(ball_file), tmp_path / "data")[0]


def rewrite(folder: Path, change) -> None:
    """Rewrites every table of `pairs` with a change, as another tool would."""
    for file in (folder / "pairs").iterdir():
        pq.write_table(change(pq.read_table(file)), file)


def test_shapes_and_types(folder: Path):
    data, truth = safefeedback.read(folder), safefeedback.read_oracle(folder)
    assert data.observations.shape == (30, 2, 16, 8) and data.actions.shape == (30, 2, 16, 2)
    assert data.observations.dtype == data.preference.dtype == data.safe.dtype == np.float32
    assert data.episode.shape == data.start.shape == data.safe.shape == truth.returns.shape == (30, 2)
    assert np.array_equal(data.pair_id, truth.pair_id) and data.recipe["recipe"]["pairs"] == 60
    assert safefeedback.read(folder, split="test").pair_id.tolist() == list(range(1, 60, 2))


def test_segments_are_the_recorded_steps(folder: Path, ball_file: Path):
    import h5py

    data = safefeedback.read(folder)
    with h5py.File(ball_file) as file:
        observations, ends = file["observations"][:], np.flatnonzero(file["timeouts"][:])
    firsts = np.concatenate([[0], ends + 1])
    for index in range(len(data)):
        for side in (0, 1):
            first = firsts[data.episode[index, side]] + data.start[index, side]
            assert np.array_equal(data.observations[index, side], observations[first : first + 16])


def test_pair_by_pair(folder: Path):
    data = safefeedback.read(folder)
    pairs = list(data)
    assert [pair.pair_id for pair in pairs] == data.pair_id.tolist() and isinstance(pairs[0], safefeedback.Pair)
    last = data[-1]
    assert last.observations.shape == (2, 16, 8) and np.array_equal(last.actions, data.actions[29])
    assert (last.preference, last.episode_length.tolist()) == (data.preference[29], data.episode_length[29].tolist())
    assert data[np.int64(3)].safe.tolist() == data.safe[3].tolist() and "Pair 6" in repr(data[3])
    for chosen, rows in (
        (data[5:20:3], range(5, 20, 3)),
        (data[[4, 2]], [4, 2]),
        (data[data.safe.all(axis=1)], np.flatnonzero(data.safe.all(axis=1))),
        (data[[]], []),
    ):
        assert isinstance(chosen, safefeedback.Dataset) and chosen.pair_id.tolist() == [data.pair_id[row] for row in rows]
    for wrong in (30, -31, np.ones(7, bool)):
        with pytest.raises(IndexError):
            data[wrong]
    with pytest.raises(TypeError):
        data["preference"]


def test_lists_without_a_fixed_length_and_without_metadata(folder: Path):
    """As after another tool rewrote the Parquet files: shape from recipe.json, plain lists."""
    before = safefeedback.read(folder)

    def plain(table: pa.Table) -> pa.Table:
        columns = {
            name: table[name].cast(pa.list_(pa.float32())) if pa.types.is_fixed_size_list(table[name].type) else table[name]
            for name in table.column_names
        }
        return pa.table(columns)

    rewrite(folder, plain)
    after = safefeedback.read(folder)
    assert np.array_equal(before.observations, after.observations) and np.array_equal(before.safe, after.safe)
    (folder / "recipe.json").unlink()
    with pytest.raises(InputError, match="does not say the shape"):
        safefeedback.read(folder)


def test_works_without_recipe_json(folder: Path):
    (folder / "recipe.json").unlink()
    assert safefeedback.read(folder).observations.shape == (30, 2, 16, 8)
    assert safefeedback.read(folder).recipe == {}


def test_unanswered_labels_are_nan(folder: Path):
    def erase(table: pa.Table) -> pa.Table:
        index = table.column_names.index
        preference, safe = table["preference"].to_pylist(), table["is_safe_1"].to_pylist()
        preference[3], safe[5] = None, None
        table = table.set_column(index("preference"), "preference", pa.array(preference, pa.float32()))
        return table.set_column(index("is_safe_1"), "is_safe_1", pa.array(safe, pa.bool_()))

    before = safefeedback.read(folder)
    rewrite(folder, erase)
    data = safefeedback.read(folder)
    assert np.flatnonzero(np.isnan(data.preference)).tolist() == [3]
    assert np.argwhere(np.isnan(data.safe)).tolist() == [[5, 1]]
    known = ~np.isnan(data.safe)
    assert np.array_equal(data.safe[known], before.safe[known])


def test_a_label_set_replaces_rows_and_labels(folder: Path):
    before = safefeedback.read(folder)
    chosen = [20, 4, 58]
    table = pa.table(
        {
            "pair_id": chosen,
            "preference": pa.array([0.25, None, 1.0], pa.float32()),
            "is_safe_0": [True, False, None],
            "is_safe_1": [False, False, True],
        }
    )
    (folder / "labels" / "lab").mkdir(parents=True)
    pq.write_table(table, folder / "labels" / "lab" / "train-00000-of-00001.parquet")
    data = safefeedback.read(folder, labels="lab")
    rows = [before.pair_id.tolist().index(pair) for pair in chosen]
    assert data.pair_id.tolist() == chosen and np.array_equal(data.observations, before.observations[rows])
    np.testing.assert_array_equal(data.preference, np.array([0.25, np.nan, 1], np.float32))
    np.testing.assert_array_equal(data.safe, np.array([[1, 0], [0, 0], [np.nan, 1]], np.float32))
    pq.write_table(table.set_column(0, "pair_id", pa.array([20, 4, 999])), folder / "labels/lab/train-00000-of-00001.parquet")
    with pytest.raises(InputError, match="labels pair 999, which pairs does not hold"):
        safefeedback.read(folder, labels="lab")


def test_which_splits_there_are(folder: Path):
    from safefeedback.dataset.reading import open_dataset

    opened = open_dataset(folder)
    assert opened.splits() == ["train", "test"] and opened.has_oracle(None, "train")
    assert opened.splits("lab") == [] and not opened.has_oracle(None, "valid") and not opened.has_oracle("lab", "test")


def test_reading_copies_once(tmp_path: Path):
    """During reading, NumPy holds the result and next to nothing else: one more copy of a piece would show."""
    recipe = Recipe(tasks()["BallCircle"], pairs=2000)
    folder, _ = safefeedback.build_dataset(recipe, str(write_hdf5(tmp_path / "large.hdf5", [200] * 40)), tmp_path / "large")
    tracemalloc.start()
    data = safefeedback.read(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    result = data.observations.nbytes + data.actions.nbytes
    assert result > 10e6 and peak - result < 1e6, (result, peak)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: safefeedback.read(f, labels="nope"), "has no label set 'nope'; it has none"),
        (lambda f: safefeedback.read(f, split="valid"), "has no split 'valid'; it has test, train"),
        (lambda f: safefeedback.read(f, revision="v1"), "is a folder and has no revision 'v1'"),
        (lambda f: safefeedback.read(f.parent), "is not a dataset of safefeedback"),
        (lambda f: safefeedback.read("no/such/folder/here"), "there is no folder no/such/folder/here"),
        (lambda f: safefeedback.read("nowhere"), "there is no folder nowhere"),
        (lambda f: safefeedback.read("user/name"), "cannot be fetched from the Hub"),
    ],
)
def test_refused(folder: Path, call, message: str):
    with pytest.raises(InputError, match=message) as error:
        call(folder)
    assert "\n" not in str(error.value)


def test_damaged_files_are_refused(folder: Path):
    file = next((folder / "pairs").glob("train-*"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(InputError, match="is not a whole Parquet file"):
        safefeedback.read(folder)
    file.write_bytes(whole)
    (folder / "recipe.json").write_text("{")
    with pytest.raises(InputError, match=r"recipe\.json cannot be read"):
        safefeedback.read(folder)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("preference", 2.0, "preference holds 2, which is not a number from 0 to 1; unanswered is null"),
        ("preference", -1.0, "preference holds -1, which is not a number from 0 to 1"),
        ("is_safe_1", 0.5, "is_safe_1 holds 0.5, which is not true, false, 1 or 0"),
        ("is_safe_0", -1.0, "is_safe_0 holds -1, which is not true"),
    ],
)
def test_labels_that_cannot_be_are_refused(folder: Path, column: str, value: float, message: str):
    rewrite(folder, lambda table: table.set_column(table.schema.get_field_index(column), column, pa.array([value] * 30)))
    with pytest.raises(InputError, match=message):
        safefeedback.read(folder, segments=False)


def test_files_that_were_copied_or_lost_are_seen(folder: Path):
    """A second copy of a file would be read as more pairs, and a lost one as fewer."""
    file = next((folder / "pairs").glob("train-*"))
    copy = shutil.copy(file, file.with_name("train-00000-of-00001 (1).parquet"))
    with pytest.raises(InputError, match=r"\(1\)\.parquet does not belong to the dataset"):
        safefeedback.read(folder)
    Path(copy).rename(file.with_name("train-00000-of-00003.parquet"))
    file.rename(file.with_name("train-00002-of-00003.parquet"))
    with pytest.raises(InputError, match="pairs holds 2 of the 3 files of split train"):
        safefeedback.read(folder)


def test_uneven_segments_are_refused(folder: Path):
    def shorten(table: pa.Table) -> pa.Table:
        rows = [row[:-8] if index == 2 else row for index, row in enumerate(table["observations_0"].to_pylist())]
        index = table.column_names.index("observations_0")
        return table.set_column(index, "observations_0", pa.array(rows, pa.list_(pa.float32())))

    rewrite(folder, shorten)
    with pytest.raises(InputError, match="segments in observations_0 do not all have the shape"):
        safefeedback.read(folder)


def test_a_missing_column_is_named(folder: Path):
    rewrite(folder, lambda table: table.drop_columns(["is_safe_1"]))
    with pytest.raises(InputError, match="has no column 'is_safe_1'"):
        safefeedback.read(folder)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("preference", pa.array(["first"] * 30).dictionary_encode(), "preference holds dictionary<.*>, not numbers"),
        ("is_safe_0", pa.array([{"safe": 1}] * 30), "is_safe_0 holds struct<safe: int64>, not numbers"),
        ("episode_0", pa.array([0.5] * 30), "episode_0 holds double, not int64"),
        ("actions_1", pa.array([["push"] * 32] * 30), "actions_1 holds list<.*string>, not numbers"),
        ("actions_1", pa.nulls(30), r"the segments in actions_1 do not all have the shape \(16, 2\)"),
    ],
)
def test_columns_of_another_type_are_refused(folder: Path, column: str, values: pa.Array, message: str):
    rewrite(folder, lambda table: table.set_column(table.schema.get_field_index(column), column, values))
    with pytest.raises(InputError, match=message):
        safefeedback.read(folder)


def test_a_column_of_nulls_without_a_type_is_unanswered(folder: Path):
    """As written by a program that never saw a value."""
    rewrite(folder, lambda table: table.set_column(table.schema.get_field_index("preference"), "preference", pa.nulls(30)))
    assert np.isnan(safefeedback.read(folder).preference).all()
