"""The command line: parse, call, print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safefeedback.cli.annotate import annotate
from safefeedback.cli.collect import collect
from safefeedback.cli.hub import export, fetch, publish
from safefeedback.cli.inspect import inspect
from safefeedback.cli.labels import ADVANTAGES_HELP, FILTER_HELP, SAFETY_HELP, TEACHER_HELP, labels, relabel, steps_or_word
from safefeedback.cli.recordings import recordings
from safefeedback.cli.tasks import tasks
from safefeedback.cli.verify import verify
from safefeedback.errors import InputError
from safefeedback.feedback.coverage import COVERAGE
from safefeedback.feedback.sampling import SAMPLERS
from safefeedback.feedback.variants import describe
from safefeedback.simulators import SIMULATORS
from safefeedback.sources.kinds import source_help
from safefeedback.terminal import Json, Progress, new_app, run_program

if TYPE_CHECKING:
    from safefeedback.feedback.recipe import Recipe

app = new_app("Make, check, publish and learn from safe preference feedback over offline safe-RL data.")


@app.command()
def build(
    task: Annotated[
        str,
        typer.Option(
            help="A DSRL task (see `safefeedback tasks`), or a .toml file that describes one. Several with commas, a domain "
            f"({', '.join(SIMULATORS)}) or all: a dataset of each in --out."
        ),
    ],
    pairs: Annotated[
        int | None, typer.Option(help="How many pairs to draw, or to take from --pairs-from. (default: 10000, or all of them)")
    ] = None,
    length: Annotated[int, typer.Option(help="Steps in a segment.")] = 64,
    cost_limit: Annotated[
        float | None, typer.Option(help="Cost limit of a whole episode (default: the middle one of the task's).")
    ] = None,
    horizon: Annotated[
        str, typer.Option(help="Steps the cost limit belongs to: task, longest (recorded episode), or a number.")
    ] = "task",
    sampler: Annotated[str, typer.Option(help=f"The sampler of the pairs: {describe(SAMPLERS)}.")] = "uniform",
    coverage: Annotated[
        str,
        typer.Option(help=f"The coverage of the recordings, to study data with few good episodes: {describe(COVERAGE)}."),
    ] = "all",
    pairs_from: Annotated[
        Path | None,
        typer.Option(
            help="Build exactly the pairs of a CSV file: episode_0, start_0, episode_1, start_1, as `presa ask` writes."
        ),
    ] = None,
    teacher: Annotated[str, typer.Option(help=TEACHER_HELP)] = "oracle",
    safety_noise: Annotated[str, typer.Option(help=SAFETY_HELP)] = "none",
    advantages: Annotated[Path | None, typer.Option(help=ADVANTAGES_HELP)] = None,
    noise: Annotated[float, typer.Option(help="Share of the safety labels to flip.")] = 0.0,
    preference_noise: Annotated[float, typer.Option(help="Share of the preferences to flip.")] = 0.0,
    filter: Annotated[list[str] | None, typer.Option(help=FILTER_HELP)] = None,
    test_fraction: Annotated[float, typer.Option(help="Share of the episodes held out as the test split.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    source: Annotated[str, typer.Option(help=source_help())] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="The dataset's folder (default: one here, named after the recipe), or theirs, of several (default: datasets)."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset in that folder.")] = False,
    processes: Annotated[int | None, typer.Option(help="Of several tasks, how many at once. (default: one a core)")] = None,
    part: Annotated[
        str | None, typer.Option("--shard", help="I/N: of several tasks, the I-th of N parts, for job arrays.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(help="Several tasks on a Ray cluster that shares --out: auto, or its address.")
    ] = None,
    license: Annotated[str, typer.Option(help="Licence of recordings of your own.")] = "",
    author: Annotated[str, typer.Option(help="Who made recordings of your own.")] = "",
    citation: Annotated[str, typer.Option(help="BibTeX for recordings of your own, or a .bib file.")] = "",
    as_json: Json = False,
) -> None:
    """Build a dataset: draw pairs of segments, label them, and write a folder that `load_dataset` opens."""
    import time
    from dataclasses import replace

    from safefeedback.cli.build_many import SOURCES
    from safefeedback.cli.output import STAGES, print_built, summary
    from safefeedback.dataset.build import build_dataset
    from safefeedback.dataset.reading import open_dataset
    from safefeedback.feedback.recipe import Recipe
    from safefeedback.files import file_sha256
    from safefeedback.parallel import shard
    from safefeedback.sources import read_pairs
    from safefeedback.tasks import find_tasks

    started = time.perf_counter()
    chosen = find_tasks(task)
    given_pairs, pairs_sha256 = (None, "") if pairs_from is None else read_pairs(pairs_from, length, pairs)
    recipe = Recipe(
        task=chosen[0],
        pairs=len(given_pairs) if given_pairs is not None else 10_000 if pairs is None else pairs,
        length=length,
        cost_limit=cost_limit,
        horizon=steps_or_word(horizon),
        sampler=sampler,
        coverage=coverage,
        pairs_from=pairs_sha256,
        teacher=teacher,
        safety_noise=safety_noise,
        advantages=file_sha256(advantages) if advantages is not None else "",
        noise=noise,
        preference_noise=preference_noise,
        filters=tuple(filter or ()),
        test_fraction=test_fraction,
        seed=seed,
    )
    terms = {"license": license, "author": author, "citation": _text_or_file(citation, ".bib")}
    if len(chosen) > 1:
        own = {"source": source if source not in SOURCES else "", "advantages": advantages, "pairs-from": pairs_from, **terms}
        if options_given := [name for name, value in own.items() if value]:
            raise InputError(f"--{options_given[0]} is for one task's recordings: build the tasks one by one")
        recipes = shard([replace(recipe, task=chosen_task, cost_limit=cost_limit) for chosen_task in chosen], part)
        _build_several(recipes, source, out or Path("datasets"), overwrite, processes, ray, as_json)
        return
    if options_given := [
        name for name, value in (("processes", processes), ("shard", part), ("ray", ray)) if value is not None
    ]:
        raise InputError(f"--{options_given[0]} is for several tasks, such as --task all")
    with Progress("building", quiet=as_json) as progress:
        folder, _ = build_dataset(
            recipe,
            source,
            out,
            overwrite,
            terms,
            lambda stage, done, total: progress(done, total, STAGES[stage]),
            advantages,
            pairs_from,
        )
    manifest = open_dataset(folder).manifest
    result = summary(folder, manifest, time.perf_counter() - started)
    if as_json:
        print(json.dumps(result))
    else:
        print_built(result, manifest)


app.command()(tasks)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is installed, what works and what is missing; ends with code 1 if datasets cannot be built."""
    from safefeedback.cli import doctor as clinic
    from safefeedback.cli.output import print_table

    with Progress("looking at what is installed", quiet=as_json) as progress:
        checks = clinic.doctor(progress)
    if as_json:
        print(json.dumps(checks))
    else:
        print_table(("capability", "state", "detail"), [(row["name"], row["state"], row["detail"]) for row in checks])
    if checks[1]["state"] != "works":
        raise typer.Exit(1)


