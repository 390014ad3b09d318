"""The report: numbers by hand, beside the paper's, and a self-contained page."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from presa.cli.report import report, study_facts
from presa.files import write_json
from presa.report.figures import scatter, sweep
from presa.report.latex import to_latex
from presa.report.markdown import to_markdown
from presa.report.paper import PaperResult, footnotes, paper_average, paper_result
from presa.report.statistics import interquartile_mean, mean, stratified_interval
from presa.report.tables import Table, make_table
from presa.study.cells import RUN_SCHEMA, cell_folder
from presa.study.grid import Cell, Scope, study_cells, task_names
from presa.study.manifest import open_root, write_study
from presa.study.reproduce import study_command
from presa.study.rows import SCHEMA
from presa.study.studies import find_study, studies
from safefeedback.errors import InputError


def rows_of(cell: Cell, runs: list[tuple[float, int, list[float], list[float]]]) -> list[dict[str, object]]:
    """Rows of runs given as (limit, seed, rewards, costs of the episodes)."""
    return [
        {
            "column": cell.column,
            "level": cell.level,
            "cell": cell.hash,
            "algorithm": cell.algorithm,
            "task": cell.task,
            "cost_limit": limit,
            "seed": seed,
            "episode": episode,
            "return": 10 * reward,
            "cost": 20 * cost,
            "length": 100,
            "normalized_return": reward,
            "normalized_cost": cost,
        }
        for limit, seed, rewards, costs in runs
        for episode, (reward, cost) in enumerate(zip(rewards, costs, strict=True))
    ]


def small(source: str = "dsrl") -> tuple[Table, list[Cell], pa.Table]:
    """Study `modules` on two tasks, two limits, one seed; one cell has no result, one lacks a run."""
    scope = Scope(("BallRun", "CarRun"), source, seeds=1, cost_limits=(10.0, 20.0))
    found = study_cells(find_study("modules"), scope)
    by_place = {(cell.task, cell.column): cell for cell in found}
    rows = rows_of(by_place["BallRun", "PreSa"], [(10.0, 0, [0.1, 0.3], [0.0, 1.0]), (20.0, 0, [0.5, 0.7], [2.0, 3.0])])
    rows += rows_of(by_place["CarRun", "PreSa"], [(10.0, 0, [0.9, 1.0], [0.2, 0.4])])
    rows += rows_of(by_place["BallRun", "safety only"], [(10.0, 0, [0.0], [0.5]), (20.0, 0, [0.2], [1.5])])
    table = pa.Table.from_pylist(rows, SCHEMA)
    return make_table(find_study("modules"), found, table, source), found, table


def test_means_are_of_runs_of_episodes() -> None:
    table, _, _ = small()
    ball, car = table.lines
    assert [entry.reward for entry in ball.entries] == [
        None,
        pytest.approx(0.1),
        pytest.approx(0.4),
    ]  # ((.1+.3)/2 + (.5+.7)/2)/2
    assert [entry.cost for entry in ball.entries] == [None, 1.0, 1.5] and [entry.safe for entry in ball.entries] == [
        False,
        True,
        False,
    ]
    assert [entry.missing for entry in ball.entries] == [2, 0, 0] and [entry.missing for entry in car.entries] == [2, 2, 1]
    assert car.entries[2].reward == pytest.approx(0.95) and car.entries[2].safe
    (average,) = table.averages
    assert (
        average.average == 2
        and average.entries[2].reward == pytest.approx(0.675)
        and average.entries[2].cost == pytest.approx(0.9)
    )
    assert average.entries[1].reward is None  # a mean of one of two tasks would mislead
    assert average.entries[2].paper == PaperResult(pytest.approx((0.19 + 0.96) / 2), pytest.approx(0.045))
    assert table.safe_count(2, "") == (1, 2) and table.safe_count(0, "") == (0, 0) and table.paper_safe_count(2, "") == (2, 2)
    assert table.paper_safe_count(0, "") == (0, 0)  # the tasks that our number is counted for


def test_the_papers_numbers() -> None:
    assert paper_result(["table1"], "BallRun", "", "PreSa") == PaperResult(0.19, 0.09)
    assert paper_result(["table7"], "BallRun", "0.1", "BC-Safe-Seg") == PaperResult(0.8, 3.98)
    assert paper_result(["table8", "table9"], "BallRun", "", "Safe-RLHF (CDT) (Cost: binary label only)") == PaperResult(
        0.31, 1.52
    )
    assert paper_result(["table5"], "BallRun", "", "128") is None  # printed as a dash
    assert paper_result(["table1"], "BallRun", "", None) is None
    assert paper_average(["table1"], "BulletGym", "PreSa") == PaperResult(0.41, 0.81)
    assert any("1.93" in note for note in footnotes(["table2"])) and footnotes(["table5"]) == []
    for study in studies().values():  # every column that claims a number of the paper has one on some task
        known = {one.name for one in study.columns if one.paper_name is not None}
        tasks = task_names("all")
        found = {
            one.name
            for one in study.columns
            for level in study.levels
            if any(paper_result(study.paper, task, level.name, one.paper_name) for task in tasks)
        }
        assert found == known, study.name


def test_a_policy_that_was_judged_at_several_limits_is_drawn_whole() -> None:
    scope = Scope(("BallRun",), "dsrl", seeds=3, cost_limits=(10.0, 20.0))
    found = {cell.column: cell for cell in study_cells(find_study("table1"), scope)}
    runs = [(limit, seed, [float(seed)], [seed * 20 / limit]) for limit in (10.0, 20.0) for seed in range(3)]
    rows = [row for name in ("BC-All", "BC-Safe") for row in rows_of(found[name], runs)]
    table = make_table(find_study("table1"), list(found.values()), pa.Table.from_pylist(rows, SCHEMA), "dsrl")
    once, many = table.lines[0].entries[:2]
    assert once.by_policy("cost").tolist() == [[0, 0], [2, 1], [4, 2]]  # trained once a seed
    assert many.by_policy("cost").tolist() == [[0], [2], [4], [0], [1], [2]]
    one, other = table.interval(0, "", "reward"), table.interval(1, "", "reward")
    assert one is not None and other is not None and one.value == other.value == 1
    assert one.high - one.low > other.high - other.low  # three policies say less than six


def test_what_failed_is_named() -> None:
    scope = Scope(("BallRun",), "recordings", seeds=1, settings={"presa": {"alpha": "0.3"}}, precision="bf16")
    found = study_cells(find_study("modules"), scope)
    fine, lost = {"seconds": {}, "failures": {}}, {"seconds": {}, "failures": {"limit10-seed0": "the loss was not finite"}}
    facts = study_facts(find_study("modules"), scope, found, [fine, lost, None])
    assert facts[2:] == [
        "2 of 3 cells are finished, 1 of them with failures",
        "FAILED BallRun safety only limit10-seed0: the loss was not finite",
    ]
    again = "presa study modules --source recordings --tasks BallRun --seeds 1 --precision bf16 --set presa.alpha=0.3"
    assert study_command(find_study("modules"), scope) == again
    assert "bf16 products (presa with alpha 0.3)" in facts[1]
    study, scope = find_study("table1"), Scope(("BallRun",), "recordings")
    (note,) = [fact for fact in study_facts(study, scope, study_cells(study, scope), [None] * 7) if "oracle" in fact]
    assert note.startswith("Safe-RLHF (CDT): The cost preferences it learnt from come from the oracle")


def test_interquartile_means_and_their_intervals() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 3, 4, 9, 24, 25):
        values = rng.normal(size=count)
        ordered, cut = sorted(values), count // 4
        assert interquartile_mean(values) == pytest.approx(sum(ordered[cut : count - cut]) / (count - 2 * cut))
    assert stratified_interval([np.array([2.0, 2.0]), np.array([2.0])]) == (2.0, 2.0, 2.0)
    assert np.isnan(stratified_interval([np.array([1.0]), np.array([3.0])])[1:]).all()  # one run per task gives no interval
    uneven = [np.array([0.0, 0.0, 0.0, 8.0])]
    assert stratified_interval(uneven).value == 0 and stratified_interval(uneven, mean).value == 2
    strata = [rng.normal(task, 1, size=40) for task in range(5)]
    found = stratified_interval(strata)
    assert found == stratified_interval(strata)  # the same draws every time
    assert found.low < found.value < found.high
    naive = []
    for _ in range(2_000):  # runs are drawn within tasks
        drawn = np.sort(np.concatenate([values[rng.integers(0, 40, 40)] for values in strata]))
        naive.append(drawn[50:150].mean())
    assert np.quantile(naive, [0.025, 0.975]) == pytest.approx([found.low, found.high], abs=0.03)


def test_text_shows_both_and_compares_only_what_can_be_compared() -> None:
    table, _, _ = small()
    text = to_markdown(table, ["a fact"], [("x.png", "a figure")], warnings=["one", "two"], made_by="presa study x")
    # 0.4 - 0.19, 1.5 - 0.09; the deviation of (0.2, 0.6) is 0.4 / sqrt(2), that of (0.5, 2.5) is 2 / sqrt(2)
    assert "| 0.40 ± 0.28 / 1.50 ± 1.41 (0.19 / 0.09; +0.21 / +1.41) |" in text
    assert "```sh\npresa study x\n```" in text and "> **Warning:** one\n>\n> **Warning:** two\n" in text
    assert "| **0.95 / 0.30** (1 runs missing) (0.96 / 0.00; -0.01 / +0.30) |" in text
    assert (
        "presa train datasets/BallRun-length64-pairs10000 --algorithm presa --preset paper-bullet --labels limit10-noise0"
        in text
    )
    assert "- a fact" in text and "![a figure](x.png)" in text and "| PreSa | 1 of 2 | 2 of 2 |" in text
    other = to_markdown(small("recordings")[0], [], [])
    assert "| 0.40 ± 0.28 / 1.50 ± 1.41 (0.19 / 0.09) |" in other and "+0.21" not in other and "for orientation" in other
    latex = to_latex(small("recordings")[0], ["a fact"])
    assert (
        latex.startswith("% a fact")
        and "% in grey: the paper's, for orientation only" in latex
        and "% BallRun PreSa: presa train" in latex
    )
    latex = to_latex(table, [], ["one"], "presa study x")
    assert "orientation" not in latex and "% WARNING: one" in latex and "% Made by: presa study x" in latex
    assert r"0.40 $\pm$ 0.28 & 1.50 $\pm$ 1.41 \\" in latex and r"BallRun & -- & -- & 100 & 0\% & 100 & 0\% \\" in latex
    assert r"\textbf{0.95} & \textbf{0.30} \\" in latex and r"\textcolor{gray}{0.19} & \textcolor{gray}{0.09}" in latex
    widths = {line.count("&") for line in latex.splitlines() if line.startswith(("BallRun", "CarRun", "BulletGym", "Task"))}
    assert widths == {6}


def test_sweeps_stand_in_their_order_and_apart() -> None:
    scope = Scope(("BallRun",), "dsrl", seeds=2, cost_limits=(20.0,))
    found = {cell.column: cell for cell in study_cells(find_study("sizes"), scope)}
    runs = [(20.0, seed, [0.1 * seed], [0.5]) for seed in range(2)]
    rows = [row for name in ("2000", "10000") for row in rows_of(found[name], runs)]  # what lies before and between is missing
    table = make_table(find_study("sizes"), list(found.values()), pa.Table.from_pylist(rows, SCHEMA), "dsrl")
    drawn = sweep(table)
    assert drawn is not None
    reward = drawn[1].axes[0]
    assert [tick.get_text() for tick in reward.get_xticklabels()] == ["100", "500", "2000", "5000", "10000"]
    assert [line.get_xdata().tolist() for line in reward.get_lines()] == [[2, 4], [0, 1, 2, 3, 4]]  # ours, the paper's
    both = {cell.column: cell for cell in study_cells(find_study("eta"), scope)}
    rows = [row for cell in both.values() for row in rows_of(cell, runs)]
    drawn = sweep(make_table(find_study("eta"), list(both.values()), pa.Table.from_pylist(rows, SCHEMA), "dsrl"))
    assert drawn is not None
    lines = [line.get_xdata().tolist() for line in drawn[1].axes[0].get_lines()]
    assert lines == [[0, 1, 2, 3], [0, 1, 2, 3], [4, 5, 6, 7], [4, 5, 6, 7]]


def folder_of(root: Path, rows: pa.Table, found: list[Cell]) -> None:
    """A study's folder with those rows."""
    import pyarrow.parquet as pq

    open_root(root, "dsrl")
    write_study(root, find_study("modules"), Scope(("BallRun", "CarRun"), "dsrl", seeds=1, cost_limits=(10.0, 20.0)), found)
    for cell in found:
        own = rows.filter(pa.compute.equal(rows["cell"], cell.hash)).select(RUN_SCHEMA.names)
        if own.num_rows:
            cell_folder(root, cell).mkdir()
            pq.write_table(own, cell_folder(root, cell) / "rows.parquet")
            write_json(
                cell_folder(root, cell) / "result.json", {"seconds": {"training": 1.0, "evaluation": 2.0}, "failures": {}}
            )


