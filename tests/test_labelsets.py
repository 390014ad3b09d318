"""Label sets: relabel and import, through the command line, load_dataset and read."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

import datasets
import numpy as np
import pytest
from conftest import run_cli

import safefeedback
from safefeedback.cli import main
from safefeedback.dataset.answers import import_answers
from safefeedback.dataset.build import build_dataset
from safefeedback.dataset.label_sets import relabel
from safefeedback.dataset.reading import open_dataset
from safefeedback.feedback.recipe import Recipe
from safefeedback.files import file_sha256
from safefeedback.inspection.dataset import inspect_dataset
from safefeedback.tasks import tasks
from safefeedback.verification.verify import verify


@pytest.fixture
def folder(ball_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    recipe = Recipe(tasks()["BallCircle"], pairs=200, noise=0.1, test_fraction=0.2)
    return build_dataset(recipe, str(ball_file), tmp_path / "data")[0]


def test_one_command_makes_the_noise_sweep(folder: Path):
    """The paper's Table 7: exactly round(rate * number of safety labels) flips, over the same pairs, without a segment."""
    before = file_sha256(next((folder / "pairs").glob("train-*")))
    result = run_cli("relabel", folder, "--noise", "0,0.1,0.2,0.3", "--json", cwd=folder.parent)
    assert result.returncode == 0, result.stderr
    made = json.loads(result.stdout)["label_sets"]
    assert [one["name"] for one in made] == [f"limit20-noise{percent}" for percent in (0, 10, 20, 30)]
    assert [one["statistics"]["safety_flipped"] for one in made] == [0, 40, 80, 120]
    assert file_sha256(next((folder / "pairs").glob("train-*"))) == before
    published, same = safefeedback.read(folder), safefeedback.read(folder, labels="limit20-noise10")
    np.testing.assert_array_equal(published.safe, same.safe)  # the same choices give the same labels
    row = datasets.load_dataset(str(folder), "limit20-noise30", split="test")[0]
    assert set(row) == {"pair_id", "preference", "is_safe_0", "is_safe_1"}
    truth = datasets.load_dataset(str(folder), "limit20-noise30-oracle", split="test")[0]
    assert truth["pair_id"] == row["pair_id"] and row["is_safe_0"] == (truth["clean_is_safe_0"] != truth["is_safe_0_flipped"])
    light = sum(path.stat().st_size for path in (folder / "labels").rglob("*.parquet"))
    assert light < sum(path.stat().st_size for path in (folder / "pairs").rglob("*.parquet"))


def test_a_set_of_another_limit_is_what_a_build_at_that_limit_gives(folder: Path, ball_file: Path, tmp_path: Path):
    relabel(folder, [{"cost_limit": 40.0, "noise": 0.0}])
    built, _ = build_dataset(
        Recipe(tasks()["BallCircle"], pairs=200, cost_limit=40, test_fraction=0.2), str(ball_file), tmp_path / "b"
    )
    for split in ("train", "test"):
        ours, theirs = safefeedback.read(folder, "limit40-noise0", split), safefeedback.read(built, split=split)
        np.testing.assert_array_equal(ours.safe, theirs.safe)
        np.testing.assert_array_equal(ours.observations, theirs.observations)
    assert ours.labels["recipe"]["cost_limit"] == 40 and ours.recipe["recipe"]["cost_limit"] == 20


def test_a_filter_is_a_set_of_fewer_rows(folder: Path):
    (made,) = relabel(folder, [{"filters": ["drop-both-unsafe"], "cost_limit": 10.0}], "few")
    few, all_ = safefeedback.read(folder, "few"), safefeedback.read(folder)
    assert len(few) < len(all_) and set(few.pair_id) < set(all_.pair_id)
    assert not (few.safe == 0).all(axis=1).any() and made.history[-1]["removed"] > 0
    at = np.searchsorted(all_.pair_id, few.pair_id)
    np.testing.assert_array_equal(few.observations, all_.observations[at])


def test_teachers_who_judge_by_steps_need_the_recordings(folder: Path, ball_file: Path):
    words = ("relabel", folder, "--teacher", "myopic:gamma=0.5", "--name", "myopic")
    refused = run_cli(*words, cwd=folder.parent)
    assert refused.returncode == 2 and "name the file with --source FILE" in refused.stderr
    assert run_cli(*words, "--source", ball_file, cwd=folder.parent).returncode == 0
    data = safefeedback.read(folder, "myopic")
    assert (data.preference != safefeedback.read(folder).preference).any()


ANSWERS = """pair_id,annotator,preference,is_safe_0,is_safe_1
7,ann,1,true,0
7,bob,0,yes,1
7,cyd,1,1,
3,ann,,no,
3,bob,0.5,0,1
"""


