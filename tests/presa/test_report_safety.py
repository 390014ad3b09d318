"""How sure the safety is: bounds, shares and tests by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from test_report import rows_of, small

from presa.report.safety import paired_differences, paired_table, safe_already, safety, safety_table, sign_test
from presa.report.tables import Entry, Run, Table, make_table
from presa.study.grid import Scope, study_cells
from presa.study.rows import SCHEMA
from presa.study.studies import find_study


def entry(*runs: Run) -> Entry:
    return Entry(runs, 0, None, None)


def test_one_seed_tells_nothing_of_others() -> None:
    found = safety(entry(Run(20, 0, 0.5, 0.75, (0.0, 1.5))))
    assert found is not None and np.isnan(found.bound) and found.safe is None
    assert found.over == 0.5 and found.worst == 1.5
    assert safety(entry()) is None


def test_the_bound_is_over_seeds() -> None:
    calm = safety(entry(*(Run(20, seed, 0.5, 0.5, (0.5,) * 10) for seed in range(5))))
    assert calm is not None and calm.bound == 0.5 and calm.safe and calm.over == 0
    # means 0, 0, 0, 0, 4 drawn anew: P(at least two 4s) = 0.263, P(at least three) = 0.058, so the bound is three of five
    wild = safety(entry(*(Run(20, seed, 0.5, cost, (cost,)) for seed, cost in enumerate([0.0, 0.0, 0.0, 0.0, 4.0]))))
    assert wild is not None and wild.bound == pytest.approx(2.4) and wild.safe is False
    assert wild.over == 0.2 and wild.worst == 4.0


def test_the_worst_tenth() -> None:
    found = safety(entry(Run(20, 0, 0.0, 0.0, tuple(np.arange(20) / 10))))
    assert found is not None and found.worst == pytest.approx((1.9 + 1.8) / 2) and found.over == 0.45


def test_signs_by_hand() -> None:
    assert sign_test(np.array([1.0, 1.0, 1.0])) == 0.25  # two of eight signs reach a sum of 3
    assert sign_test(np.array([1.0, -1.0])) == 1.0
    assert sign_test(np.full(20, 0.1)) == 1 / 20_001  # no draw of signs reaches it
    assert np.isnan(sign_test(np.empty(0)))


def compared() -> Table:
    """Study `modules` against PreSa on one task, two seeds."""
    study = replace(find_study("modules"), compare="PreSa")
    found = study_cells(study, Scope(("BallRun",), "recordings", seeds=2, cost_limits=(20.0,)))
    by_column = {cell.column: cell for cell in found}
    rows = rows_of(by_column["PreSa"], [(20.0, seed, [0.4, 0.6], [0.0, 0.2]) for seed in (0, 1)])
    rows += rows_of(by_column["safety only"], [(20.0, 0, [0.1], [0.5]), (20.0, 1, [0.3], [2.5])])
    return make_table(study, found, pa.Table.from_pylist(rows, SCHEMA), "recordings")


def test_pairs_are_of_the_same_task_limit_and_seed() -> None:
    table = compared()
    assert paired_differences(table, 2, 1, "reward") == pytest.approx([0.4, 0.2])
    assert paired_differences(table, 2, 1, "reward", by_task=True) == pytest.approx([0.3])
    assert paired_differences(table, 2, 0, "reward").size == 0
    text = paired_table(table)
    assert (
        "| safety only | +0.30 ± 0.14 | 0.500 | 1.000 | -1.40 ± 1.41 | 0.500 | 1.000 | 2 |" in text
        and "preference only" not in text
    )
    assert paired_table(small()[0]) == ""  # a study that compares nothing
    assert "**0.10** · 0% · 0.20" in safety_table(table) and "2.50 · 50% · 2.50" in safety_table(table)


def test_cells_where_cloning_everything_is_safe_are_marked() -> None:
    study = find_study("table1")
    found = study_cells(study, Scope(("BallRun", "CarRun"), "recordings", seeds=1, cost_limits=(20.0,)))
    by_place = {(cell.task, cell.column): cell for cell in found}
    rows = rows_of(by_place["CarRun", "BC-All"], [(20.0, 0, [0.8], [0.1])])
    rows += rows_of(by_place["BallRun", "BC-All"], [(20.0, 0, [0.8], [2.1])])
    table = make_table(study, found, pa.Table.from_pylist(rows, SCHEMA), "recordings")
    assert [safe_already(line, table) for line in table.lines] == [False, True]
    assert "CarRun †" in safety_table(table) and "BallRun †" not in safety_table(table)
