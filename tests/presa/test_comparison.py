"""Comparisons of any runs, and the list of runs: real folders, numbers by hand."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from presa.cli import main
from presa.cli.runs import age
from presa.report.comparison import compare, comparison_warnings, find_evaluated
from presa.runs.listing import list_runs
from safefeedback.errors import InputError
from safefeedback.tasks import find_task


def make_run(folder: Path, algorithm: str, seed: int, costs: list[float] | None, limit: float = 20, **changed: str) -> Path:
    """A run's records as presa writes them, with an evaluation of one episode for each cost if there are any."""
    folder.mkdir(parents=True)
    config: dict[str, Any] = {
        "format_version": 1,
        "algorithm": algorithm,
        "configuration": {"steps": 100},
        "changed": changed,
        "task": {"name": "BallRun"},
        "cost_limit": limit,
        "seed": seed,
        "data": {"pairs": 10, "labels": None},
    }
    (folder / "config.json").write_text(json.dumps(config))
    lines = [{"stage": "main", "step": step, "preference_loss": 1 / step, "nu": None} for step in (50, 100)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if costs is not None:
        (folder / "policy.safetensors").touch()
        rows = [
            {
                "task": "BallRun",
                "cost_limit": limit,
                "seed": seed,
                "return": 300.0,
                "normalized_return": 0.5,
                "normalized_cost": cost,
            }
            for cost in costs
        ]
        summary = {"normalized_return": 0.5, "normalized_cost": sum(costs) / len(costs), "safe": sum(costs) <= len(costs)}
        summary |= {"episodes": len(costs), "cost_limit": limit, "return": 300.0, "cost": limit * sum(costs), "length": 100.0}
        (folder / "evaluation.json").write_text(json.dumps({"rows": rows, "summary": summary}))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed, costs in enumerate([[0.0, 1.0], [0.5, 2.5]]):
        make_run(tmp_path / "a" / f"seed{seed}", "presa", seed, costs)
    make_run(tmp_path / "a" / "other", "presa", 0, [0.1], nu_maximum="2")
    make_run(tmp_path / "b", "bc-all", 0, [3.0], limit=10)
    make_run(tmp_path / "c", "safety", 0, None)
    return tmp_path


@pytest.mark.parametrize("edit", [{"changed": None}, {"data": {}}])
def test_edited_records_are_one_line(edit: dict, runs: Path, capsys: pytest.CaptureFixture) -> None:
    path = runs / "a" / "seed0" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    with pytest.raises(SystemExit) as ended:
        main(["report", str(runs / "a"), "--out", str(runs / "out")])
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and "seed0 holds records that presa did not write" in line and not (runs / "out").exists()


def test_methods_are_columns_and_limits_lines(runs: Path) -> None:
    judged, left = find_evaluated([runs / "a", runs / "b", runs / "c", runs / "a" / "other"])
    table = compare(judged)
    assert left == [runs / "c"] and len(judged) == 4  # a run that is named twice counts once
    assert {column.name for column in table.study.columns} == {"presa", "presa (nu_maximum=2)", "bc-all"}
    by_name = {column.name: index for index, column in enumerate(table.study.columns)}
    low, high = table.lines
    assert (low.level, high.level) == ("limit 10", "limit 20")
    assert high.entries[by_name["presa"]].cost == 1.0  # (0.5 + 1.5) / 2
    assert high.entries[by_name["bc-all"]].cost is None and low.entries[by_name["bc-all"]].cost == 3.0


def test_the_report_of_any_runs(runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(runs)
    with pytest.raises(SystemExit) as ended:
        main(["report", "a", "b", "c"])
    assert ended.value.code in (0, None)
    assert "comparison/report.html, report.md, report.tex: 4 runs, 1 were not evaluated" in capsys.readouterr().out
    text = (runs / "comparison" / "report.md").read_text()
    assert (
        "**0.50 ± 0.00 / 1.00 ± 0.71**" in text
        and "limit 10" in text
        and "--set nu_maximum=2" in text
        and "presa evaluate c" in text
    )
    assert "| BallRun | limit 20 | presa | 0.50 (0.50 to 0.50) | 1.00 (0.50 to 1.50) | 2 |" in text  # costs 0.5 and 1.5
    for name in ("curves", "reward-cost"):
        assert (runs / "comparison" / f"{name}.png").stat().st_size > 1000 and f"({name}.png)" in text
    page, latex = ((runs / "comparison" / f"report.{kind}").read_text() for kind in ("html", "tex"))
    assert page.count("<svg") == 2 and "0.50 ± 0.00 / 1.00 ± 0.71" in page and "paper, same tasks" not in page
    assert r"presa (nu\_maximum=2)" in latex


def test_a_report_says_what_is_the_most_that_any_policy_can_score(tmp_path: Path) -> None:
    """Where it is less than the benchmark's best return, as on MetaDrive's hard road."""
    from presa.report.run_figures import draw_runs

    make_run(tmp_path / "runs" / "ball", "presa", 0, [0.5])
    hard = make_run(tmp_path / "runs" / "hard", "presa", 0, [0.5])
    stated = json.dumps(find_task("hardmean").to_dict())
    for path in (hard / "config.json", hard / "evaluation.json"):
        path.write_text(path.read_text().replace('{"name": "BallRun"}', stated).replace("BallRun", "hardmean"))
    judged = find_evaluated([tmp_path / "runs"])[0]
    _, figure, caption = draw_runs(judged)[0]
    bars = {axes.get_title(): [line.get_ydata()[0] for line in axes.lines[1:]] for axes in figure.axes}
    assert bars == {"BallRun, limit 20": [], "hardmean, limit 20": [pytest.approx(0.615, abs=0.01)]}
    assert caption.endswith("The grey line is about the most that any policy can score.")
    assert "any policy" not in draw_runs([run for run in judged if run.config["task"]["name"] == "BallRun"])[0][2]
    own = [replace(run, config={**run.config, "task": {**run.config["task"], "horizon": 7}}) for run in judged]
    assert "any policy" not in draw_runs(own)[0][2]  # a task of one's own with that name
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "out")])
    text = (tmp_path / "out" / "report.md").read_text()
    assert "hardmean, limit 20: Evaluation is on one map, on which arriving earns a normalised return of about 0.61" in text
    assert "before the task's time limit, and not by arriving; **idle**" in text


