"""The command `safefeedback collect`; app.py registers it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safefeedback.errors import InputError

if TYPE_CHECKING:
    from safefeedback.recorder.plan import Unit
    from safefeedback.recorder.ppo_lagrangian import Report
    from safefeedback.recorder.recording import Episode
    from safefeedback.tasks import Task

TRAINING = ("steps", "cost_limits", "seeds", "warm_start")  # options that mean nothing where a scripted driver is recorded


def collect(
    context: typer.Context,
    task: Annotated[str, typer.Option(help="Task to record, e.g. BallCircle, or a .toml file of your own.")],
    out: Annotated[Path, typer.Option(help="File to write (.hdf5), or a folder: the name then follows DSRL's.")],
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
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Record episodes of a task in its simulator, from poor to good and from safe to unsafe, as a DSRL file.

    PPO with a learnt price of cost is trained once for each cost limit and seed. MetaDrive's tasks are driven by DSRL's own
    scripted driver instead: 1,000 episodes are its protocol in full, and fewer are the first of them.
    Started again after an interruption, it keeps the training runs, or the ten episodes at a time, that were finished.
    """
    from safefeedback.tasks import find_task

    if (found := find_task(task)).domain == "MetaDrive":
        if given := [name for name in TRAINING if context.get_parameter_source(name).name == "COMMANDLINE"]:  # type: ignore[union-attr]
            option = "--" + given[0].replace("_", "-")
            raise InputError(f"{option} is about training: {found.name} is driven by DSRL's scripted driver, leave it out")
        _drive(found, out, episodes, seed, license, author, as_json)
        return
    from safefeedback.recorder.collect import CollectConfig
    from safefeedback.recorder.collect import collect as run
    from safefeedback.recorder.plan import highest_cost
    from safefeedback.terminal import Progress

    config = CollectConfig(episodes, steps, parse_limits(cost_limits), seeds, seed, warm_start, license, author)
    total = steps * seeds * len(config.cost_limits)
    with Progress("collecting", quiet=as_json) as progress:

        def on_progress(unit: Unit, report: Report) -> None:
            done = unit.index * steps + min(report.steps, steps)
            progress(done, total, f"{unit.name}: return {report.mean_return:.0f}, cost {report.mean_cost:.0f}")

        result = run(found, out, config, on_progress)
    if as_json:
        print(json.dumps(asdict(result), default=str))
        return
    print(f"{result.path}: {result.kept} episodes")
    ceiling = highest_cost(found)
    dear = f"; left out {result.too_costly:,} that cost more than {ceiling:g}" if ceiling < float("inf") else ""
    thinned = result.recorded - result.too_costly - result.kept
    print(f"recorded {result.recorded:,}{dear}; left out {thinned:,} by thinning evenly over return and cost")
    if result.reused_units:
        print(f"{result.reused_units} training runs were finished before and were taken from {result.parts}")
    print(f"the training runs stay in {result.parts}, for another file from the same ones; it may be deleted")


def _drive(task: Task, out: Path, episodes: int, seed: int, license: str, author: str, as_json: bool) -> None:
    """Record DSRL's scripted driver."""
    from safefeedback.recorder.driving import DriveConfig
    from safefeedback.recorder.driving import collect as run
    from safefeedback.terminal import Progress

    with Progress("driving", quiet=as_json) as progress:

        def on_episode(index: int, episode: Episode) -> None:
            progress(index + 1, episodes, f"return {episode.total_reward:.0f}, cost {episode.total_cost:.1f}")

        result = run(task, out, DriveConfig(episodes, seed, license, author), on_episode)
    if as_json:
        print(json.dumps(asdict(result), default=str))
        return
    print(f"{result.path}: {result.kept} episodes, made again by DSRL's protocol, not DSRL's file")
    if result.reused_units:
        print(f"{result.reused_units} parts of ten episodes were finished before and were taken from {result.parts}")
    print(f"the parts stay in {result.parts}, for a larger file with the same ones first; it may be deleted")


def parse_limits(text: str) -> tuple[float | None, ...]:
    """The cost limits in a text like "none,40,10".

    Raises:
        InputError: if a part is neither a number nor "none".
    """
    try:
        return tuple(None if part.strip().lower() == "none" else float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--cost-limits {text}: give numbers or 'none', with commas between, e.g. none,40,10") from None