@pytest.mark.parametrize("cost", [0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 1.0])
@pytest.mark.parametrize("most", [1.1, 2.5, 6.0])
def test_the_names_of_tasks_stay_off_the_line_of_the_limit(cost: float, most: float) -> None:
    text_of = pytest.importorskip("matplotlib.text", reason="matplotlib is not installed").Text
    found = study_cells(find_study("modules"), Scope(("BallRun", "CarRun"), "dsrl", seeds=1, cost_limits=(20.0,)))
    rows = [row for cell in found for row in rows_of(cell, [(20.0, 0, [0.5], [cost if cell.task == "BallRun" else most])])]
    drawn = scatter(make_table(find_study("modules"), found, pa.Table.from_pylist(rows, SCHEMA), "dsrl"))
    assert drawn is not None
    figure = drawn[1]
    figure.canvas.draw()
    names = 0
    for axes in figure.axes:
        assert axes.get_xlabel() == "normalised cost"
        limit = axes.transData.transform((1, 0))[0]
        for text in axes.texts:
            box, names = text_of.get_window_extent(text), names + 1  # without its arrow
            assert not box.x0 < limit < box.x1, f"{text.get_text()} lies on the limit"
    assert names == len(found) and figure.axes[0].get_ylabel() == "normalised reward"


