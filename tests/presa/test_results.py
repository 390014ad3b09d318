"""Results files: real policies in the real simulator; tampering is found."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
from feedback_cases import presa as command

import presa
from presa.report.checking import check_results
from presa.report.comparison import find_evaluated
from presa.report.results import deviations, read_results, runs_of, write_results
from safefeedback import InputError, Recipe, build_dataset, find_task
from safefeedback.dataset.benchmark import benchmark
from safefeedback.simulators import can_simulate

CHECKS = ("policies", "rows", "numbers", "episodes", "protocol")


@pytest.fixture(scope="module")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results file of two runs, each judged by three episodes."""
    if (reason := can_simulate(find_task("BallRun"))) is not None:
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("results")
    recipe = Recipe(find_task("BallRun"), pairs=40, length=16, test_fraction=0.1)
    data = build_dataset(recipe, source="recordings", out=root / "data")[0]
    presa.train(data, "bc-all", steps=20, seeds=2, settings={"hidden": (8, 8)}, device="cpu", out=root / "runs", quiet=True)
    presa.evaluate(root / "runs", episodes=3, seed=2026, processes=1, quiet=True)
    assert command("report", root / "runs", "--submit", root / "mine.zip", cwd=root).returncode == 0
    return root / "mine.zip"


def changed(file: Path, to: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The file with its results.json changed."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "results.json":
                found = json.loads(content)
                change(found)
                content = json.dumps(found).encode()
            new.writestr(name, content)
    return to


def failed(file: Path, sample: int | None = 0) -> list[str]:
    checks = check_results(file, sample)
    assert tuple(check.name for check in checks) == CHECKS
    return [check.name for check in checks if check.problems]


def test_what_was_submitted_is_what_it_says(submitted: Path, tmp_path: Path) -> None:
    checks = {check.name: check for check in check_results(submitted, None)}
    assert not [check for check in checks.values() if check.problems]
    assert checks["episodes"].note.startswith("6 of 6 episodes played again, 6 agree")
    assert (
        "not by the protocol of the benchmark, version 1: all 2 runs: the dataset is not the benchmark's"
        in checks["protocol"].note
    )
    with zipfile.ZipFile(submitted) as archive:
        found = json.loads(archive.read("results.json"))
        assert len(archive.namelist()) == 3
    (cell,) = found["numbers"]
    costs = [row["normalized_cost"] for run in found["runs"] for row in run["rows"]]
    assert cell["method"].startswith("bc-all") and cell["runs"] == 2 and cell["cost"] == pytest.approx(sum(costs) / 6)
    assert cell["share_over_limit"] == sum(cost > 1 for cost in costs) / 6 and cell["worst_tenth"] == max(costs)


def test_it_is_checked_without_pytorch(submitted: Path, tmp_path: Path) -> None:
    """By a reviewer who has the simulator and nothing to train with."""
    code = "import sys; sys.modules['torch'] = None; from presa.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", code, "report", "--check", str(submitted), "--sample", "1"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0 and "1 of 6 episodes played again, 1 agree" in done.stdout, done.stderr


@pytest.mark.parametrize("edited", [("data", "pairs", None), ("task", "cost_limits", None), ("data", "pairs", float("nan"))])
def test_edited_records_are_not_submitted(submitted: Path, tmp_path: Path, edited: tuple[str, str, Any]) -> None:
    run = shutil.copytree(submitted.parent / "runs", tmp_path / "runs") / "limit20-seed0"
    config = json.loads((run / "config.json").read_text())
    config[edited[0]][edited[1]] = edited[2]
    (run / "config.json").write_text(json.dumps(config))
    done = command("report", tmp_path / "runs", "--submit", tmp_path / "edited.zip", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and str(tmp_path / "runs") in done.stderr
    assert not (tmp_path / "edited.zip").exists()


def test_equal_results_are_equal_bytes(submitted: Path, tmp_path: Path) -> None:
    judged, _ = find_evaluated([submitted.parent / "runs"])
    write_results(tmp_path / "again.zip", judged)
    assert (tmp_path / "again.zip").read_bytes() == submitted.read_bytes()


def other_cost(found: dict[str, Any]) -> None:
    found["runs"][0]["rows"][1]["normalized_cost"] += 0.5


def better_number(found: dict[str, Any]) -> None:
    found["numbers"][0]["reward"] += 0.01


def missing_interval(found: dict[str, Any]) -> None:
    found["numbers"][0]["cost_interval"] = None


def no_worst_episode(found: dict[str, Any]) -> None:
    del found["runs"][1]["rows"][2]


def other_seed(found: dict[str, Any]) -> None:
    found["runs"][0]["config"]["seed"] = 7


def easier_task(found: dict[str, Any]) -> None:
    """The reference returns are the package's, whatever the file says."""
    found["runs"][0]["config"]["task"]["reference_returns"] = [0.0, 1.0]
    for row in found["runs"][0]["rows"]:
        row["normalized_return"] = row["return"]


def exchanged_policies(found: dict[str, Any]) -> None:
    runs = found["runs"]
    runs[0]["policy_sha256"], runs[1]["policy_sha256"] = runs[1]["policy_sha256"], runs[0]["policy_sha256"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (other_cost, ["rows", "numbers"]),
        (better_number, ["numbers"]),
        (missing_interval, ["numbers"]),
        (no_worst_episode, ["rows", "numbers"]),
        (other_seed, ["policies", "rows"]),
        (easier_task, ["rows", "numbers"]),
        (exchanged_policies, ["policies"]),
    ],
)
def test_what_is_changed_is_found(
    submitted: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], where: list[str]
) -> None:
    assert failed(changed(submitted, tmp_path / "forged.zip", change)) == where


