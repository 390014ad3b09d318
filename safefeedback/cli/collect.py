"""The command `safefeedback collect`; app.py registers it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safefeedback.errors import InputError
from safefeedback.terminal import Json

if TYPE_CHECKING:
    from safefeedback.recorder.collect import Collected
    from safefeedback.recorder.plan import CollectConfig, Unit
    from safefeedback.recorder.ppo_lagrangian import Report
    from safefeedback.recorder.recording import Episode
    from safefeedback.recorder.script import Script
    from safefeedback.recorder.scripted import ScriptedConfig
    from safefeedback.tasks import Task

TRAINING = ("steps", "cost_limits", "seeds", "warm_start")  # options that mean nothing where a scripted driver is recorded


def collect(
    context: typer.Context,
    task: Annotated[str, typer.Option(help="Task to record, e.g. BallCircle, a .toml file of your own, or several: bullet.")],
    out: Annotated[
        Path,
        typer.Option(help="File to write (.hdf5), or a folder: the name then follows DSRL's. For several tasks, a folder."),
    ],
    preset: Annotated[str | None, typer.Option(help="full: about DSRL's size and spread, for the Bullet tasks.")] = None,
    episodes: Annotated[int, typer.Option(help="Episodes in the file, at most.")] = 1000,
    steps: Annotated[int, typer.Option(help="Training steps for each cost limit and seed.")] = 300_000,
    cost_limits: Annotated[
        str, typer.Option(help="Mean episode costs aimed at, with commas; 'none' is reward alone.")
    ] = "none,40,10",
    seeds: Annotated[int, typer.Option(help="Training runs per cost limit.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same episodes on one machine.")] = 0,
    warm_start: Annotated[Path | None, typer.Option(help="File in DSRL's schema whose behaviour is cloned first.")] = None,
    license: Annotated[str, typer.Option(help="Licence of the file, for the cards of datasets made from it.")] = "",
    author: Annotated[str, typer.Option(help="Who recorded it.")] = "",
    as_json: Json = False,
) -> None:
    """Record episodes of a task in its simulator, from poor to good and from safe to unsafe, as a DSRL file.

    PPO with a learnt price of cost is trained once for each cost limit and seed.

    MetaDrive's tasks are driven by DSRL's own scripted driver instead:
    1,000 episodes are its protocol in full, and fewer are the first of them.

    AntCircle, PointCircle1 and PointGoal1 are played by scripts, unless
    --warm-start names recordings for PPO to begin with.

    The same command again goes on after an interruption, and keeps the
    training runs, batches of ten scripted episodes, and files that were finished.
    """
    from safefeedback.recorder.presets import find_plan, options
    from safefeedback.sources import recordings_file
    from safefeedback.tasks import find_tasks

    values = {"episodes": episodes, "steps": steps, "cost_limits": cost_limits, "seeds": seeds, "seed": seed}
    values |= {"warm_start": warm_start, "license": license, "author": author}
    explicit = {name: value for name, value in values.items() if context.get_parameter_source(name).name == "COMMANDLINE"}  # type: ignore[union-attr]
    chosen = find_tasks(task)
    plans = [
        {} if preset is None else options(find_plan(preset, chosen_task), recordings_file(chosen_task))
        for chosen_task in chosen
    ]
    several = len(chosen) > 1
    if several and (out.suffix or out.is_file()):
        raise InputError(f"--out {out} must be a folder: {len(chosen)} tasks are recorded, each into a file of its own")
    left = []
    for chosen_task, plan in zip(chosen, plans, strict=True):
        place = out / f"{chosen_task.name}.hdf5" if several else out
        if several and place.exists():
            print(f"{place} is there already", file=sys.stderr)
            continue
        left.append((chosen_task, place, {**values, **plan, **explicit}))
        _check(chosen_task, left[-1][2], explicit)
    results = [_collect_one(*of_task, as_json) for of_task in left]
    if as_json:
        rows = [asdict(result) for result in results]
        print(json.dumps(rows if several else rows[0], default=str))


def _played_by(task: Task, values: dict[str, Any]) -> Script | None:
    """The script that plays the task; None where policies are trained, in scripted tasks from recordings to begin with."""
    from safefeedback.recorder.script import find_script

    script = find_script(task)
    return None if script is not None and script.trainable and values["warm_start"] is not None else script


def _check(task: Task, values: dict[str, Any], given: dict[str, Any]) -> None:
    """Raises InputError if a task cannot be recorded so; `given` are the options given in the command."""
    from safefeedback.recorder.collect import reason_not_collectable
    from safefeedback.simulators import can_simulate

    if (script := _played_by(task, values)) is None:
        _training(values)
    elif unfit := [name for name in TRAINING if name in given]:
        option = "--" + unfit[0].replace("_", "-")
        hint = ", or give --warm-start as well" if script.trainable else ""
        raise InputError(f"{option} is about training: {task.name} is played by a script, leave it out{hint}")
    else:
        _scripted(values)
    if (reason := reason_not_collectable(task) if script is None else can_simulate(task)) is not None:
        raise InputError(reason)


def _training(values: dict[str, Any]) -> CollectConfig:
    from safefeedback.recorder.collect import CollectConfig

    return CollectConfig(**{**values, "cost_limits": parse_limits(values["cost_limits"])})


def _scripted(values: dict[str, Any]) -> ScriptedConfig:
    from safefeedback.recorder.scripted import ScriptedConfig

    return ScriptedConfig(values["episodes"], values["seed"], values["license"], values["author"])


def _collect_one(task: Task, out: Path, values: dict[str, Any], quiet: bool) -> Collected:
    """Record one task."""
    from safefeedback.recorder.collect import collect as run
    from safefeedback.recorder.plan import highest_cost
    from safefeedback.terminal import Progress

    if (script := _played_by(task, values)) is not None:
        return _play(task, script, out, values, quiet)
    config = _training(values)
    total = config.steps * config.seeds * len(config.cost_limits)
    with Progress(f"collecting {task.name}", quiet=quiet) as progress:

        def on_progress(unit: Unit, report: Report) -> None:
            done = unit.index * config.steps + min(report.steps, config.steps)
            progress(done, total, f"{unit.name}: return {report.mean_return:.0f}, cost {report.mean_cost:.0f}")

        result = run(task, out, config, on_progress)
    if quiet:
        return result
    print(f"{result.path}: {result.kept} episodes")
    ceiling = highest_cost(task)
    dear = f"; left out {result.too_costly:,} that cost more than {ceiling:g}" if ceiling < float("inf") else ""
    thinned = result.recorded - result.too_costly - result.kept
    print(f"recorded {result.recorded:,}{dear}; left out {thinned:,} by thinning evenly over return and cost")
    if result.reused_units:
        print(f"{result.reused_units} training runs were finished before and were taken from {result.parts}")
    print(f"the training runs stay in {result.parts}, for another file from the same ones; it may be deleted")
    return result


def _play(task: Task, script: Script, out: Path, values: dict[str, Any], quiet: bool) -> Collected:
    """Record a script."""
    from safefeedback.recorder.scripted import collect as run
    from safefeedback.terminal import Progress

    config = _scripted(values)
    with Progress(f"playing {task.name}", quiet=quiet) as progress:

        def on_episode(index: int, episode: Episode) -> None:
            status = f"return {episode.total_reward:.0f}, cost {episode.total_cost:.1f}"
            progress(index + 1, config.episodes, status)

        result = run(task, out, config, on_episode)
    if quiet:
        return result
    print(f"{result.path}: {result.kept} episodes, {script.words.partition(':')[0]}")
    if result.reused_units:
        print(f"{result.reused_units} parts of ten episodes were finished before and were taken from {result.parts}")
    print(f"the parts stay in {result.parts}, for a larger file with the same ones first; it may be deleted")
    return result


def parse_limits(text: str) -> tuple[float | None, ...]:
    """The cost limits in a text like "none,40,10".

    Raises:
        InputError: if a part is neither a number nor "none".
    """
    try:
        return tuple(None if part.strip().lower() == "none" else float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--cost-limits {text}: give numbers or 'none', with commas between, e.g. none,40,10") from None