def test_the_page_needs_nothing_else_and_repeats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    _, found, rows = small()
    folder_of(tmp_path / "study", rows, found)
    report([tmp_path / "study"])
    assert "3 of 6 cells" in capsys.readouterr().out
    place = tmp_path / "study" / "modules"
    page = (place / "report.html").read_text()
    assert sorted(path.name for path in place.iterdir()) == [
        "report.html",
        "report.md",
        "report.tex",
        "reward-cost.png",
        "safe-ratio.png",
    ]
    assert not re.search(r"""(src|href)=["'](?!#)""", page) and page.count("<svg") == 2
    assert "+0.21 / +1.41" in page and page.count("<dialog id=") == 3
    opened = set(re.findall(r'data-opens="([^"]+)"', page))
    assert opened == set(re.findall(r'<dialog id="([^"]+)"', page))
    report([tmp_path / "study"])
    assert (place / "report.html").read_text() == page


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder of `presa study`"):
        report([tmp_path])
    open_root(tmp_path / "empty", "dsrl")
    with pytest.raises(InputError, match="holds no study yet"):
        report([tmp_path / "empty"])
    with pytest.raises(InputError, match="holds no study table1"):
        report([tmp_path / "empty"], "table1")
    _, found, _ = small()
    folder_of(tmp_path / "study", SCHEMA.empty_table(), found)
    with pytest.raises(InputError, match="no cell of study modules"):
        report([tmp_path / "study"])
