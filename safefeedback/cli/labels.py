"""The commands that add label sets to a dataset."""

from __future__ import annotations

import json
from collections.abc import Collection
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safefeedback.errors import InputError, command_line
from safefeedback.feedback.annotators import ANNOTATORS
from safefeedback.feedback.consensus import CONSENSUS
from safefeedback.feedback.filters import FILTERS
from safefeedback.feedback.teachers import TEACHERS
from safefeedback.feedback.variants import describe
from safefeedback.terminal import Json, Progress, say

if TYPE_CHECKING:
    from safefeedback.dataset.manifest import LabelSetManifest

Dataset = Annotated[Path, typer.Argument(help="A dataset's folder.")]
AS_DATASET = "(default: as the dataset)"
TEACHER_HELP = f"Who gives preferences: {describe(TEACHERS)}. Settings are given as boltzmann:beta=2,gamma=0.9."
SAFETY_HELP = f"Who gives safety labels: {describe(ANNOTATORS)}; none gives the true ones. Consensus: {', '.join(CONSENSUS)}."
FILTER_HELP = f"{' or '.join(FILTERS)}; may be given several times."
ADVANTAGES_HELP = "For --teacher regret: an HDF5 file whose key `advantages` has one number for each recorded step."

labels = typer.Typer(help="Label sets made elsewhere.", no_args_is_help=True)


def relabel(
    folder: Dataset,
    cost_limit: Annotated[
        str | None, typer.Option(help=f"Cost limit of a whole episode, or several: 10,20,40. {AS_DATASET}")
    ] = None,
    noise: Annotated[
        str | None, typer.Option(help=f"Share of the safety labels to flip, or several: 0,0.1,0.2. {AS_DATASET}")
    ] = None,
    horizon: Annotated[
        str | None, typer.Option(help=f"Steps the limit belongs to: task, longest, or a number. {AS_DATASET}")
    ] = None,
    teacher: Annotated[str | None, typer.Option(help=f"{TEACHER_HELP} {AS_DATASET}")] = None,
    safety_noise: Annotated[str | None, typer.Option(help=f"{SAFETY_HELP} {AS_DATASET}")] = None,
    preference_noise: Annotated[float | None, typer.Option(help=f"Share of the preferences to flip. {AS_DATASET}")] = None,
    filter: Annotated[list[str] | None, typer.Option(help=f"{FILTER_HELP} (default: none)")] = None,
    seed: Annotated[int | None, typer.Option(help=f"Seed of every random choice. {AS_DATASET}")] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the label set (default: limit40-noise20 and what else differs).")
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="The recordings, for teachers who score single steps (default: found here).")
    ] = None,
    advantages: Annotated[Path | None, typer.Option(help=ADVANTAGES_HELP)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace label sets of the same name.")] = False,
    as_json: Json = False,
) -> None:
    """Add label sets: other labels over the pairs of a dataset, without copying a segment; several values make several sets."""
    from safefeedback.dataset.label_sets import relabel as add_sets

    fixed: dict[str, Any] = {
        "teacher": teacher,
        "safety_noise": safety_noise,
        "preference_noise": preference_noise,
        "seed": seed,
        "horizon": steps_or_word(horizon) if horizon is not None else None,
        "filters": list(filter) if filter else None,
    }
    fixed = {key: value for key, value in fixed.items() if value is not None}
    lists = {"cost_limit": _numbers(cost_limit, "--cost-limit"), "noise": _numbers(noise, "--noise")}
    given_lists = {key: values for key, values in lists.items() if values}
    choices = [{**fixed, **dict(zip(given_lists, values, strict=True))} for values in product(*given_lists.values())]
    existing = set() if overwrite else {path.name for path in (folder / "labels").glob("*")}
    with Progress("labelling", quiet=as_json) as progress:
        label_sets = add_sets(folder, choices, name, source, advantages, overwrite, progress)
    print_label_sets(folder, label_sets, as_json, existing)


@labels.command("import")
def import_(
    folder: Dataset,
    file: Annotated[Path, typer.Argument(help="A CSV file: pair_id, annotator, preference, is_safe_0, is_safe_1.")],
    name: Annotated[str, typer.Option(help="Name of the label set.")],
    consensus: Annotated[str, typer.Option(help=f"How several answers become one: {' or '.join(CONSENSUS)}.")] = "majority",
    cost_limit: Annotated[float | None, typer.Option(help=f"The limit that annotators were told. {AS_DATASET}")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a label set of the same name.")] = False,
    as_json: Json = False,
) -> None:
    """Bring in labels made elsewhere, such as people's answers, as a label set; empty cells are no answer."""
    from safefeedback.dataset.answers import import_answers

    print_label_sets(folder, [import_answers(folder, file, name, consensus, cost_limit, overwrite)], as_json)


def steps_or_word(text: str) -> str | int:
    """A number of steps, or the word that stands for one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else text


def _numbers(text: str | None, option: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")] if text is not None else []
    except ValueError:
        raise InputError(f"{option} takes a number, or several joined by commas, not '{text}'") from None
    if len(set(values)) < len(values):
        raise InputError(f"{option} {text} holds a number twice")
    return values


def print_label_sets(folder: Path, made: list[LabelSetManifest], as_json: bool, existing: Collection[str] = ()) -> None:
    """Prints the label sets that were made; `existing` are the names of the sets that existed before."""
    from safefeedback.dataset.history import contradictions, describe_history
    from safefeedback.dataset.loading import load_line
    from safefeedback.dataset.stats import percent

    if as_json:
        keys = ("name", "recipe", "splits", "history", "statistics")
        rows = [{key: label_set.raw[key] for key in keys} | {"content_sha256": label_set.content_sha256} for label_set in made]
        print(json.dumps({"folder": str(folder), "label_sets": rows}))
        return
    for label_set in made:
        kept = ", there already" if label_set.name in existing else ""
        say(f"{folder}/labels/{label_set.name}  {label_set.pairs:,} pairs, {label_set.bytes / 1e6:,.2f} MB{kept}")
        imported = any(entry["stage"] == "answers" for entry in label_set.history)  # then "labelled" is about the truth
        for line in describe_history(label_set.history):
            say(f"  {line.replace('labelled:', 'the truth:', 1) if imported else line}")
        numbers = label_set.statistics
        if imported:
            say(f"  these labels: {percent(numbers['segments_safe'])} of the segments with an answer safe")
        say(f"  not the truth: {contradictions(numbers['safety_flipped'], numbers['preferences_flipped'])}")
    last = made[-1].name
    print(f"load it with: {load_line(folder, last)}")
    print(f"train with: {command_line('presa', 'train', folder, '--labels', last)}")