app.command()(relabel)
app.add_typer(labels, name="labels")
app.command()(annotate)
app.command()(collect)
app.command()(recordings)
app.command()(inspect)
app.command()(verify)
app.command()(publish)
app.command()(fetch)
app.command()(export)


def _build_several(
    recipes: list[Recipe], source: str, folder: Path, overwrite: bool, processes: int | None, ray: str | None, as_json: bool
) -> None:
    from safefeedback.cli.build_many import build_all, unbuilt_recipes
    from safefeedback.parallel import cores

    if processes is not None and (ray is not None or processes < 1):
        raise InputError("--processes must be at least 1, and is for this machine: a cluster (--ray) spreads the tasks itself")
    left = unbuilt_recipes(recipes, source, folder, overwrite)
    result: dict[str, Any] = {"folder": str(folder), "built": {}, "kept": len(recipes) - len(left), "failures": {}}
    with Progress("building", quiet=as_json) as progress:
        if result["kept"] and not as_json:
            progress.say(f"{result['kept']} of {len(recipes)} datasets are in {folder} already")
        progress(0, len(left))

        def on_done(task: str, found: dict[str, Any]) -> None:
            warned = found.pop("warnings", [])
            result["failures" if "failed" in found else "built"][task] = found.get("failed", found)
            progress(len(result["built"]) + len(result["failures"]), len(left))
            print(*warned, sep="\n", end="\n" if warned else "", file=sys.stderr)
            if not as_json:
                pairs = sum(found.get("splits", {}).values())
                outcome = f"FAILED, {found['failed']}" if "failed" in found else f"{pairs:,} pairs in {found['seconds']:.1f} s"
                progress.say(f"{task}: {outcome}")

        build_all(left, source, folder, overwrite, processes or cores(), ray, on_done)
    if as_json:
        print(json.dumps(result))
    else:
        failed = f", {len(result['failures'])} FAILED" if result["failures"] else ""
        print(f"{folder}: {len(result['built'])} built, {result['kept']} kept{failed}")
    if result["failures"]:
        raise typer.Exit(1)


def _text_or_file(value: str, ending: str) -> str:
    if not value.endswith(ending):
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{value} cannot be read: {error}") from None


def main(words: list[str] | None = None) -> None:
    """The program `safefeedback`."""
    run_program(app, "safefeedback", words)