def test_runs_are_listed_with_their_state(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {row["run"]: row for row in list_runs([runs / "a", runs / "b", runs / "c"])}
    assert len(rows) == 5
    assert rows[str(runs / "b")]["state"] == "finished" and rows[str(runs / "b")]["safe"] is False
    assert rows[str(runs / "c")]["state"] == "main 100 of 100 steps" and rows[str(runs / "c")]["normalized_cost"] is None
    (runs / "c" / "failure.json").write_text('{"error": "the loss was not finite"}')
    for path in (runs / "c").iterdir():
        os.utime(path, (0, 0))
    (row,) = list_runs([runs / "c"])
    assert row["state"] == "failed: the loss was not finite" and row["age"] > 1e6
    monkeypatch.chdir(runs)
    with pytest.raises(SystemExit):
        main(["runs", "b", "--json"])
    assert json.loads(capsys.readouterr().out)[0]["run"] == "b"


def test_ages() -> None:
    assert [age(seconds) for seconds in (0.4, 59, 60, 7300, 200_000)] == ["0 s", "59 s", "1 min", "2 h", "2 d"]


def test_a_curve_of_one_report_is_seen_and_named_in_words(tmp_path: Path) -> None:
    """The README's first run makes one report."""
    pytest.importorskip("matplotlib")
    from presa.report.run_figures import learning_curves

    run = make_run(tmp_path / "run", "presa", 0, [0.0])
    (run / "metrics.jsonl").write_text(json.dumps({"stage": "main", "step": 100, "p_unsafe": 0.4, "nu": 1.0}) + "\n")
    figure = learning_curves(find_evaluated([run])[0])
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == [
        "Probability of the safety label\nof unsafe segments",
        "Multiplier nu",
    ]
    assert [(len(line.get_xdata()), line.get_marker()) for axes in figure.axes for line in axes.lines] == [(1, "o"), (1, "o")]


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        find_evaluated([tmp_path])
    run = make_run(tmp_path / "run", "presa", 0, None)
    with pytest.raises(InputError, match="was evaluated yet"):
        find_evaluated([run])
    (run / "evaluation.json").write_text("[]")
    with pytest.raises(InputError, match="is not an evaluation"):
        find_evaluated([run])
    with pytest.raises(InputError, match="holds no run"):
        list_runs([tmp_path / "none"])


def with_data(run: Path, **data: object) -> Path:
    """The run with other training data in its config."""
    config = json.loads((run / "config.json").read_text())
    config["data"] |= data
    (run / "config.json").write_text(json.dumps(config))
    return run


def test_runs_that_learnt_from_different_labels_are_no_seeds_of_one_method(tmp_path: Path) -> None:
    make_run(tmp_path / "clean", "presa", 0, [0.0])
    with_data(make_run(tmp_path / "noisy", "presa", 0, [4.0]), labels="noise0.3")
    with_data(make_run(tmp_path / "alone", "safety", 0, [4.0]), labels="noise0.3")
    judged, _ = find_evaluated([tmp_path])
    assert {one.folder.name: one.name for one in judged} == {
        "clean": "presa (labels=None)",
        "noisy": "presa (labels=noise0.3)",
        "alone": "safety",
    }
    assert [entry.cost for entry in compare(judged).lines[0].entries] == [0.0, 4.0, 4.0]


def test_what_a_comparison_warns_of(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "presa", 0, [0.0])
    make_run(tmp_path / "b", "presa", 0, [4.0, 4.0])
    judged, _ = find_evaluated([tmp_path])
    different, twice = comparison_warnings(judged)
    assert "different episodes (1 of seed None, 2 of seed None)" in different
    assert twice == f"{tmp_path / 'a'} and {tmp_path / 'b'} are both presa on BallRun, limit 20, seed 0: they count as two runs"


def test_a_task_without_reference_returns_is_compared_by_plain_returns(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = make_run(tmp_path / "run", "presa", 0, [0.0])
    found = json.loads((run / "evaluation.json").read_text())
    found["rows"] = [{**row, "task": "Maze", "normalized_return": None} for row in found["rows"]]
    (run / "evaluation.json").write_text(json.dumps(found))
    with pytest.raises(SystemExit) as ended:
        main(["report", str(run), "--out", str(tmp_path / "out")])
    assert ended.value.code in (0, None)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "300.00 / 0.00" in text and "rewards of Maze are plain returns" in text
