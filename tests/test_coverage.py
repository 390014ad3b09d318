"""The episodes from which pairs are drawn: by hand, and through build and verify."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import run_cli

from safefeedback import find_task
from safefeedback.errors import InputError
from safefeedback.feedback.coverage import COVERAGE, ScarceGood, WithoutBest, kept_episodes
from safefeedback.feedback.recipe import Recipe, build
from safefeedback.types import Episodes, Source

RETURNS = np.array([9.0, 8.0, 7.0, 6.0, 1.0, 1.0, 1.0, 1.0, 5.0, 1.0])
COSTS = np.array([0.0, 30.0, 20.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 0.0])


def recorded() -> Episodes:
    """Ten episodes of four steps; the first step earns and costs everything. Good at limit 20: 0, 2, 3, 8; median 3."""
    earned, paid = (np.zeros((10, 4)) for _ in range(2))
    earned[:, 0], paid[:, 0] = RETURNS, COSTS
    arrays = (np.zeros((40, 8), np.float32), np.zeros((40, 2), np.float32), earned.ravel(), paid.ravel())
    return Episodes(find_task("BallCircle"), *arrays, np.arange(0, 41, 4), Source("file", "", ""))


def left_out(coverage: object, limit: float = 20.0) -> list[int]:
    return np.flatnonzero(~kept_episodes(recorded(), coverage, limit, np.random.default_rng(0))).tolist()


def test_the_best_good_episodes_are_left_out_by_hand():
    assert left_out(COVERAGE["all"]) == [] and left_out(WithoutBest(0.0)) == []
    assert left_out(WithoutBest(0.25)) == [0] and left_out(WithoutBest(0.5)) == [0, 2]
    assert left_out(WithoutBest(1.0)) == [0, 2, 3, 8] and left_out(WithoutBest(1.0), 19.0) == [0, 3, 8]


def test_so_few_good_ones_are_left_by_hand():
    """Six are not good: of seven one good is 14%, of eight two are 25%."""
    assert len(left_out(ScarceGood(0.01))) == 3 and len(left_out(ScarceGood(0.25))) == 2 and left_out(ScarceGood(0.9)) == []
    assert set(left_out(ScarceGood(0.01))) < {0, 2, 3, 8}


def test_nothing_good_and_bad_settings_are_refused():
    with pytest.raises(InputError, match="no episode both keeps cost limit 20 and earns more than the median"):
        kept_episodes(
            Episodes(**{**vars(recorded()), "costs": np.full(40, 90.0)}), WithoutBest(), 20.0, np.random.default_rng(0)
        )
    for text, message in (("without-best:share=2", r"share must lie in \[0, 1\]"), ("scarce-good:share=0", "between 0 and 1")):
        with pytest.raises(InputError, match=message):
            Recipe(find_task("BallCircle"), pairs=2, coverage=text)
    with pytest.raises(InputError, match="--coverage must be a text, not 5"):
        Recipe.from_dict({"pairs": 2, "coverage": 5}, find_task("BallCircle"))
    with pytest.raises(InputError, match="leave --coverage out"):
        Recipe(find_task("BallCircle"), pairs=2, coverage="without-best", pairs_from="0" * 64)


def test_pairs_keep_the_files_numbers_and_other_recipes_stay_as_they_were():
    task = find_task("BallCircle")
    recipe = Recipe(task, pairs=8, length=3, cost_limit=20, coverage="without-best:share=1.0")
    assert recipe.to_dict()["coverage"] == "without-best:share=1" and "coverage" not in Recipe(task, pairs=8).to_dict()
    assert Recipe.from_dict(recipe.to_dict(), task) == recipe
    feedback = build(recorded(), recipe)
    assert set(feedback.pairs.episode.ravel().tolist()) <= {1, 4, 5, 6, 7, 9}
    assert feedback.history[1]["episodes_left_out"] == 4
    usual = build(recorded(), Recipe(task, pairs=8, length=3, cost_limit=20))
    same = build(recorded(), Recipe(task, pairs=8, length=3, cost_limit=20, coverage="without-best:share=0.0"))
    np.testing.assert_array_equal(usual.pairs.episode, same.pairs.episode)


def test_a_dataset_says_what_was_left_out_and_is_verified(tmp_path: Path, ball_file: Path):
    words = ["--task", "BallCircle", "--pairs", "30", "--length", "16", "--cost-limit", "1000", "--source", str(ball_file)]
    run_cli("build", *words, "--coverage", "without-best:share=0.5", "--out", "few", cwd=tmp_path)
    manifest = json.loads((tmp_path / "few" / "recipe.json").read_text())
    assert manifest["recipe"]["coverage"] == "without-best:share=0.5" and manifest["history"][1]["episodes_left_out"] > 0
    assert "with `without-best:share=0.5`, which left out" in (tmp_path / "few" / "README.md").read_text()
    for source in ([], ["--source", str(ball_file)]):
        assert run_cli("verify", "few", *source, cwd=tmp_path).returncode == 0
