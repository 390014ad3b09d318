"""The command `presa report`; app.py registers it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safefeedback.errors import InputError, command_line

if TYPE_CHECKING:
    from presa.report.figures import NamedFigure
    from presa.report.tables import Table
    from presa.study.grid import Cell, Scope
    from presa.study.studies import Study


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(help="The folder of `presa study`; or any folders of runs, or results files (.zip), to compare them."),
    ],
    study: Annotated[str | None, typer.Option(help="One of the folder's studies. (default: all)")] = None,
    out: Annotated[Path, typer.Option(help="Folder for a comparison of runs.")] = Path("comparison"),
    submit: Annotated[
        Path | None, typer.Option(help="Write the runs into this results file (.zip), which anybody can check, and no report.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check results files: recompute every number, and repeat episodes.")
    ] = False,
    import_policies: Annotated[
        bool,
        typer.Option("--import-policies", help="With --check, import policies that are code, and play them."),
    ] = False,
    sample: Annotated[str, typer.Option(help="With --check, how many episodes of each file to repeat, or all.")] = "10",
) -> None:
    """Set what studies found beside the paper, or any runs beside one another: Markdown, figures, and a page to look at.

    With --submit and --check, a results file that anybody can check offline; --check ends with code 1 if one is not as it says.
    """
    from presa.cli.results import check_files, submit_runs

    if study is not None and (submit is not None or check):
        raise InputError("--study is for a report of a study, not for results files")
    if check and submit is not None:
        raise InputError("give --submit or --check, not both")
    if check:
        check_files(folders, sample, import_policies)
        return
    if submit is not None:
        submit_runs(folders, submit)
        return
    from presa.study.manifest import STUDIES_FILE, source_of, studies_in  # which needs torch; to check a file needs none

    if len(folders) > 1 or not (folders[0] / STUDIES_FILE).is_file():
        if study is not None:
            raise InputError(f"--study is for one folder of `presa study`, and {folders[0]} is none")
        _report_runs(folders, out)
        return
    folder = folders[0]
    names = [study] if study is not None else studies_in(folder)
    if not names:
        make = command_line("presa", "study", "table1", "--source", source_of(folder), "--out", folder)
        raise InputError(f"{folder} holds no study yet: `{make}` makes one")
    for name in names:
        _report_study(folder, name, alone=study is not None or len(names) == 1)


def _report_study(folder: Path, name: str, alone: bool) -> None:
    """The report of one study; where others are reported too, one without a finished cell is only named."""
    from presa.files import POLICY_FILE
    from presa.report.figures import draw
    from presa.report.tables import make_table
    from presa.report.warnings import table_warnings, unmoved
    from presa.study.cells import cell_folder, read_result
    from presa.study.manifest import read_study, source_of
    from presa.study.reproduce import study_command
    from presa.study.rows import collect, write_rows

    study, scope, cells = read_study(folder, name)
    rows = collect(folder, cells)
    if rows.num_rows == 0:
        message = f"no cell of study {name} in {folder} is finished yet"
        if alone:
            raise InputError(message)
        print(message)
        return
    write_rows(folder, name, rows)
    results = [read_result(folder, cell) for cell in cells]
    table = make_table(study, cells, rows, source_of(folder))
    facts = study_facts(study, scope, cells, results)
    place = folder / name
    figures = draw(table, folder, cells)
    runs = [run.parent for cell in cells for run in sorted(cell_folder(folder, cell).glob(f"limit*-seed*/{POLICY_FILE}"))]
    warnings = [*table_warnings(table), *unmoved(runs)]
    write_report(place, table, facts, figures, warnings=warnings, made_by=study_command(study, scope))
    print(f"{place}/report.html, report.md, report.tex: {sum(result is not None for result in results)} of {len(cells)} cells")


def _report_runs(folders: list[Path], out: Path) -> None:
    """Compares any runs."""
    from presa.cli.output import count_runs
    from presa.report.comparison import compare, comparison_warnings, find_evaluated, name_methods, train_commands
    from presa.report.results import protocol, read_results, runs_of
    from presa.report.run_figures import ceilings, draw_runs
    from presa.report.warnings import table_warnings, unmoved
    from safefeedback.simulators.ceilings import describe_ceiling
    from safefeedback.tasks import tasks

    files = [place for place in folders if place.is_file()]
    places = [place for place in folders if place not in files]
    judged, left = find_evaluated(places) if places else ([], [])
    submitted = {file: read_results(file) for file in files}
    runs = {file: runs_of(file, results) for file, results in submitted.items()}
    judged = name_methods([*judged, *(run for some in runs.values() for run in some)])
    table, figures = compare(judged), draw_runs(judged)
    limits = ", ".join(f"{limit:g}" for limit in sorted({limit for run in judged for _, limit in run.places}))
    doubts = comparison_warnings(judged)
    facts = [
        f"{count_runs(len(judged))} in {', '.join(map(str, folders))}, judged by cost limit {limits}",
        *doubts,
        *(f"{file}: {protocol(results['benchmark'], runs[file])}" for file, results in submitted.items()),
    ]
    played = sorted({place for run in judged for place in run.places})
    bounds = ceilings(judged)
    facts += [f"{task}, limit {limit:g}: {describe_ceiling(tasks()[task], limit)}" for task, limit in played if task in bounds]
    facts += [f"{place} was not evaluated: `presa evaluate {place}`" for place in left]
    warnings = [*table_warnings(table), *unmoved(run.folder for run in judged if run.folder.is_dir())]
    made_by = command_line("presa", "report", *folders, "--out", out)
    write_report(out, table, facts, figures, train_commands(judged), warnings, made_by)
    for doubt in doubts:
        print(f"note: {doubt}")
    missing = f", {len(left)} were not evaluated" * bool(left)
    print(f"{out}/report.html, report.md, report.tex: {count_runs(len(judged))}{missing}")


def write_report(
    place: Path,
    table: Table,
    facts: list[str],
    figures: list[NamedFigure],
    commands: list[str] | None = None,
    warnings: list[str] | None = None,
    made_by: str = "",
) -> None:
    """Writes the report's files into a folder, from the arguments of `to_markdown`."""
    from presa.files import write_bytes
    from presa.report.latex import to_latex
    from presa.report.markdown import to_markdown
    from presa.report.page import to_page
    from safefeedback.files import replacing
    from safefeedback.plots.style import save

    for warning in warnings or ():
        print(f"warning: {warning}", file=sys.stderr)
    place.mkdir(parents=True, exist_ok=True)
    for title, figure, _ in figures:
        with replacing(place / f"{title}.png") as partial:
            save(figure, partial)
    shown = [(f"{title}.png", caption) for title, _, caption in figures]
    write_bytes(place / "report.md", to_markdown(table, facts, shown, commands, warnings, made_by).encode())
    write_bytes(place / "report.tex", to_latex(table, facts, warnings, made_by).encode())
    write_bytes(place / "report.html", to_page(table, facts, figures, warnings, made_by).encode())


