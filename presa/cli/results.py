"""Results files for `presa report --submit` and `--check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from safefeedback.errors import InputError, command_line
from safefeedback.terminal import Progress, on_interrupt

if TYPE_CHECKING:
    from safefeedback.verification.check import Check

SHOWN = 5


def submit_runs(folders: list[Path], file: Path) -> None:
    """Writes the evaluated runs in folders into a results file, and says how they differ from the benchmark's protocol."""
    from presa.cli.output import count_runs
    from presa.report.comparison import comparison_warnings, find_evaluated
    from presa.report.results import deviations, write_results
    from presa.runs.records import readable

    judged, left = find_evaluated(folders)
    if left:
        raise InputError(f"{left[0]} was not evaluated: `presa evaluate {left[0]}`, or leave it out")
    places = ", ".join(map(str, folders))
    with readable(
        lambda reason: f"the records of a run in {places} are not as presa writes them ({reason}): were they edited?"
    ):
        doubts, apart = comparison_warnings(judged), deviations(judged)
        write_results(file, judged)
    for doubt in doubts:
        print(f"note: {doubt}")
    for line in apart[:SHOWN]:
        print(f"not by the benchmark's protocol: {line}")
    if len(apart) > SHOWN:
        print(f"and {len(apart) - SHOWN} more")
    size = file.stat().st_size / 1e6
    print(f"{file}: {count_runs(len(judged))}, {sum(len(line.rows) for line in judged):,} episodes, {size:.1f} MB")
    print(f"check it with: {command_line('presa', 'report', '--check', file)}")


def _result(check: Check) -> str:
    """A check's result in a word; to deviate from the protocol is no failure."""
    return "FAILED" if check.problems else "differs" if check.differs else "ok"


def check_files(files: list[Path], sample: str, import_policies: bool = False) -> None:
    """Checks results files; ends with code 1 if one is not what it says."""
    from presa.report.checking import NONE_PLAYED, check_results
    from safefeedback.cli.output import print_table

    if sample != "all" and not (sample.isdecimal() and sample.isascii()):
        raise InputError(f"--sample takes a number of episodes, or all, not '{sample}'")
    bad = 0
    for file in files:
        with Progress(f"checking {file.name}") as progress, on_interrupt(lambda: "interrupted; nothing was changed"):
            count = None if sample == "all" else int(sample)
            checks = check_results(file, count, on_episode=progress, import_policies=import_policies)
        shown = [(check.name, _result(check), "\n".join(check.problems[:SHOWN]) or check.note) for check in checks]
        print_table(("check", "result", "detail"), shown)
        failed = [check for check in checks if check.problems]
        bad += bool(failed)
        names = ", ".join(check.name for check in failed)
        unplayed = f", but {NONE_PLAYED}" * any(check.note.startswith(NONE_PLAYED) for check in checks)
        print(f"FAILED: {file}: {names}" if failed else f"ok: {file} is what it says{unplayed}")
    if bad:
        raise typer.Exit(1)
