"""The command line: parse, call, print. Importing it loads neither torch nor a simulator."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from presa.choices import ALGORITHMS, PRESETS
from presa.cli.ask import ask
from presa.cli.cache import cache
from presa.cli.report import report
from presa.cli.runs import runs
from presa.cli.study import study
from presa.options import parse_cost_limits, parse_setting
from safefeedback.errors import InputError, command_line
from safefeedback.imports import require_packages
from safefeedback.terminal import Progress, on_interrupt, show_version
from safefeedback.terminal import run_program as run_app

app = typer.Typer(
    help="Learn safe policies from preferences and safety labels, and prove them in the simulator.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, and nothing else.")]
ALGORITHM_HELP = f"{', '.join(ALGORITHMS)}, or package.module:Class."


app.command()(study)
app.command()(report)
app.command()(ask)
app.command()(cache)
app.command()(runs)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options of every command."""


@app.command()
def train(
    data: Annotated[str, typer.Argument(help="A dataset's folder, or a Hub repository user/name.")],
    algorithm: Annotated[str, typer.Option(help=ALGORITHM_HELP)] = "presa",
    preset: Annotated[
        str | None, typer.Option(help=f"{', '.join(PRESETS)}; paper-... are the paper's Table 4. (default: our defaults)")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of one setting of the algorithm; may be given repeatedly."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps in all, those of --bc-steps included.")] = None,
    bc_steps: Annotated[
        int | None, typer.Option(help="How many of them clone the recorded steps first. (default: 30%)")
    ] = None,
    pairs: Annotated[int | None, typer.Option(help="Train on the first N pairs. (default: all)")] = None,
    labels: Annotated[str | None, typer.Option(help="A label set of the dataset. (default: the published labels)")] = None,
    trajectories: Annotated[
        Path | None,
        typer.Option(help="Recordings for the algorithms that need whole trajectories. (default: the dataset's own source)"),
    ] = None,
    unlabelled: Annotated[
        str | None,
        typer.Option(
            help="Clone the steps of these recordings as well: a file, or own for the dataset's; never its rewards or costs."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    seeds: Annotated[
        int | None, typer.Option(help="Train N runs at once, with seeds from --seed on, into folders below --out.")
    ] = None,
    cost_limits: Annotated[
        str | None,
        typer.Option(help="K,K,...: train a run for each limit of cost, and each seed, at once. (default: the labels' own)"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    precision: Annotated[
        str | None, typer.Option(help="Of matrix products: fp32, or bf16 where the processor has them. (default: fp32)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder. (default: named after data, algorithm and seed)")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete a run that is in that folder first.")] = False,
    report_every: Annotated[int, typer.Option(help="Steps between reports.")] = 500,
    checkpoint_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 5_000,
    evaluate_every: Annotated[int, typer.Option(help="Steps between rollouts in the simulator; 0 for none.")] = 0,
    evaluate_episodes: Annotated[int, typer.Option(help="Episodes of each of them.")] = 5,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard events into the run's folder.")] = False,
    as_json: Json = False,
) -> None:
    """Train a policy, or one for each of several seeds and limits of cost, each as if it were alone.

    The same command again continues a training that was interrupted, to the same result.
    """
    require_packages("training", "torch", "safetensors")
    from presa.algorithms import configure
    from presa.cli.output import TrainingDisplay, interruption_message, log_to_tensorboard
    from presa.data.limits import describe_labels, load_limits
    from presa.data.pairs import load_data, resolve_device
    from presa.data.trajectories import find_episodes, find_unlabelled
    from presa.runs.card import write_card_and_plots
    from presa.runs.records import MonitorSettings
    from presa.runs.run import Job, job_grid, train_all

    if seed < 0:
        raise InputError(f"--seed must be 0 or more, not {seed}")
    if seeds is not None and seeds < 1:
        raise InputError(f"--seeds must be at least 1, not {seeds}")
    given: dict[str, Any] = dict(parse_setting(text) for text in set_ or ())
    shortcuts = {"steps": steps, "bc_steps": bc_steps, "precision": precision}
    given |= {name: value for name, value in shortcuts.items() if value is not None}
    chosen = configure(algorithm, preset, given)
    settings = MonitorSettings(report_every, checkpoint_every, evaluate_every, evaluate_episodes)
    many = seeds is not None or cost_limits is not None
    where = (labels, pairs, resolve_device(device), chosen.needs_oracle)
    loaded = [load_data(data, *where)] if cost_limits is None else load_limits(data, parse_cost_limits(cost_limits), *where)
    if chosen.needs_trajectories:
        episodes = find_episodes(loaded[0].task, loaded[0].identity["source_sha256"], trajectories)
        loaded = [one.with_episodes(episodes) for one in loaded]
    elif trajectories is not None:
        raise InputError(f"--trajectories is for algorithms that need whole trajectories; {algorithm} learns from pairs alone")
    if unlabelled is not None:
        file = None if unlabelled == "own" else Path(unlabelled)
        seen = find_unlabelled(loaded[0].task, loaded[0].identity["source_sha256"], file)
        loaded = [one.with_unlabelled(seen) for one in loaded]
    notes = [*(f"note: {note}" for note in chosen.notes), *(describe_labels(one) for one in loaded if cost_limits is not None)]
    if not as_json:
        print(*notes, sep="\n", end="\n" if notes else "")
    name = f"{Path(data).resolve().name}-{algorithm.replace(':', '.')}"
    folder = out or Path(name if many else f"{name}-seed{seed}")
    jobs = job_grid(loaded, range(seed, seed + (seeds or 1)), folder) if many else [Job(loaded[0], seed, folder)]
    with Progress(f"training {algorithm}", quiet=as_json, unit="steps") as progress, ExitStack() as logs:
        log = {job.folder: logs.enter_context(log_to_tensorboard(job.folder, tensorboard)) for job in jobs}
        watch = TrainingDisplay(log, chosen.steps, progress, as_json, str(loaded[0].train.observations.device))
        logs.enter_context(on_interrupt(lambda: interruption_message([job.folder for job in jobs])))
        results = train_all(algorithm, chosen, jobs, settings, watch, overwrite, watch.step)
    for job in jobs:
        write_card_and_plots(job.folder)
    failed = [result for result in results if "failed" in result]
    if failed and not many:
        raise InputError(failed[0]["failed"])
    if as_json:
        print(json.dumps(results if many else results[0]))
    else:
        _print_results(results, folder)
    for result in failed:
        print(f"error: {result['folder']}: {result['failed']}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def _print_results(results: list[dict[str, Any]], folder: Path) -> None:
    from presa.cli.output import print_warning

    took = f" in {results[0]['seconds']:.0f} s" + ("" if len(results) == 1 else ", all runs together")
    for result in results:
        if "failed" in result:
            continue
        again = " (it was finished already)" if result["already_finished"] else ""
        print(f"{result['folder']}: {result['algorithm']}, {result['steps']:,} steps{again or took}")
        for warning in result["warnings"]:
            print_warning(warning if len(results) == 1 else f"{Path(result['folder']).name}: {warning}")
    print(f"evaluate {'it' if len(results) == 1 else 'them'} with: {command_line('presa', 'evaluate', folder)}")


@app.command()
def evaluate(
    run: Annotated[str | None, typer.Argument(help="The folder of a run, or of many, or a Hub repository user/name.")] = None,
    policy: Annotated[
        str | None, typer.Option(help="A policy of your own instead: package.module:function, called without arguments.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task for --policy, a name or a .toml file.")] = None,
    episodes: Annotated[int, typer.Option(help="How many episodes.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the episodes.")] = 0,
    cost_limit: Annotated[
        float | None, typer.Option(help="Limit of an episode's cost, kappa. (default: the run's, or the task's middle one)")
    ] = None,
    processes: Annotated[int | None, typer.Option(help="How many play at once. (default: one a core)")] = None,
    video: Annotated[Path | None, typer.Option(help="Film the first episodes into this .gif or .mp4.")] = None,
    video_episodes: Annotated[int, typer.Option(help="How many to film.")] = 2,
    as_json: Json = False,
) -> None:
    """Roll a policy out in the simulator and print its normalised reward and cost; a run keeps it as evaluation.json.

    Given a folder that holds many runs, it evaluates every one and prints a table.
    """
    from presa.cli.output import print_evaluation, print_evaluations
    from presa.rollouts.evaluate import evaluate as judge
    from presa.rollouts.policy import load, local_path
    from presa.rollouts.video import check_film, film, require_drawing
    from presa.runs.evaluation import evaluate_run, evaluate_runs, runs_below
    from safefeedback.tasks import Task, find_task

    if (run is None) == (policy is None):
        raise InputError("give either the folder of a run, or --policy package.module:function with --task")
    if policy is not None and task is None:
        raise InputError("--policy needs --task: the task to play")
    if processes is not None and processes < 1:
        raise InputError(f"--processes must be at least 1, not {processes}")
    if seed < 0:
        raise InputError(f"--seed must be 0 or more, not {seed}")
    if video is not None:
        check_film(video, video_episodes)
    played = find_task(task) if task is not None else None
    own = run is not None and Path(run).is_dir()
    run = local_path(run) if run is not None else None
    below = runs_below(Path(run)) if run is not None else []
    if below and video is not None:
        raise InputError(f"--video films one run, and {run} holds {len(below)}: name one of them, such as {below[0]}")
    seen = played
    if video is not None:
        seen = played or Task.from_dict(load(str(run)).facts["task"])
        require_drawing(seen)
    lost = "the evaluations that were finished are kept" if below else "nothing of this evaluation is kept"
    with Progress("playing", quiet=as_json) as progress, on_interrupt(lambda: f"interrupted; {lost}"):
        if below:
            results = evaluate_runs(Path(str(run)), below, episodes, seed, cost_limit, played, processes, progress)
            summaries = {name: one if isinstance(one, str) else one["summary"] for name, one in results.items()}
        elif run is not None:
            result = evaluate_run(Path(run), episodes, seed, cost_limit, played, processes, progress, keep=own)
        else:
            assert played is not None
            limit = played.default_cost_limit if cost_limit is None else cost_limit
            labels = {"algorithm": policy, "seed": None}
            result = judge(str(policy), played, limit, episodes, seed, processes, labels, progress)
    if below:
        print(json.dumps(results)) if as_json else print_evaluations(summaries)
        return
    if video is not None:
        assert seen is not None
        limit = result["summary"]["cost_limit"]
        frames = film(run or str(policy), seen, limit, seed, min(video_episodes, episodes), video)
    if as_json:
        print(json.dumps(result))
        return
    print_evaluation(result["summary"])
    if video is not None:
        print(f"  film    {video}, {frames} frames")


@app.command()
def publish(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run.")],
    repo: Annotated[str, typer.Argument(help="The repository on the Hub, user/name; it is made if there is none.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it. (default: only you)")] = False,
    tag: Annotated[str | None, typer.Option(help="Tag of this version, such as v1.0.0. (default: the next one)")] = None,
    message: Annotated[str, typer.Option(help="A note that is added to the line of the changelog.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go up.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a trained policy on the Hugging Face Hub, with a card that tells how it was trained and what it reached."""
    from presa.runs.release import run_release
    from safefeedback.cli.output import print_published
    from safefeedback.publish.push import publish as send

    result = send(run_release(run, repo), repo, public, tag, " ".join(message.split()), dry_run)
    if as_json:
        print(json.dumps({"dry_run": dry_run, **result}))
    else:
        print_published(result, dry_run)


def main(words: list[str] | None = None) -> None:
    """The program `presa`."""
    run_app(app, "presa", words)