def test_answers_of_people(folder: Path, tmp_path: Path):
    (tmp_path / "answers.csv").write_text(ANSWERS)
    result = run_cli("labels", "import", folder, "answers.csv", "--name", "lab1", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "the truth: " in result.stdout and "these labels: 66.7% of the segments with an answer safe" in result.stdout
    rows, raw = [], []
    for split in json.loads((folder / "labels" / "lab1" / "recipe.json").read_text())["splits"]:
        rows += list(datasets.load_dataset(str(folder), "lab1", split=split))
        raw += list(datasets.load_dataset(str(folder), "lab1-answers", split=split))
    labelled = {row["pair_id"]: (row["preference"], row["is_safe_0"], row["is_safe_1"]) for row in rows}
    assert labelled == {3: (0.5, False, True), 7: (1.0, True, None)}  # one vote against one gives no answer
    assert [row["annotator"] for row in raw if row["pair_id"] == 7] == ["ann", "bob", "cyd"]
    assert next(row for row in raw if row["pair_id"] == 3)["preference"] is None


def test_answers_about_the_test_split_alone(folder: Path, tmp_path: Path):
    """The pairs most likely to be shown to people; no filter is involved."""
    asked = safefeedback.read(folder, split="test").pair_id[:3]
    (tmp_path / "answers.csv").write_text("pair_id,preference\n" + "".join(f"{pair_id},1\n" for pair_id in asked))
    assert import_answers(folder, tmp_path / "answers.csv", "lab1").splits == {"test": 3}
    assert (safefeedback.read(folder, "lab1", "test").preference == 1).all()
    assert inspect_dataset(folder, "lab1")[0]["splits"]["test"]["pairs"] == 3
    assert not [check for check in verify(folder) if check.problems]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("999,ann,1,1,1", "line 7: the dataset holds no pair with pair_id '999'"),
        ("9" * 5000 + ",ann,1,1,1", "line 7: the dataset holds no pair with pair_id '9999"),
        ("7,ann,0,1,1", "line 7: annotator 'ann' answers pair 7 a second time"),
        ("7,dan,2,1,1", "line 7: preference is '2', which is not a number from 0"),
        ("7,dan,1,maybe,1", "line 7: is_safe_0 is 'maybe', which is not true, false, 1 or 0"),
        ("7,dan,nan,1,1", "line 7: preference is 'nan'"),
        ("7,dan,0_1,1,1", "line 7: preference is '0_1'"),
        ("7,dan,-1,1,1", r"line 7: preference is '-1'.*-1 often stands for no preference: write 0.5 for a tie.*empty"),
        ("1_7,dan,1,1,1", "line 7: the dataset holds no pair with pair_id '1_7'"),
        ("7.5,dan,1,1,1", "line 7: the dataset holds no pair with pair_id '7.5'"),
        ('7,"dan\n,two lines",1,1,1\n8,dan,x,1,1', "line 9: preference is 'x'"),
        ("7,dan,1,1,1\n8,dan,1_0,1,1", "line 8: preference is '1_0'"),
        ("7,dan,1", "line 7: 3 cells, but the first line names 5 columns"),
    ],
)
def test_answers_that_cannot_be_are_refused(folder: Path, tmp_path: Path, line: str, message: str):
    (tmp_path / "answers.csv").write_text(ANSWERS + line + "\n")
    with pytest.raises(safefeedback.InputError, match=message):
        import_answers(folder, tmp_path / "answers.csv", "lab1")
    assert not (folder / "labels").exists() or not list((folder / "labels").iterdir())


@pytest.mark.parametrize(("separator", "half"), [(",", "0.5"), (";", "0,5"), (";", "0.5"), ("\t", "0.5"), ("|", "0.5")])
def test_answers_as_spreadsheets_and_pandas_write_them(folder: Path, tmp_path: Path, separator: str, half: str):
    text = "pair_id,preference,is_safe_0,is_safe_1\n7.0,HALF,True,False\n3.0,1.0,,1.0\n".replace(",", separator)
    (tmp_path / "answers.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("HALF", half).replace("\n", "\r\n").encode())
    import_answers(folder, tmp_path / "answers.csv", "lab1")
    rows = {}
    for split in open_dataset(folder).label_sets["lab1"].splits:
        data = safefeedback.read(folder, "lab1", split)
        rows |= {int(p): (float(a), *s) for p, a, s in zip(data.pair_id, data.preference, data.safe.tolist(), strict=True)}
    assert rows[7] == (0.5, 1.0, 0.0) and rows[3][0] == 1.0 and np.isnan(rows[3][1]) and rows[3][2] == 1.0
    (tmp_path / "answers.csv").write_text(",pair_id,preference\n0,7,1\n")
    with pytest.raises(safefeedback.InputError, match="first column has no name"):
        import_answers(folder, tmp_path / "answers.csv", "lab2")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("note", "x", "a column 'note' is not known: leave it out"),
        ("position", "0_1", "position is '0_1'"),
        ("position", "1.5", "position is '1.5'"),
        ("position", "-1", "position is '-1'"),
        ("seconds", "1_0", "seconds is '1_0'"),
        ("seconds", "inf", "seconds is 'inf'"),
        ("position", "17.0", None),
        ("seconds", "1e1", None),
    ],
)
def test_columns_beside_the_answers(folder: Path, tmp_path: Path, column: str, value: str, message: str | None):
    (tmp_path / "answers.csv").write_text(f"pair_id,preference,{column}\n7,1,{value}\n")
    if message is None:
        assert import_answers(folder, tmp_path / "answers.csv", "lab1").pairs == 1
        return
    with pytest.raises(safefeedback.InputError, match=message):
        import_answers(folder, tmp_path / "answers.csv", "lab1")


