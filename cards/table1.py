"""Draws the report in cards/table1/ again from its rows, table1.parquet, as `presa report` does from a study's folder.

python cards/table1.py
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pyarrow.parquet as pq

from presa.algorithms import find_algorithm
from presa.cli.report import study_facts, write_report
from presa.report.figures import draw
from presa.report.tables import make_table
from presa.report.warnings import table_warnings
from presa.study.grid import Scope, study_cells
from presa.study.reproduce import study_command
from presa.study.studies import find_study

HERE = Path(__file__).with_suffix("")
CDT = {"learning_rate": 0.001, "warm_up_steps": 100, "cost_scale": None, "batch_size": 64}
SETTINGS = {
    "cdt": {"steps": 1000, "reward_scale": None, **CDT},
    "safe-rlhf-cdt": {"steps": 2000, "model_steps": 500, **CDT},
}


def main() -> None:
    study = find_study("table1")
    cloning = [
        column.algorithm
        for column in study.columns
        if "cloning" in {field.name for field in fields(find_algorithm(column.algorithm))}
    ]
    scope = Scope(
        tasks=("BallRun", "BallCircle", "CarRun", "DroneRun"),
        source="recordings",
        cost_limits=(20.0,),
        steps=10_000,
        bc_steps=3_000,
        precision="bf16",
        settings=SETTINGS | {name: {"cloning": "segments"} for name in cloning},  # the default when they were trained
    )
    cells, rows = study_cells(study, scope), pq.read_table(HERE / "table1.parquet")
    table = make_table(study, cells, rows, scope.source)
    facts = study_facts(study, scope, cells, [{"failures": {}} for _ in cells])
    figures = draw(table, HERE, cells)
    write_report(HERE, table, facts, figures, warnings=table_warnings(table), made_by=study_command(study, scope))


if __name__ == "__main__":
    main()