def test_a_forger_who_mends_every_number_is_found_by_playing(submitted: Path, tmp_path: Path) -> None:
    """A higher return, with its score and the table changed to match: only the simulator shows the truth."""
    judged, _ = find_evaluated([submitted.parent / "runs"])
    low, high = find_task("BallRun").reference_returns  # type: ignore[misc]
    gain = 0.1 * (high - low)
    rows = [
        {**row, "return": row["return"] + gain, "normalized_return": row["normalized_return"] + 0.1} for row in judged[0].rows
    ]
    write_results(tmp_path / "forged.zip", [replace(judged[0], rows=tuple(rows)), *judged[1:]])
    assert failed(tmp_path / "forged.zip") == []
    assert failed(tmp_path / "forged.zip", None) == ["episodes"]
    done = command("report", "--check", "forged.zip", "--sample", "all", cwd=tmp_path)
    assert done.returncode == 1 and "FAILED: forged.zip: episodes" in done.stdout and "Traceback" not in done.stderr


def test_other_bytes_of_a_policy_are_found(submitted: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(submitted) as old, zipfile.ZipFile(tmp_path / "forged.zip", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content if name == "results.json" else content[:-1] + bytes([content[-1] ^ 1]))
    assert failed(tmp_path / "forged.zip") == ["policies"]


def test_a_table_of_results_files(submitted: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = command("report", submitted, submitted.parent / "runs", cwd=tmp_path)
    assert done.returncode == 0 and "4 runs" in done.stdout and "they count as two runs" in done.stdout
    assert "bc-all" in (tmp_path / "comparison" / "report.md").read_text()


@pytest.mark.parametrize("value", [math.nan, math.inf, "0.5", None])
def test_a_table_is_not_made_of_what_is_no_number(submitted: Path, tmp_path: Path, value: Any) -> None:
    """In a results file, and in a run's folder."""
    file = changed(submitted, tmp_path / "forged.zip", set_at("rows", 0, "normalized_cost", value))
    run = shutil.copytree(submitted.parent / "runs" / "limit20-seed0", tmp_path / "run")
    found = json.loads((run / "evaluation.json").read_text())
    found["rows"][0]["normalized_cost"] = value
    (run / "evaluation.json").write_text(json.dumps(found))
    for place, message in ((file, "is not a results file"), (run, "is not an evaluation of presa's")):
        done = command("report", place, cwd=tmp_path)
        assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "comparison").exists()


def test_a_check_that_plays_no_episode_says_so(submitted: Path, tmp_path: Path) -> None:
    done = command("report", "--check", submitted, "--sample", "0", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.splitlines()[-1].endswith("is what it says, but no episode was played again")
    done = command("report", "--check", submitted, "--sample", "1", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.splitlines()[-1].endswith("is what it says")


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_what_is_no_results_file(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    if content is None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("results.json", '{"format_version": 1, "runs": [{"config": 3}], "numbers": []}')
    else:
        file.write_bytes(content)
    with pytest.raises(InputError, match="is not a results file"):
        check_results(file)


def set_at(*keys: Any) -> Callable[[dict[str, Any]], None]:
    """A change that sets a value of the first run: keys, then the value."""
    *place, last, value = keys

    def change(found: dict[str, Any]) -> None:
        inner: Any = found["runs"][0]
        for key in place:
            inner = inner[key]
        inner[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        set_at("folder", "/etc"),
        set_at("folder", ".."),
        set_at("folder", "\x1b[2J"),
        set_at("rows", []),
        set_at("rows", [1, 2]),
        set_at("rows", 0, "return", 10**400),
        set_at("rows", 0, "normalized_cost", math.nan),
        set_at("rows", 0, "normalized_return", math.inf),
        set_at("rows", 0, "return", "1.0"),
        set_at("config", {}),
        set_at("config", "data", [1]),
        set_at("config", "data", "pairs", "many"),
        set_at("config", "seed", [1]),
        set_at("summary", "evaluation_seed", "x"),
        lambda found: found["runs"][0].pop("folder"),
        lambda found: found.update(runs=[]),
    ],
)
def test_a_results_file_of_another_shape_is_refused(
    change: Callable[[dict[str, Any]], Any], submitted: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is not a results file"):
        check_results(changed(submitted, tmp_path / "forged.zip", change), 6)


def test_a_policy_of_another_kind_is_refused(submitted: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"no policy").hexdigest()
    file = changed(submitted, tmp_path / "forged.zip", set_at("policy_sha256", digest))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"policies/{digest}.safetensors", b"no policy")
    with pytest.raises(InputError, match="is not a results file"):
        check_results(file, 0)


def test_members_that_are_there_twice_or_too_deep_are_refused(submitted: Path, tmp_path: Path) -> None:
    file = changed(submitted, tmp_path / "twice.zip", lambda found: None)
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("results.json", "{}")
    with pytest.raises(InputError, match="more than once"):
        check_results(file)
    with zipfile.ZipFile(tmp_path / "deep.zip", "w") as archive:
        archive.writestr("results.json", "[" * 200_000 + "]" * 200_000)
    with pytest.raises(InputError, match="is not a results file"):
        check_results(tmp_path / "deep.zip")


def test_a_task_named_like_a_file_is_not_read_from_it(submitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beside the results could name code to run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("this is not read")
    file = changed(submitted, tmp_path / "forged.zip", set_at("config", "task", "name", "mine.toml"))
    assert "policies" in failed(file, None)


def test_the_run_of_the_working_folder_has_its_name(submitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(submitted.parent / "runs" / "limit20-seed0")
    write_results(tmp_path / "here.zip", find_evaluated([Path()])[0])
    assert failed(tmp_path / "here.zip") == []
    assert read_results(tmp_path / "here.zip")["runs"][0]["folder"] == "limit20-seed0"


def test_what_cannot_be_submitted(submitted: Path, tmp_path: Path) -> None:
    runs = submitted.parent / "runs"
    for words, message in (
        ([runs, "--submit", "x.tar"], "ends with .zip"),
        ([runs, "--submit", "x.zip", "--check"], "not both"),
        (["--check", submitted, "--sample", "many"], "--sample takes"),
        ([runs, "--submit", "x.zip", "--study", "table1"], "--study is for"),
        (["--check", "none.zip"], "is not a results file"),
    ):
        done = command("report", *words, cwd=tmp_path)
        assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert not list(tmp_path.iterdir())


def test_runs_by_the_protocol_have_no_deviation(submitted: Path) -> None:
    """As the two runs would be if they had learnt from the benchmark's pairs, five of them, judged by 100 episodes."""
    (first, _), frozen = find_evaluated([submitted.parent / "runs"])[0], benchmark()
    data = {
        **first.config["data"],
        "content_sha256": frozen.content["BallRun"],
        "labels": None,
        "pairs": 9000,
        "pairs_test": 1000,
    }
    summary = {**first.summary, "episodes": 100, "evaluation_seed": frozen.reporting_seed}
    runs = [replace(first, config={**first.config, "data": data, "seed": seed}, summary=summary) for seed in range(5)]
    assert deviations(runs) == []
    other = replace(runs[0], rows=tuple({**row, "cost_limit": 40.0} for row in first.rows))
    assert "evaluated at cost limit 40, and learnt 20" in deviations([other])[0]
    both = {**first.config["configuration"], "judge_limits": [20, 40]}
    assert "learnt" not in str(deviations([replace(other, config={**runs[0].config, "configuration": both})]))
    assert deviations(runs[:3]) == [f"{first.name} on BallRun, limit 20: 3 seeds, not 5"]


OURS = sorted((Path(__file__).parents[2] / "cards" / "benchmark").glob("*/*.zip"))


@pytest.mark.parametrize("file", OURS, ids=[f"{file.parent.name}-{file.stem}" for file in OURS])
def test_our_results_are_what_they_say(file: Path) -> None:
    """Their policies, rows and numbers; `presa report --check` plays the episodes again."""
    checks = {check.name: check for check in check_results(file, sample=0)}
    assert not [check for check in checks.values() if check.problems]
    apart = deviations(runs_of(file, read_results(file)))
    assert all(re.fullmatch(r".*: \d seeds, not 5", line) for line in apart), "fewer seeds are stated in the table"
    assert {run["config"]["task"]["name"] for run in read_results(file)["runs"]} == {file.stem}


@pytest.mark.skipif(not OURS, reason="cards/benchmark holds no results file yet")
def test_the_table_of_our_results_is_current(tmp_path: Path) -> None:
    """`presa report cards/benchmark/*/*.zip --out cards/benchmark` would change nothing."""
    cards = Path(__file__).parents[2] / "cards"
    shutil.copytree(cards / "benchmark", tmp_path / "cards" / "benchmark")
    files = [file.relative_to(cards.parent) for file in OURS]
    assert command("report", *files, "--out", "cards/benchmark", cwd=tmp_path).returncode == 0
    assert (tmp_path / "cards" / "benchmark" / "report.md").read_text() == (cards / "benchmark" / "report.md").read_text()


def test_a_file_is_held_against_the_version_that_it_names(submitted: Path, tmp_path: Path) -> None:
    file = changed(submitted, tmp_path / "later.zip", lambda found: found.update(benchmark=9))
    done = command("report", "--check", file, "--sample", "0", cwd=tmp_path)
    assert done.returncode == 2 and "there is no version 9 of the benchmark: there is v1" in done.stderr
