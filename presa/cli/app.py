"""The command line: parse, call, print. Importing it loads neither torch nor a simulator."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from presa.choices import ALGORITHMS, PRESETS
from presa.cli.ask import ask
from presa.cli.cache import cache
from presa.cli.report import report
from presa.cli.runs import runs
from presa.cli.study import study
from presa.cli.track import TensorBoard, Trackio, Wandb, track
from presa.options import parse_cost_limits, parse_setting
from safefeedback.errors import InputError, command_line
from safefeedback.imports import is_object, require_packages
from safefeedback.terminal import Json, new_app
from safefeedback.terminal import run_program as run_app

app = new_app("Learn safe policies from preferences and safety labels, and prove them in the simulator.")
ALGORITHM_HELP = f"{', '.join(ALGORITHMS)}, or package.module:Class."


app.command()(study)
app.command()(report)
app.command()(ask)
app.command()(cache)
app.command()(runs)
app.command()(track)


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
        int | None,
        typer.Option(help="How many of them clone the recorded steps first. (default: a share; PreSa's is 30%)"),
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
            help="Clone the steps of these recordings as well: a file, lerobot:NAME or minari:NAME, or own for "
            "the dataset's; never its rewards or costs."
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
    judge_limits: Annotated[
        str | None,
        typer.Option(help="K,K,...: one policy of weighted-bc for all these limits of cost. (default: the labels' own)"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    precision: Annotated[
        str | None,
        typer.Option(help="Of matrix products: fp32, bf16, or auto, which is bf16 where there are such. (default: fp32)"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder. (default: named after data, algorithm and seed)")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete a run that is in that folder first.")] = False,
    report_every: Annotated[int, typer.Option(help="Steps between reports.")] = 500,
    checkpoint_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 5_000,
    evaluate_every: Annotated[int, typer.Option(help="Steps between rollouts in the simulator; 0 for none.")] = 0,
    evaluate_episodes: Annotated[int, typer.Option(help="Episodes of each of them.")] = 5,
    tensorboard: TensorBoard = False,
    wandb: Wandb = None,
    trackio: Trackio = None,
    as_json: Json = False,
) -> None:
    """Train a policy, or one for each of several seeds and limits of cost, each as if it were alone.

    The same command again continues a training that was interrupted, to the same result.
    """
    require_packages("training", "torch", "safetensors")
    from presa.runs.training import train as train_runs

    trained = train_runs(
        data,
        algorithm,
        preset=preset,
        settings=dict(parse_setting(text) for text in set_ or ()),
        steps=steps,
        bc_steps=bc_steps,
        precision=precision,
        pairs=pairs,
        labels=labels,
        trajectories=trajectories,
        unlabelled=unlabelled,
        seed=seed,
        seeds=seeds,
        cost_limits=None if cost_limits is None else parse_cost_limits(cost_limits),
        judge_limits=judge_limits,
        device=device,
        out=out,
        overwrite=overwrite,
        report_every=report_every,
        checkpoint_every=checkpoint_every,
        evaluate_every=evaluate_every,
        evaluate_episodes=evaluate_episodes,
        tensorboard=tensorboard,
        wandb=wandb,
        trackio=trackio,
        quiet=as_json,
    )
    results = trained if isinstance(trained, list) else [trained]
    if as_json:
        print(json.dumps(trained))
    else:
        folder = Path(results[0]["folder"])
        _print_results(results, folder.parent if isinstance(trained, list) else folder)
    failed = [result for result in results if "failed" in result]
    for result in failed:
        print(f"error: {result['folder']}: {result['failed']}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def _print_results(results: list[dict[str, Any]], folder: Path) -> None:
    from presa.runs.display import print_warning

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
    processes: Annotated[int | None, typer.Option(help="How many run at once. (default: one a core)")] = None,
    out: Annotated[Path | None, typer.Option(help="Keep the result of --policy in this folder, as that of a run.")] = None,
    video: Annotated[Path | None, typer.Option(help="Film the first episodes into this .gif or .mp4.")] = None,
    video_episodes: Annotated[int, typer.Option(help="How many to film.")] = 2,
    as_json: Json = False,
) -> None:
    """Roll a policy out in the simulator and print its normalised reward and cost; a run keeps it as evaluation.json.

    Given a folder that holds many runs, it evaluates every one and prints a table.
    """
    from presa.cli.output import print_evaluation, print_evaluations
    from presa.rollouts.policy import load, local_path
    from presa.rollouts.video import check_film, film, require_drawing
    from presa.runs.evaluation import evaluate as judge
    from presa.runs.evaluation import runs_below
    from safefeedback.tasks import Task, find_task

    if (run is None) == (policy is None):
        raise InputError("give either the folder of a run, or --policy package.module:function with --task")
    if policy is not None and task is None:
        raise InputError("--policy needs --task: the task to play")
    if policy is not None and not is_object(policy):
        raise InputError(f"--policy must read package.module:function, not '{policy}'")
    if video is not None:
        check_film(video, video_episodes)
        below = runs_below(Path(run)) if run is not None and Path(run).is_dir() else []
        if below:
            raise InputError(f"--video films one run, and {run} holds {len(below)}: name one of them, such as {below[0]}")
        played_task = find_task(task) if task is not None else Task.from_dict(load(str(run)).facts["task"])
        require_drawing(played_task)
    result = judge(
        run or policy,
        task,
        episodes=episodes,
        seed=seed,
        cost_limit=cost_limit,
        processes=processes,
        out=out,
        quiet=as_json,
    )
    if "summary" not in result:
        if as_json:
            print(json.dumps(result))
        else:
            print_evaluations(
                {name: outcome if isinstance(outcome, str) else outcome["summary"] for name, outcome in result.items()}
            )
        return
    if video is not None:
        limit, actor = result["summary"]["cost_limit"], local_path(run) if run is not None else str(policy)
        frames = film(actor, played_task, limit, seed, min(video_episodes, episodes), video)
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be uploaded.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a trained policy on the Hugging Face Hub, with a card that says how it was trained and what it reached."""
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
