"""The command `presa study`; app.py registers it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from presa.options import parse_cost_limits, parse_setting
from safefeedback.errors import InputError, command_line
from safefeedback.sources.kinds import BUILT_IN
from safefeedback.terminal import Json

if TYPE_CHECKING:
    from presa.study.grid import Cell
    from presa.study.studies import Study

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAMES = ", ".join(tomllib.loads((Path(__file__).parents[1] / "study" / "studies.toml").read_text(encoding="utf-8")))


def study(
    name: Annotated[str, typer.Argument(help=f"{NAMES}.")],
    source: Annotated[str, typer.Option(help="dsrl, or recordings for the small ones that are shipped with safefeedback.")],
    tasks: Annotated[
        str, typer.Option(help="Names with commas; bullet, safetygym, metadrive, or all for the first two.")
    ] = "bullet",
    column: Annotated[
        list[str] | None, typer.Option(help="Only the column of that name. Repeat for several. (default: all)")
    ] = None,
    level: Annotated[
        list[str] | None, typer.Option(help="Only the level of that name, such as 'near the limit'. Repeat.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the studies of that source. (default: named after it)")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A quick trial: one seed and limit, 200 steps, 2 episodes, 200 pairs.")
    ] = False,
    seeds: Annotated[int | None, typer.Option(help="How many seeds, from 0. (default: 3)")] = None,
    cost_limits: Annotated[
        str | None, typer.Option(help="K,K,..., middle, or all of each task's. (default: all, the paper's protocol)")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps in all. (default: the paper's)")] = None,
    bc_steps: Annotated[int | None, typer.Option(help="How many of them are behaviour cloning. (default: the paper's)")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of the policies that are MLPs: as in presa train. (default: fp32)")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="ALGORITHM.NAME=VALUE, such as cdt.steps=2000: a setting of one algorithm. Repeat."),
    ] = None,
    pairs: Annotated[int | None, typer.Option(help="Pairs in every dataset. (default: 10000)")] = None,
    episodes: Annotated[int | None, typer.Option(help="Episodes of each run's evaluation. (default: 20)")] = None,
    evaluate_every: Annotated[int | None, typer.Option(help="Steps between rollouts, for curves. (default: none)")] = None,
    processes: Annotated[int | None, typer.Option(help="Cells at once on this machine. (default: one a core)")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    ray: Annotated[str | None, typer.Option(help="A Ray cluster in place of this machine: auto, or its address.")] = None,
    gpus: Annotated[float, typer.Option(help="Share of a GPU that each cell takes on the cluster.")] = 0.0,
    prepare_only: Annotated[
        bool, typer.Option("--prepare", help="Only make the datasets, where there is a network; --shard then needs none.")
    ] = False,
    part: Annotated[str | None, typer.Option("--shard", help="I/N: only the I-th of N parts, for job arrays.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run failed cells again.")] = False,
    as_json: Json = False,
) -> None:
    """Run an experiment, the paper's or ours: build its datasets, train and evaluate its grid, and write a row an episode.

    The same command again continues after an interruption. A cell that fails is recorded, and the others continue.
    """
    from filelock import FileLock

    from presa.cli.output import failure_lines
    from presa.data.pairs import resolve_device
    from presa.networks.backprop import best_precision
    from presa.study.cells import forget_failure, read_result, record_failure
    from presa.study.grid import QUICK, Scope, task_names
    from presa.study.grid import study_cells as all_cells
    from presa.study.manifest import open_root, write_study
    from presa.study.on_ray import run_on_ray
    from presa.study.prepare import prepare
    from presa.study.rows import collect, write_rows
    from presa.study.studies import find_study
    from presa.study.workers import run_locally
    from safefeedback.parallel import cores, shard
    from safefeedback.terminal import Progress, on_interrupt

    if source not in BUILT_IN:
        raise InputError(f"--source must be {' or '.join(BUILT_IN)}, not '{source}': a study never mixes them")
    if ray is not None and (part is not None or processes is not None or device != "auto"):
        raise InputError(
            "--ray spreads the cells itself, with --gpus for their devices: leave --shard, --processes, --device out"
        )
    if ray is not None and precision == "auto":
        raise InputError("--precision auto asks this machine, not the cluster's: name fp32 or bf16 with --ray")
    if gpus and ray is None:
        raise InputError("--gpus is for a cluster (--ray); here --device chooses")
    chosen_study, overrides = find_study(name), {"seeds": seeds, "steps": steps, "bc_steps": bc_steps}
    overrides |= {"pairs": pairs, "episodes": episodes, "evaluate_every": evaluate_every}
    for option, value in {**overrides, "processes": processes}.items():
        least = 0 if option in ("evaluate_every", "bc_steps") else 1
        if value is not None and value < least:
            raise InputError(f"--{option.replace('_', '-')} must be at least {least}, not {value}")
    chosen: dict[str, Any] = {
        **(QUICK if quick else {}),
        **{key: value for key, value in overrides.items() if value is not None},
    }
    if cost_limits is not None:
        words = ("all", "middle")
        limits = cost_limits if cost_limits in words else parse_cost_limits(cost_limits, "numbers with commas, middle or all")
        chosen["cost_limits"] = limits
    if precision is not None:
        chosen["precision"] = best_precision(resolve_device(device)) if precision == "auto" else precision
    chosen |= {"columns": tuple(column or ()), "levels": tuple(level or ())}
    chosen["settings"] = _settings(chosen_study, set_ or [], chosen.get("settings", {}))
    scope = Scope(task_names(tasks), source, **chosen)
    root = out or Path(f"studies-{source}")
    cells = all_cells(chosen_study, scope)
    mine = shard(sorted(cells, key=lambda cell: -cell.cost), part)  # expensive cells are assigned, and begin, first
    _require_simulators(scope.tasks, source, prepare_only or ray is not None)
    resolve_device(device)
    open_root(root, source)
    if precision == "auto" and not as_json:
        print(f"note: --precision auto takes {scope.precision} here")
    if write_study(root, chosen_study, scope, cells) and not as_json:
        print(f"note: {name} had another scope in {root}; the report is of this one now, finished cells of both stay")
    kept = "interrupted; what is finished is kept, and the same command goes on with the rest"
    with Progress(f"study {name}", quiet=as_json) as progress, on_interrupt(lambda: kept):
        with FileLock(root / "datasets.lock"):
            missing = prepare(root, cells, progress)
        if prepare_only:
            _print_preparations(root, cells, missing, as_json)
            return
        for cell in mine if retry else []:
            forget_failure(root, cell)
        before = [result for cell in mine if (result := read_result(root, cell)) is not None]
        if not as_json and before:
            failed = sum(bool(result["failures"]) for result in before)
            hint = f", {failed} of them with failures" if failed else ""
            progress.say(f"{len(before)} of {len(mine)} cells were finished already{hint}")
        for cell in mine:
            if cell.hash in missing:
                record_failure(root, cell, missing[cell.hash])
        done = sum(read_result(root, cell) is not None for cell in mine)
        progress(done, len(mine), f"study {name}")

        results: dict[str, dict[str, Any]] = {}  # what a cluster could not do has no result in the folder

        def on_cell(cell: Cell, result: dict[str, Any]) -> None:
            nonlocal done
            done += 1
            results[cell.hash] = result
            progress(done, len(mine), f"study {name}")
            if not as_json:
                progress.say(f"[{done}/{len(mine)}] {_cell_line(cell, result)}")

        todo = [cell for cell in mine if read_result(root, cell) is None]
        if ray is not None:
            run_on_ray(root, todo, ray, gpus, on_cell)
        else:
            run_locally(root, todo, processes or cores(), device, on_cell)
    table = collect(root, cells)
    place = write_rows(root, name, table)
    ended = [(cell, read_result(root, cell) or results[cell.hash]) for cell in mine]
    failures = {cell.place: result["failures"] for cell, result in ended if result["failures"]}
    if as_json:
        print(json.dumps({"folder": str(root), "rows": str(place), "cells": len(mine), "failures": failures}))
    else:
        finished = sum(read_result(root, cell) is not None for cell in cells)
        print(f"{place}: {table.num_rows:,} rows of {finished} of {len(cells)} cells")
        print(*failure_lines(failures), sep="\n", end="\n" if failures else "")
        if failures:
            print("do what failed again with the same command and --retry")
        if table.num_rows:
            print(f"read it with: {command_line('presa', 'report', root)}")
    if failures:
        raise typer.Exit(1)


def _print_preparations(root: Path, cells: list[Cell], missing: dict[str, str], as_json: bool) -> None:
    from presa.cli.output import failure_lines

    failures = {cell.place: missing[cell.hash] for cell in cells if cell.hash in missing}
    ready = len(cells) - len(failures)
    if as_json:
        print(json.dumps({"folder": str(root), "datasets": str(root / "datasets"), "cells": ready, "failures": failures}))
    else:
        print(f"{root}/datasets is ready for {ready} cells")
        print(*failure_lines({where: {"": why} for where, why in failures.items()}), sep="\n", end="\n" if failures else "")
    if failures:
        raise typer.Exit(1)


def _settings(study: Study, texts: list[str], first: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings by algorithm that `--set` gives, over those that come first."""
    known = {column.algorithm for column in study.columns}
    settings = {name: dict(values) for name, values in first.items() if name in known}
    for text in texts:
        algorithm, dot, rest = text.partition(".")
        if not dot or algorithm not in known:
            raise InputError(f"--set takes ALGORITHM.NAME=VALUE with one of {', '.join(sorted(known))}, not '{text}'")
        name, value = parse_setting(rest, f"{algorithm}.NAME=VALUE")
        settings.setdefault(algorithm, {})[name] = value
    return settings


def _require_simulators(names: tuple[str, ...], source: str, elsewhere: bool) -> None:
    """Raises InputError if a task cannot be judged here, or has no recordings in the source."""
    from safefeedback import sources
    from safefeedback.simulators import can_simulate
    from safefeedback.tasks import find_task

    for task in map(find_task, names):
        if not elsewhere and (reason := can_simulate(task)) is not None:
            raise InputError(reason)
        if source == "recordings" and sources.recordings_file(task) is None:
            raise InputError(f"no recordings of {task.name} come with safefeedback: leave it out, or take --source dsrl")


def _cell_line(cell: Cell, result: dict[str, Any]) -> str:
    if result["failures"] and not result["seconds"]:
        return f"{cell.place}: FAILED, {next(iter(result['failures'].values()))}"
    failed = f", {len(result['failures'])} of its runs FAILED" if result["failures"] else ""
    training, rollouts = (result["seconds"][name] for name in ("training", "evaluation"))
    return f"{cell.place}: {training:.0f} s of training, {rollouts:.0f} s of rollouts{failed}"