def test_a_card_that_is_no_text_is_refused_before_anything_is_written(folder: Path, tmp_path: Path):
    """An editor that saves in UTF-16; what was added to the card would be lost."""
    (tmp_path / "answers.csv").write_text(ANSWERS)
    (folder / "README.md").write_text("my card", encoding="utf-16")
    for make in (lambda: import_answers(folder, tmp_path / "answers.csv", "lab1"), lambda: relabel(folder, [{"noise": 0.2}])):
        with pytest.raises(safefeedback.InputError, match=r"README\.md cannot be read as text in UTF-8"):
            make()
    assert not (folder / "labels").exists()


def test_answers_from_a_pipe_have_the_hash_of_what_was_read(folder: Path, tmp_path: Path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(ANSWERS,))
    writer.start()
    made = import_answers(folder, pipe, "lab1")
    writer.join()
    assert made.answers.sha256 == hashlib.sha256(ANSWERS.encode()).hexdigest()
    assert made.pairs == 2


def test_a_sweep_that_was_interrupted_goes_on(folder: Path, capsys):
    """Existing sets made by the same choices are kept byte for byte; another recipe under the same name is refused."""
    relabel(folder, [{"noise": 0.2}])
    before = {path: path.stat().st_mtime_ns for path in (folder / "labels").rglob("*")}
    with pytest.raises(SystemExit) as ended:
        main(["relabel", str(folder), "--noise", "0.1,0.2,0.3"])
    shown = capsys.readouterr().out
    assert not ended.value.code and list(open_dataset(folder).label_sets) == [f"limit20-noise{share}" for share in (10, 20, 30)]
    assert shown.count(", there already") == 1
    assert all(path.stat().st_mtime_ns == time for path, time in before.items() if path.is_file())
    assert "limit20-noise30" in (folder / "README.md").read_text()
    assert not [check for check in verify(folder) if check.problems]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "there is no folder nowhere"),
        (("data", "--name", "oracle"), "'oracle' is a name that datasets use themselves"),
        (("data", "--name", "a/b"), "a label set cannot be called 'a/b'"),
        (("data", "--noise", "0,0.1", "--name", "x"), "--name x is for one label set, but these choices make 2"),
        (("data", "--noise", "0,0"), "--noise 0,0 holds a number twice"),
        (("data", "--noise", "2"), r"--noise must lie in \[0, 1\], not 2"),
        (("data", "--teacher", "regret"), "--teacher regret and --advantages FILE belong together"),
    ],
)
def test_relabel_refuses(folder: Path, words: tuple[str, ...], message: str):
    result = run_cli("relabel", *words, cwd=folder.parent)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    import re

    assert re.search(message, result.stderr), result.stderr


def test_the_card_names_every_set_and_keeps_what_people_wrote(folder: Path):
    with open(folder / "README.md", "a") as card:
        card.write("My own notes.\n")
    relabel(folder, [{"noise": 0.2}])
    relabel(folder, [{"noise": 0.3}], "more")
    text = (folder / "README.md").read_text()
    assert text.endswith("My own notes.\n") and text.count("My own notes.") == 1
    assert "| `limit20-noise20` | 200 |" in text and "config_name: more-oracle" in text
    with pytest.raises(safefeedback.InputError, match="has a label set 'more' already"):
        relabel(folder, [{"noise": 0.1}], "more")


@pytest.mark.parametrize("key", ["history", "task", "recipe", "content", "shape", "recipe_sha256"])
def test_a_manifest_that_says_too_little_is_refused(folder: Path, key: str):
    manifest = json.loads((folder / "recipe.json").read_text())
    del manifest[key]
    (folder / "recipe.json").write_text(json.dumps(manifest))
    with pytest.raises(safefeedback.InputError, match="is not the manifest of a dataset"):
        relabel(folder, [{"noise": 0.3}])
