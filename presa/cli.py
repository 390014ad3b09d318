"""The command line: parse, call, print. Importing it loads neither torch nor a simulator."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from safefeedback.errors import InputError
from safefeedback.terminal import Progress
from safefeedback.terminal import run as run_app

app = typer.Typer(
    help="Learn safe policies from preferences and safety labels, and prove them in the simulator.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, and nothing else.")]
ALGORITHM_HELP = (
    "presa, preference, safety, binary-alignment, bc-safe-seg, unified-comparison, bc-all, bc-safe, cdt, safe-rlhf-cdt, "
    "safe-rlhf-cdt-binary, or package.module:Class."
)


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """The options of every command."""


@app.command()
def train(
    data: Annotated[str, typer.Argument(help="A dataset's folder, or a Hub repository user/name.")],
    algorithm: Annotated[str, typer.Option(help=ALGORITHM_HELP)] = "presa",
    preset: Annotated[
        str | None, typer.Option(help="paper-bullet or paper-safetygym: the paper's Table 4. (default: our defaults)")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of one setting of the algorithm; may be given repeatedly."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps in all, those of --bc-steps included.")] = None,
    bc_steps: Annotated[int | None, typer.Option(help="How many of them clone all segments to make the reference.")] = None,
    pairs: Annotated[int | None, typer.Option(help="Train on the first N pairs. (default: all)")] = None,
    labels: Annotated[str | None, typer.Option(help="A label set of the dataset. (default: the published labels)")] = None,
    trajectories: Annotated[
        Path | None,
        typer.Option(help="Recordings for the algorithms that need whole trajectories. (default: the dataset's own source)"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    out: Annotated[Path | None, typer.Option(help="The run's folder. (default: named after data, algorithm and seed)")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete a run that is in that folder first.")] = False,
    report_every: Annotated[int, typer.Option(help="Steps between reports.")] = 500,
    checkpoint_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 5_000,
    evaluate_every: Annotated[int, typer.Option(help="Steps between rollouts in the simulator; 0 for none.")] = 0,
    evaluate_episodes: Annotated[int, typer.Option(help="Episodes of each of them.")] = 5,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard events into the run's folder.")] = False,
    as_json: Json = False,
) -> None:
    """Train a policy. The same command again continues a run that was interrupted, to the same result."""
    _need("torch", "safetensors")
    from dataclasses import replace

    from presa.algorithms import configure
    from presa.data import load_data, resolve_device
    from presa.finish import finish, log_to_tensorboard
    from presa.records import Settings
    from presa.run import train as run
    from presa.screen import report_line, shout
    from presa.trajectories import find_episodes

    if seed < 0:
        raise InputError(f"--seed must be 0 or more, not {seed}")
    given: dict[str, Any] = dict(_setting(text) for text in set_ or ())
    given |= {name: value for name, value in (("steps", steps), ("bc_steps", bc_steps)) if value is not None}
    chosen = configure(algorithm, preset, given)
    settings = Settings(report_every, checkpoint_every, evaluate_every, evaluate_episodes)
    loaded = load_data(data, labels, pairs, resolve_device(device), chosen.needs_oracle)
    if chosen.needs_trajectories:
        episodes = find_episodes(loaded.task, loaded.identity["source_sha256"], trajectories)
        loaded = replace(loaded.with_episodes(episodes))
    elif trajectories is not None:
        raise InputError(f"--trajectories is for algorithms that need whole trajectories; {algorithm} learns from pairs alone")
    if chosen.notes and not as_json:
        print(*(f"note: {note}" for note in chosen.notes), sep="\n")
    folder = out or Path(f"{Path(data).resolve().name}-{algorithm.replace(':', '.')}-seed{seed}")
    with Progress(f"training {algorithm}", quiet=as_json) as progress, log_to_tensorboard(folder, tensorboard) as log:
        warned = False

        def on_report(line: dict[str, Any]) -> None:
            nonlocal warned
            from presa.records import oversaturated, warnings

            log(line)
            progress(line["step"], chosen.steps)
            if not as_json:
                progress.say(report_line(line, chosen.steps))
            if not warned and oversaturated(line):
                warned = True
                shout(warnings([line])[0])

        result = run(algorithm, chosen, loaded, folder, seed, settings, on_report, overwrite)
    finish(folder)
    if as_json:
        print(json.dumps(result))
        return
    again = " (it was finished already)" if result["already_finished"] else f" in {result['seconds']:.0f} s"
    print(f"{folder}: {algorithm}, {chosen.steps:,} steps{again}")
    for warning in result["warnings"]:
        shout(warning)
    print(f"evaluate it with: presa evaluate {folder}")


@app.command()
def evaluate(
    run: Annotated[str | None, typer.Argument(help="The folder of a run, or a Hub repository user/name.")] = None,
    policy: Annotated[
        str | None, typer.Option(help="Anybody's policy instead: package.module:function, called without arguments.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task for --policy, a name or a .toml file.")] = None,
    episodes: Annotated[int, typer.Option(help="How many episodes.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the episodes.")] = 0,
    cost_limit: Annotated[float | None, typer.Option(help="kappa. (default: the run's, or the task's middle one)")] = None,
    processes: Annotated[int | None, typer.Option(help="How many play at once. (default: one a core)")] = None,
    video: Annotated[Path | None, typer.Option(help="Film the first episodes into this .gif or .mp4.")] = None,
    video_episodes: Annotated[int, typer.Option(help="How many to film.")] = 2,
    as_json: Json = False,
) -> None:
    """Roll a policy out in the simulator and print its normalised reward and cost; a run keeps it as evaluation.json."""
    from presa.evaluate import evaluate as judge
    from presa.policy import load
    from presa.screen import print_evaluation
    from presa.video import check_film, film
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
    if run is not None:
        from presa.policy import local

        run, own = local(run), Path(run).is_dir()
    facts: dict[str, Any] = load(run).facts if run is not None else {"algorithm": policy, "seed": None}
    played = find_task(task) if task is not None else Task.from_dict(facts["task"])
    limit = cost_limit if cost_limit is not None else facts.get("cost_limit", played.default_cost_limit)
    name = run if run is not None else str(policy)
    with Progress("playing", quiet=as_json) as progress:
        labels = {"algorithm": facts["algorithm"], "seed": facts["seed"]}
        result = judge(name, played, limit, episodes, seed, processes, labels, progress)
    if notes := facts.get("notes"):
        result["summary"]["notes"] = notes
    if run is not None and own:
        from presa.files import write_json

        write_json(Path(run) / "evaluation.json", result)
        if (Path(run) / "config.json").is_file():
            from presa.card import write_card

            write_card(Path(run))
    frames = film(name, played, limit, seed, min(video_episodes, episodes), video) if video is not None else 0
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
    tag: Annotated[str | None, typer.Option(help="Of this version, such as v1.0.0. (default: the next one)")] = None,
    message: Annotated[str, typer.Option(help="Joins the line of the changelog.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go up.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a trained policy on the Hugging Face Hub, with a card that tells how it was trained and what it reached."""
    from presa.hub import run_release
    from safefeedback.hub import publish as send
    from safefeedback.hub_commands import print_published

    result = send(run_release(run, repo), repo, public, tag, " ".join(message.split()), dry_run)
    if as_json:
        print(json.dumps({"dry_run": dry_run, **result}))
    else:
        print_published(result, dry_run)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set takes NAME=VALUE, not '{text}'")
    return name.strip().replace("-", "_"), value.strip()


def _need(*packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise InputError(f"training needs {' and '.join(missing)}: uv sync --extra train")


def main(words: list[str] | None = None) -> None:
    """The program `presa`."""
    run_app(app, "presa", words, "interrupted; the same command goes on from the last checkpoint of a training")
