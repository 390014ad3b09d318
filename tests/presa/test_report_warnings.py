"""Idle, fallen, unmoved and indistinguishable policies are named in every form of a report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
from test_comparison import make_run

from presa.cli import main
from presa.report.latex import to_latex
from presa.report.markdown import to_markdown
from presa.report.page import to_page
from presa.report.safety import paired_table
from presa.report.tables import Entry, Line, Run, Table
from presa.report.warnings import baseline, is_idle, table_warnings, unmoved
from presa.study.grid import Column, Study


def run(seed: int, reward: float, cost: float = 0.5, length: float = 100, early: float = 0.0) -> Run:
    return Run(20, seed, reward, cost, (cost,), (reward,), length, early)


def table_of(**columns: list[Run]) -> Table:
    """One task."""
    names = {"bc": "bc-all"}
    study = Study("comparison", "Runs", tuple(Column(name, names.get(name, name), paper=False) for name in columns))
    line = Line("BallRun", "", tuple(Entry(tuple(runs), 0, None, None) for runs in columns.values()))
    return Table(study, (line,), (), False)


def test_idle_and_fallen_are_seen_beside_cloning() -> None:
    drone = [run(0, 0.5, 0.1, 56, 1.0), run(1, 0.5, 0.2, 60, 0.9)]
    table = table_of(bc=[run(0, 0.8), run(1, 1.0)], still=[run(0, 0.1), run(1, 0.3)], drone=drone)
    (line,) = table.lines
    assert baseline(line, table) == pytest.approx(0.9)
    assert [is_idle(entry, line, table) for entry in line.entries] == [False, True, False]  # 0.2 < 0.225
    idle, fallen = table_warnings(table)[-2:]
    assert idle.endswith(": still, BallRun (0.20 beside 0.90)") and fallen.endswith(": drone, BallRun (95%)")
    text = to_markdown(table, [], [], [], [idle])
    assert "| BallRun | 0.90 | 100 · 0% | 100 · 0% · **idle** | 58 · 95% |" in text and f"> **Warning:** {idle}" in text
    assert "**0.20 ± 0.14 / 0.50 ± 0.00**" in text
    page = to_page(table, [], [], [idle], "presa report a b")
    assert "0.20 ± 0.14 / 0.50 ± 0.00" in page and "58 steps, 95% early" in page and "100 steps, 0% early, idle" in page
    assert f"<strong>Warning:</strong> {idle}" in page and "<pre>presa report a b</pre>" in page
    latex = to_latex(table, [], [idle])
    assert r"\textbf{0.20} $\pm$ 0.14" in latex and r"BallRun & 100 & 0\% & 100 & 0\% & 58 & 95\% \\" in latex


def test_a_control_without_answers_is_the_baseline_as_well() -> None:
    columns = (Column("none", "weighted-bc", {"weights": "none"}), Column("shuffled", "weighted-bc", {"weights": "shuffled"}))
    line = Line("BallRun", "", tuple(Entry((run(0, reward),), 0, None, None) for reward in (0.8, 0.1)))
    table = Table(Study("comparison", "Runs", columns), (line,), (), False)
    assert baseline(line, table) == 0.8 and is_idle(line.entries[1], line, table)


def test_without_cloning_the_data_are_the_baseline() -> None:
    runs = [Run(20, 0, 0.1, 0.5, (0.5,), (0.1,), 100, 0.0, 0.6)]
    table = table_of(presa=runs)
    assert baseline(table.lines[0], table) == 0.6 and is_idle(table.lines[0].entries[0], table.lines[0], table)
    unknown = table_of(presa=[Run(20, 0, 0.1, 0.5, (0.5,))])
    assert baseline(unknown.lines[0], unknown) is None and table_warnings(unknown) == []
    assert "| BallRun | - | - |" in to_markdown(unknown, [], [], [])


def test_what_no_test_tells_apart_is_said() -> None:
    few = table_of(a=[run(0, 0.5), run(1, 0.6)], b=[run(0, 0.1), run(1, 0.2)])
    assert table_warnings(few) == [
        "no two methods can be told apart by 2 paired runs: no test reaches p < 0.05 with fewer than 6 of the same task, limit "
        "and seed"
    ]
    seeds = range(8)
    many = table_of(
        a=[run(seed, 0.5 + 0.01 * seed) for seed in seeds],
        b=[run(seed, 0.5 + 0.01 * seed + 0.02 * (-1) ** seed) for seed in seeds],
        c=[run(seed, 0.1 + 0.01 * seed) for seed in seeds],
    )
    assert table_warnings(many) == ["cannot be told apart, in reward or in cost (p of 0.05 or more): a and b"]


def test_paired_differences_have_a_spread() -> None:
    table = table_of(a=[run(0, 0.5), run(1, 0.7)], b=[run(0, 0.4), run(1, 0.2)])
    text = paired_table(replace(table, study=replace(table.study, compare="a")))
    assert "| b | +0.30 ± 0.28 | 0.500 | 1.000 | +0.00 ± 0.00 | 1.000 | 1.000 | 2 |" in text  # (0.1, 0.5)


def test_the_same_policy_under_two_names() -> None:
    table = table_of(a=[run(0, 0.5), run(1, 0.6)], b=[run(0, 0.5), run(1, 0.7)])
    assert table_warnings(table)[0] == "a and b played the very same episodes in 1 of 2 runs: there they are one policy"


def test_a_policy_that_is_still_its_reference(tmp_path: Path) -> None:
    lines = {
        "still": {"stage": "main", "step": 100, "preference_loss": 0.6935, "p_safe": 0.501, "p_unsafe": 0.4999},
        "moved": {"stage": "main", "step": 100, "preference_loss": 0.6935, "p_safe": 0.9, "p_unsafe": 0.2},
        "other": {"stage": "main", "step": 100, "loss": 0.5},
        "begun": {"stage": "bc", "step": 100, "loss": 0.5},
    }
    for name, line in lines.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (found,) = unmoved(tmp_path / name for name in [*lines, "missing"])
    assert "hardly moved from the cloned reference" in found and found.count(str(tmp_path)) == 1
    assert f"{tmp_path / 'still'} (p_safe 0.501, p_unsafe 0.500, preference_loss 0.694)" in found


def test_warnings_stand_in_the_files_and_on_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        make_run(tmp_path / name, "presa" if name == "a" else "safety", 0, [0.5])
    with pytest.raises(SystemExit):
        main(["report", "a", "b"])
    said = capsys.readouterr().err
    assert "warning: presa and safety played the very same episodes in 1 of 1 runs" in said
    for name, start in (("md", "> **Warning:** "), ("tex", "% WARNING: "), ("html", "<strong>Warning:</strong> ")):
        text = (tmp_path / "comparison" / f"report.{name}").read_text()
        assert f"{start}presa and safety played the very same" in text, name
    assert "presa report a b --out comparison" in (tmp_path / "comparison" / "report.md").read_text()
