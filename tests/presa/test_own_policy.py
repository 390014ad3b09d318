"""`presa evaluate --policy ... --out`: a policy of one's own is listed, compared, submitted and checked as runs are."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
from feedback_cases import presa as command

import presa
from presa.report.checking import check_results
from presa.report.comparison import find_evaluated
from presa.report.results import deviations
from safefeedback import InputError, Recipe, build_dataset, find_task
from safefeedback.dataset.benchmark import benchmark
from safefeedback.simulators import can_simulate

SOURCE = """
from functools import partial

import numpy as np


class Random:
    def __init__(self, training_seed):
        self.facts = {"algorithm": "Random", "seed": training_seed, "dataset": "data"}

    def seed(self, number):
        self.rng = np.random.default_rng(number)

    def reset(self, n):
        pass

    def act(self, observations):
        return self.rng.uniform(-1, 1, (len(observations), 2))


seed_0, seed_1 = partial(Random, 0), partial(Random, 1)


def silent():
    found = Random(0)
    del found.facts
    return found


def listed():
    found = Random(0)
    found.facts = [1]
    return found


def wrong():
    found = Random("first")
    return found


def of_two_lines():
    found = Random(0)
    found.facts = {"algorithm": "Random\\nwalk"}
    return found


def broken():
    raise OSError("no weights\\nthere")
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the module somebodys_policy, the dataset that it learnt from, and the folder kept of two evaluations."""
    if (reason := can_simulate(find_task("BallRun"))) is not None:
        pytest.skip(reason)
    (tmp_path / "somebodys_policy.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    build_dataset(Recipe(find_task("BallRun"), pairs=40, length=16, test_fraction=0.1), source="recordings", out="data")
    for seed in (0, 1):
        words = ("--policy", f"somebodys_policy:seed_{seed}", "--task", "BallRun", "--episodes", 2, "--processes", 1)
        assert command("evaluate", *words, "--out", f"kept/{seed}", cwd=tmp_path).returncode == 0
    yield tmp_path
    sys.modules.pop("somebodys_policy", None)


def test_it_is_listed_compared_and_evaluated_again(place: Path) -> None:
    rows = presa.records("kept", "runs").to_pylist()
    assert [(row["algorithm"], row["task"], row["seed"], row["state"]) for row in rows] == [
        ("Random", "BallRun", 0, "finished"),
        ("Random", "BallRun", 1, "finished"),
    ]
    presa.train("data", "bc-all", steps=20, settings={"hidden": (8, 8)}, device="cpu", out="clone", quiet=True)
    presa.evaluate("clone", episodes=2, processes=1, quiet=True)
    assert command("report", "kept", "clone", "--out", "table", cwd=place).returncode == 0
    text = (place / "table" / "report.md").read_text()
    assert "or plays a policy of one's own again" in text
    assert "| task | Random | bc-all" in text and "presa evaluate --policy somebodys_policy:seed_1 --task BallRun" in text
    before = json.loads((place / "kept" / "0" / "evaluation.json").read_text())
    done = command("evaluate", "kept", "--episodes", 3, "--processes", 1, cwd=place)
    assert done.returncode == 0 and "mean of 2" in done.stdout
    after = json.loads((place / "kept" / "0" / "evaluation.json").read_text())
    assert len(after["rows"]) == 3 and after["rows"][:2] == before["rows"]
    presa.evaluate("kept/0", episodes=1, cost_limit=40, processes=1, quiet=True)
    assert json.loads((place / "kept" / "0" / "config.json").read_text())["cost_limit"] == 40


def test_a_results_file_names_the_code_and_plays_it_only_where_that_is_wanted(place: Path) -> None:
    assert command("report", "kept", "--submit", "mine.zip", cwd=place).returncode == 0
    checks = {check.name: check for check in check_results(place / "mine.zip", None)}
    assert not [check for check in checks.values() if check.problems]
    assert (
        checks["policies"].note.startswith("code: 2, which is played too")
        and "no episode was played again" in checks["episodes"].note
    )
    done = command("report", "--check", "mine.zip", "--import-policies", "--sample", "all", cwd=place)
    assert done.returncode == 0 and "4 of 4 episodes played again, 4 agree" in done.stdout
    with (place / "somebodys_policy.py").open("a") as file:
        file.write("raise SystemExit('imported before its source was compared')\n")
    sys.modules.pop("somebodys_policy", None)
    done = command("report", "--check", "mine.zip", "--import-policies", cwd=place)
    assert done.returncode == 1 and "the source of somebodys_policy:seed_0 is another one here" in done.stdout
    (place / "somebodys_policy.py").unlink()
    done = command("report", "--check", "mine.zip", "--import-policies", cwd=place)
    assert done.returncode == 2 and "there is no module somebodys_policy" in done.stderr


def test_it_deviates_from_the_protocol_as_runs_do(place: Path) -> None:
    judged, frozen = find_evaluated([place / "kept"])[0], benchmark()
    assert deviations(judged) == [
        "all 2 runs: the dataset is not the benchmark's of BallRun",
        "all 2 runs: 40 pairs in the splits train and test, not 10,000",
        "all 2 runs: 2 episodes of evaluation seed 0, not 100 of 2026",
        "Random on BallRun, limit 20: 2 seeds, not 5",
    ]
    for one in judged:
        one.config["data"] |= {"content_sha256": frozen.content["BallRun"], "pairs": 9000, "pairs_test": 1000}
        one.summary.update(episodes=100, evaluation_seed=2026)
    assert deviations(judged) == ["Random on BallRun, limit 20: 2 seeds, not 5"]
    assert deviations(judged[:1]) == ["Random on BallRun, limit 20: 1 seed, not 5"]
    judged[0].config["data"].clear()
    assert deviations(judged)[0] == "0: it does not state what it was learnt from"


def test_what_it_does_not_say_is_its_name_and_what_is_wrong_is_one_line(place: Path) -> None:
    presa.evaluate("somebodys_policy:silent", "BallRun", episodes=1, processes=1, out="silent", quiet=True)
    config = json.loads((place / "silent" / "config.json").read_text())
    assert (config["algorithm"], config["seed"], config["data"]) == ("somebodys_policy:silent", 0, {})
    (place / "other").mkdir()
    (place / "other" / "notes.txt").write_text("mine")
    presa.train("data", "bc-all", steps=2, settings={"hidden": (8, 8)}, device="cpu", out="run", quiet=True)
    own = ("--policy", "somebodys_policy:seed_0", "--task", "BallRun", "--episodes", 1)
    for words, message in (
        ((*own, "--out", "other"), "exists and is not a folder of `presa evaluate --policy`"),
        ((*own, "--out", "run"), "run is a run of `presa train`"),
        (
            ("--policy", "somebodys_policy:silent", "--task", "BallRun", "--out", "kept/0"),
            "kept/0 holds another evaluation (somebodys_policy:seed_0, task BallRun, limit 20): choose another --out",
        ),
        (("run", "--out", "x"), "a run keeps it in its own folder"),
        (("--policy", "somebodys_policy:wrong", "--task", "BallRun", "--out", "x"), "must be a whole number, not 'first'"),
        (("--policy", "somebodys_policy:listed", "--task", "BallRun", "--out", "x"), "must be a dict, not [1]"),
        (("--policy", "somebodys_policy:of_two_lines", "--task", "BallRun", "--out", "x"), "must be a name of one line"),
        (
            ("--policy", "somebodys_policy:broken", "--task", "BallRun", "--out", "x"),
            "broken failed: OSError: no weights there (some",
        ),
        (("--policy", "somebodys_policy:none", "--task", "BallRun", "--out", "x"), "has no 'none'"),
    ):
        done = command("evaluate", *words, cwd=place)
        assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    done = command("publish", "kept/0", "user/x", "--dry-run", cwd=place)
    assert done.returncode == 2 and "it is of a policy of your own, which is code" in done.stderr
    with pytest.raises(InputError, match="a run keeps it in its own folder"):
        presa.evaluate(object(), "BallRun", out="x")
    assert not (place / "x").exists() and {path.name for path in (place / "other").iterdir()} == {"notes.txt"}
