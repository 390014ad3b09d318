"""The commands that publish datasets, fetch published ones, and write them in the formats of other projects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from safefeedback.dataset.export import FORMATS, formats_with
from safefeedback.errors import InputError, command_line
from safefeedback.terminal import Json


def publish(
    folder: Annotated[Path, typer.Argument(help="A dataset's folder, or a folder of datasets.")],
    repo: Annotated[str, typer.Argument(help="The repository on the Hub, user/name; it is made if there is none.")],
    labels: Annotated[
        str | None, typer.Option(help="Publish this label set alone, over the dataset that --base names.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="The published dataset that it labels, such as user/data@v1.0.0.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it. (default: only you)")] = False,
    tag: Annotated[str | None, typer.Option(help="Tag of this version, such as v1.0.0. (default: the next one)")] = None,
    message: Annotated[str, typer.Option(help="A note that is added to the line of the changelog.")] = "",
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="For review: leave out who recorded data of your own, and your notes.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be uploaded.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a dataset, or several in one repository, on the Hugging Face Hub: checked, in one commit, with a version tag."""
    from safefeedback.publish.collection import collection_release, dataset_names
    from safefeedback.publish.dataset import dataset_release
    from safefeedback.publish.label_set import labels_release
    from safefeedback.publish.push import publish as send

    if (labels is None) != (base is None):
        raise InputError("--labels and --base belong together: a label set alone, and the published dataset that it labels")
    message = " ".join(message.split())
    if not message.isprintable():
        raise InputError(f"--message {message!r} holds what cannot be written into the card: give plain text")
    names = dataset_names(folder)
    for name in names:  # before its contents are used
        _verify(folder / name, as_json)
    if labels is not None and base is not None:
        release = labels_release(folder, repo, labels, base, anonymous, dry_run)
    else:
        release = (dataset_release if names == [""] else collection_release)(folder, repo, anonymous)
    result = send(release, repo, public, tag, message, dry_run)
    if as_json:
        print(json.dumps({"dry_run": dry_run, **result}))
    else:
        from safefeedback.cli.output import print_published

        print_published(result, dry_run)


def fetch(
    repo: Annotated[str, typer.Argument(help="A published dataset, user/name; user/name/NAME for one of several.")],
    revision: Annotated[str | None, typer.Option(help="A version's tag, a branch or a commit. (default: the latest)")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder. (default: one here, named as the repository)")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the dataset in that folder.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch a published dataset into a folder, for work without a network."""
    from safefeedback.dataset.loading import load_line
    from safefeedback.dataset.reading import open_dataset
    from safefeedback.publish.fetch import fetch as get

    folder, manifests, commit = get(repo, out, revision, overwrite)
    label_sets = {name: list(open_dataset(folder / name).label_sets) for name in manifests}
    if as_json:
        facts = [
            {
                "folder": str(folder / name),
                "repo": repo,
                "commit": commit,
                "splits": manifest.splits,
                "content_sha256": manifest.content_sha256,
                "label_sets": label_sets[name],
            }
            for name, manifest in manifests.items()
        ]
        print(json.dumps(facts if len(facts) > 1 else facts[0]))
        return
    for name, manifest in manifests.items():
        print(f"{folder / name}: {manifest.task.name}, {manifest.pairs:,} pairs, from {repo} at {commit[:12]}")
        if label_sets[name]:
            print(f"  label sets: {', '.join(label_sets[name])}")
    first_dataset, sets = folder / next(iter(manifests)), next(iter(label_sets.values()))
    print(f"load it with: {load_line(first_dataset)}")
    print(f"train with: {command_line('presa', 'train', first_dataset)}")
    if sets:
        print(f"on a label set: {command_line('presa', 'train', first_dataset, '--labels', sets[-1])}")


def export(
    folder: Annotated[str, typer.Argument(help="A dataset's folder, or a Hub repository user/name.")],
    kind: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}.")],
    out: Annotated[Path | None, typer.Option(help="A new folder. (default: one here, named after both)")] = None,
    labels: Annotated[str | None, typer.Option(help="A label set of the dataset. (default: the published labels)")] = None,
    split: Annotated[str, typer.Option(help="train or test.")] = "train",
    ties: Annotated[
        str | None,
        typer.Option(help=f"keep (as 0.5) or drop, to be given if there are any; for {formats_with('preferences')}."),
    ] = None,
    rewards: Annotated[
        str | None,
        typer.Option(help=f"none (zeros) or return (true returns, spread evenly); for {formats_with('rewards')}."),
    ] = None,
    digits: Annotated[
        int | None,
        typer.Option(help=f"Significant digits of each number, for {formats_with('text')}. (default: all there are)"),
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help=f"Write only every N-th step, for {formats_with('text')}. (default: every step)")
    ] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help=f"JSON Lines instead of Parquet, for {formats_with('text')}.")] = False,
    video: Annotated[
        bool, typer.Option("--video", help=f"Add a view from above as a film, for {formats_with('video')}; takes a while.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a dataset in a format of another project."""
    from safefeedback.dataset.export.export import export as write
    from safefeedback.dataset.export.interface import TextOptions
    from safefeedback.terminal import Progress

    text = TextOptions(digits, 1 if stride is None else stride, jsonl) if jsonl or (digits, stride) != (None, None) else None
    target = out or Path(f"{Path(folder).name}-{kind}")
    with Progress("exporting", as_json) as progress:
        result = write(folder, kind, target, labels, split, ties, rewards, text, video, progress)
    if as_json:
        print(json.dumps(result))
        return
    print(f"{result['folder']}: {result['rows']:,} rows from {result['pairs']:,} pairs, {result['left_out']:,} pairs left out")
    print(f"how to load it: {Path(result['folder']) / 'README.md'}")
    for note in result["notes"]:
        print(f"note: {note}")
    if rewards == "return":
        print("note: rewards are the true returns, which no method that learns from feedback may see")


def _verify(folder: Path, quiet: bool) -> None:
    """Raises InputError if `verify` finds a problem, as far as it can check on this machine."""
    from safefeedback.terminal import Progress
    from safefeedback.verification.verify import verify

    with Progress("verifying", quiet) as progress:
        problems = [problem for check in verify(folder, on_progress=progress) for problem in check.problems]
    if problems:
        more = (
            f" (and {len(problems) - 1} more: see `{command_line('safefeedback', 'verify', folder)}`)"
            if len(problems) > 1
            else ""
        )
        raise InputError(f"{folder} will not be published: {problems[0]}{more}")