def study_facts(study: Study, scope: Scope, cells: list[Cell], results: list[dict[str, Any] | None]) -> list[str]:
    """What was run, in sentences, and what failed; a result for each cell."""
    from presa.algorithms import find_algorithm
    from presa.cli.output import failure_lines

    recordings = (
        "DSRL's recordings" if scope.source == "dsrl" else "the recordings shipped with safefeedback, which are not DSRL's"
    )
    steps = "as many steps as the paper" if scope.steps is None else f"{scope.steps:,} steps"
    steps += f", {scope.bc_steps:,} of them cloning" if scope.bc_steps is not None else ""
    steps += f", {scope.precision} products" if scope.precision is not None else ""
    changed = [f"{name} with {', '.join(f'{k} {v}' for k, v in values.items())}" for name, values in scope.settings.items()]
    steps += f" ({'; '.join(changed)})" if changed else ""
    limits = scope.cost_limits if isinstance(scope.cost_limits, str) else ", ".join(f"{limit:g}" for limit in scope.cost_limits)
    limits = {"all": "each task's three cost limits", "middle": "each task's middle cost limit"}.get(
        limits, f"cost limit {limits}"
    )
    finished = [(cell, result["failures"]) for cell, result in zip(cells, results, strict=True) if result is not None]
    failed = failure_lines({cell.place: failures for cell, failures in finished})
    return [
        f"Learnt from {recordings}: {scope.pairs:,} pairs a task",
        f"{scope.seeds} seed{'s' * (scope.seeds > 1)}, {limits}, {steps}, {scope.episodes} episodes a run",
        f"{len(finished)} of {len(results)} cells are finished, {sum(bool(why) for _, why in finished)} of them with failures",
        *failed,
        *(f"{column.name}: {note}" for column in study.columns for note in find_algorithm(column.algorithm).notes),
    ]
