"""Datasets of exactly the pairs that a file names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import safefeedback
from safefeedback import InputError, Recipe, build_dataset, find_task
from safefeedback.cli import main
from safefeedback.dataset.reading import open_dataset
from safefeedback.sources import read_pairs
from safefeedback.verification.verify import verify

HEAD = "pair_id,episode_0,start_0,episode_1,start_1\n"


def build(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["build", "--task", "BallRun", "--source", "recordings", "--length", "16", *map(str, words)])
    return int(ended.value.code or 0)


@pytest.fixture
def chosen(tmp_path: Path) -> Path:
    path = tmp_path / "chosen.csv"
    path.write_text(HEAD + "9,3,5,0,80\n4,7.0,0,3,5\n0,1,1,1,2\n")
    return path


def test_exactly_those_pairs_in_their_order(chosen: Path, tmp_path: Path) -> None:
    assert build("--pairs-from", chosen, "--noise", 0.2, "--out", tmp_path / "out") == 0
    data = safefeedback.read(tmp_path / "out")
    assert data.pair_id.tolist() == [0, 1, 2]
    assert data.episode.tolist() == [[3, 0], [7, 3], [1, 1]] and data.start.tolist() == [[5, 80], [0, 5], [1, 2]]
    truth = safefeedback.read_oracle(tmp_path / "out")
    assert (data.preference == np.where(truth.returns[:, 1] > truth.returns[:, 0], 1, 0)).all()
    manifest = open_dataset(tmp_path / "out").manifest
    assert manifest.recipe.pairs_from == read_pairs(chosen, 16)[1] and manifest.recipe.pairs == 3
    card = (tmp_path / "out" / "README.md").read_text()
    assert "3 pairs given by a file" in card and "--pairs-from pairs.csv" in card and "--sampler" not in card
    assert all(not check.problems for check in verify(tmp_path / "out"))


def test_the_first_pairs_of_a_file(chosen: Path, tmp_path: Path) -> None:
    chosen.write_text(chosen.read_text().replace(",", " ,", 6))  # spaces around the names and numbers do not matter
    assert build("--pairs-from", chosen, "--pairs", 2, "--out", tmp_path / "two") == 0
    assert build("--pairs-from", chosen, "--out", tmp_path / "three") == 0
    two, three = (safefeedback.read(tmp_path / name) for name in ("two", "three"))
    assert len(two) == 2 and (two.observations == three.observations[:2]).all()


def test_a_recipe_without_a_file_does_not_speak_of_one(tmp_path: Path) -> None:
    assert build("--pairs", 5, "--out", tmp_path / "out") == 0
    assert "pairs_from" not in json.loads((tmp_path / "out" / "recipe.json").read_text())["recipe"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("0,1,2,1,2\n", "line 2: the two segments are the same window"),
        ("0,1,2,3,4\n1,3,4,1,2\n", "line 3: the pair of line 2 again"),
        ("0,1,2,x,4\n", "line 2: episode_1 is 'x'"),
        ("0,1,-2,3,4\n", "line 2: start_0 is '-2'"),
        ("0,1,2,3\n", "line 2: start_1 is ''"),
        ("0,1,2,0_1,4\n", "line 2: episode_1 is '0_1'"),
        (f"0,1,{'9' * 5000},0,4\n", f"line 2: start_0 is '{'9' * 20}'"),
        ("", "names no pair"),
        ("0,1,2,9999,4\n", "has no episode 9999"),
        ("0,1,2,3,95\n", "steps 95 to 110 of episode 3, which has 100"),
    ],
)
def test_bad_rows(rows: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(HEAD + rows)
    assert build("--pairs-from", path, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert told in " ".join(error.split()) and len(error.strip().splitlines()) <= 2 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--sampler windows", "--test-fraction 0.2", "--filter drop-both-unsafe"])
def test_what_would_change_the_pairs_is_refused(option: str, chosen: Path, tmp_path: Path, capsys) -> None:
    assert build("--pairs-from", chosen, *option.split(), "--out", tmp_path / "out") == 2
    assert "exactly the pairs of its file" in capsys.readouterr().err


def test_more_pairs_than_there_are_and_no_file(chosen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--pairs-from", chosen, "--pairs", 4, "--out", tmp_path / "out") == 2
    assert "names only 3" in capsys.readouterr().err
    assert build("--pairs-from", tmp_path / "none.csv", "--out", tmp_path / "out") == 2
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "half.csv").write_text("episode_0,start_0\n1,2\n")
    assert build("--pairs-from", tmp_path / "half.csv", "--out", tmp_path / "out") == 2
    assert "has no column episode_1, start_1" in capsys.readouterr().err


def test_from_python_the_file_must_be_the_recipes(chosen: Path, tmp_path: Path) -> None:
    recipe = Recipe(find_task("BallRun"), pairs=3, length=16, pairs_from="0" * 64)
    with pytest.raises(InputError, match="is not the file that the recipe names"):
        build_dataset(recipe, "recordings", tmp_path / "out", pairs_from=chosen)
    with pytest.raises(InputError, match="needs the pairs of that file"):
        build_dataset(recipe, "recordings", tmp_path / "out")
