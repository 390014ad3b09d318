"""Generates the dataset card from the manifests of the dataset and its label sets, and the names of its plots."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from string import Template
from typing import Any

from safefeedback.dataset.citation import CITATIONS
from safefeedback.dataset.history import contradictions, describe_history
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.people import describe_study
from safefeedback.dataset.queries import describe_scalars
from safefeedback.dataset.reading import Folder
from safefeedback.dataset.reproduce import build_command, label_set_command
from safefeedback.dataset.stats import percent
from safefeedback.dataset.structure import SCALARS
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Labelling
from safefeedback.files import replacing, write_text
from safefeedback.simulators.ceilings import describe_ceiling
from safefeedback.sources.kinds import KINDS
from safefeedback.types import Source

LENGTH_ROW = (
    "| `episode_length_0`, `episode_length_1` | int32 | how many steps each segment's episode has in the source file |\n"
)


UNKNOWN_PLACE = "<this folder or repository>"
# what `safefeedback inspect` draws, best first, in words that hold for every task
PICTURES = {
    "return-cost.png": "Segments by cost and return, coloured by their safety labels; crosses mark labels that are not true.",
    "pairs.png": "A few pairs, segment beside segment, with their labels.",
    "lidar.png": "A few pairs as the lidars saw them, with their labels.",
    "safe-share.png": "The share of segments that are safe, at every cost limit of an episode.",
}
MOST_PICTURES = 3
NOTES_MARKER = "<!-- What stands below this line is kept when the card is written anew. -->\n"


def render(
    manifest: Manifest,
    sets: dict[str, LabelSetManifest] | None = None,
    pictures: Sequence[str] = (),
    place: str = UNKNOWN_PLACE,
) -> str:
    """README.md of the dataset that the manifest (recipe.json) describes: Hub metadata, numbers, pictures, history, terms.

    Args:
        manifest: of the dataset.
        sets: the manifests of its label sets, by name.
        pictures: which of `PICTURES` there are in its folder `plots`.
        place: where the dataset is loaded from.
    """
    import yaml

    sets, source = sets or {}, manifest.source
    template = Template(Path(__file__).with_name("card_template.md").read_text(encoding="utf-8"))
    return template.substitute(
        metadata=yaml.safe_dump(metadata(manifest, sets), sort_keys=False, allow_unicode=True, width=1000),
        pretty_name=_pretty_name(manifest),
        place=place,
        task=manifest.task.name,
        domain=manifest.task.domain,
        origin=KINDS[source.kind].description,
        **manifest.recipe.shape,
        length_row=LENGTH_ROW if manifest.has_episode_lengths else "",
        scalars=describe_scalars(manifest),
        numbers="\n".join(f"| {name} | {value} |" for name, value in _numbers(manifest)),
        pictures="".join(f"\n![{PICTURES[name]}](plots/{name})\n\n*{PICTURES[name]}*\n" for name in best_pictures(pictures)),
        command=build_command(manifest),
        steps="\n".join(f"- {line}" for line in describe_history(manifest.history)),
        label_sets=_label_sets(sets),
        source_file=source.file,
        source_sha256=source.fingerprint,
        content_sha256=manifest.content_sha256,
        limitations="\n".join(f"- {line}" for line in limitations(manifest, sets)),
        attribution=attribution(source),
        citation="\n\n".join(text for text in (CITATIONS, source.citation.strip()) if text),
        yours=NOTES_MARKER,
    )


def describe(manifest: Manifest) -> str:
    """A description of the dataset."""
    return (
        f"{manifest.pairs:,} pairs of {manifest.recipe.length}-step trajectory segments of the task {manifest.task.name} "
        f"({manifest.task.domain}), each pair with a preference and each segment with a binary safety label, made with "
        f"safefeedback from {KINDS[manifest.source.kind].description}."
    )


def sets_by_people(sets: dict[str, LabelSetManifest]) -> list[str]:
    """The names of the label sets that people gave."""
    return [name for name, labels in sets.items() if labels.by_people]


def limitations(manifest: Manifest, sets: dict[str, LabelSetManifest]) -> list[str]:
    """The limitations of the dataset and its label sets, a sentence each, in Markdown."""
    recipe = manifest.recipe
    rule = f"{recipe.limit:g} * {recipe.length} / {manifest.horizon} = {manifest.segment_cost_limit:g}"
    noise, people = _noise_sentence(recipe), sets_by_people(sets)
    gave = (
        f"People gave those of the label set{'s' * (len(people) > 1)} {', '.join(people)}" if people else "No person gave them"
    )
    ceiling = describe_ceiling(manifest.task, recipe.limit)
    return [
        f"The labels are synthetic: computed from the recorded rewards and costs{noise}. {gave}.",
        f"Safety is judged segment by segment, `cost <= {rule}`: a segment of an unsafe episode can be safe.",
        "Segments show what the recording policies did; states they never visited have no feedback.",
        *([ceiling] if ceiling else []),
    ]


def stated_place(text: str) -> str:
    """Where a card says that its dataset is loaded from."""
    match = re.search(r'load_dataset\("([^"]+)"', text)
    return match[1] if match else UNKNOWN_PLACE


def pictures_in(folder: Path) -> list[str]:
    """Which pictures that a card can show were drawn into a dataset's folder."""
    return [name for name in PICTURES if (folder / "plots" / name).is_file()]


def best_pictures(pictures: Sequence[str]) -> list[str]:
    """The best of some pictures, in the order in which they are shown."""
    return [name for name in PICTURES if name in pictures][:MOST_PICTURES]


def rewrite(folder: Folder, without: Collection[str] = ()) -> None:
    """Writes the card of a dataset's folder again; text that somebody added below its last line is kept.

    Args:
        folder: the dataset.
        without: label sets to leave out.

    Raises:
        InputError: if it cannot be written.
    """
    path = folder.path / "README.md"
    sets = {name: manifest for name, manifest in folder.label_sets.items() if name not in without}
    notes = added_notes(path)
    try:
        with replacing(path) as partial:
            write_text(partial, render(folder.manifest, sets, pictures_in(folder.path)) + notes)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def added_notes(path: Path) -> str:
    """What somebody added below a card's last line, "" where there is no card.

    Raises:
        InputError: if it cannot be read, so that nothing of it is lost.
    """
    try:
        return path.read_text(encoding="utf-8").partition(NOTES_MARKER)[2] if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text in UTF-8, and would be replaced: move it away ({error})") from None


def _noise_sentence(recipe: Labelling) -> str:
    taught = recipe.teacher != "oracle" or recipe.safety_noise != "none"
    flipped = recipe.noise > 0 or recipe.preference_noise > 0
    words = ["by simulated annotators who err on purpose"] if taught else []
    words += ["with labels flipped at random on purpose"] if flipped else []
    return f", {' and '.join(words)}" if words else ", without error"


def _label_sets(sets: dict[str, LabelSetManifest]) -> str:
    if not sets:
        return ""
    lines = [
        "## Label sets",
        "",
        'More labels over the same pairs, joined by `pair_id`: `load_dataset(..., "<name>")` has the labels, `"<name>-oracle"`',
        'the truth about them, `safefeedback.read(..., labels="<name>")` segments and labels together.',
        "",
        "| name | pairs | segments safe | decided pairs whose preferred segment is unsafe | made by |",
        "|---|---|---|---|---|",
    ]
    for name, manifest in sets.items():
        shares = [percent(manifest.statistics[key]) for key in ("segments_safe", "preferred_is_unsafe")]
        lines.append(f"| `{name}` | {manifest.pairs:,} | {shares[0]} | {shares[1]} | `{label_set_command(manifest)}` |")
    for name, manifest in sets.items():
        if manifest.answers is not None and manifest.answers.study is not None:
            sentences = describe_study(manifest.answers.study)
            lines += ["", f"### How people were asked for `{name}`", "", *(f"- {sentence}" for sentence in sentences)]
    return "\n".join(lines) + "\n\n"


def _configs(manifest: Manifest, sets: dict[str, LabelSetManifest]) -> list[dict[str, Any]]:
    """The Hub's configs block: what each name opens."""
    tables = [("pairs", "pairs", manifest.splits), ("oracle", "oracle", manifest.splits)]
    tables += [("scalars", SCALARS, manifest.splits)] if manifest.has_scalars else []
    for name, labels in sets.items():
        tables += [(name, f"labels/{name}", labels.splits), (f"{name}-oracle", f"labels/{name}/oracle", labels.splits)]
        if labels.by_people:
            tables.append((f"{name}-answers", f"labels/{name}/answers", labels.splits))
    return [
        {
            "config_name": config,
            "data_files": [{"split": split, "path": f"{folder}/{split}-*.parquet"} for split in splits],
            **({"default": True} if config == "pairs" else {}),
        }
        for config, folder, splits in tables
    ]


def metadata(manifest: Manifest, sets: dict[str, LabelSetManifest]) -> dict[str, Any]:
    """The Hub's metadata of a dataset, which its card begins with."""
    source, configs = manifest.source, _configs(manifest, sets)
    origins = {"dsrl": [manifest.task.hub_repo], "recordings": ["original"]}.get(source.kind, [])
    values: dict[str, Any] = {"pretty_name": _pretty_name(manifest), **hub_license(source.license)}
    values |= {
        "task_categories": ["reinforcement-learning"],
        "tags": ["safe-rl", "offline-rl", "preference-learning", "rlhf", "safety", "safefeedback"]
        + (["dsrl"] if source.kind == "dsrl" else []),
        "annotations_creators": ["machine-generated", *(["other"] if sets_by_people(sets) else [])],
        **({"source_datasets": origins} if origins else {}),
        "size_categories": [size_category(manifest.pairs)],
        "configs": configs,
        "dataset_info": [_info(manifest)],
    }
    return values


def _info(manifest: Manifest) -> dict[str, Any]:
    """How many rows the segments and labels have, and bytes in memory; datasets wants both, or warns at every load."""
    shape = manifest.recipe.shape
    segments = 2 * shape["length"] * (shape["observation_dim"] + shape["action_dim"])
    places = 3 if manifest.has_episode_lengths else 2  # of each segment: episode, start, and since then episode_length
    row = 8 + 4 * (2 * places + segments + 1)  # pair_id; places, segments, preference; is_safe takes two bits more
    counts = manifest.splits.items()
    splits = [{"name": split, "num_bytes": rows * row + -(-2 * rows // 8), "num_examples": rows} for split, rows in counts]
    return {"config_name": "pairs", "splits": splits}


def hub_license(text: str) -> dict[str, str]:
    """The Hub's licence field: an identifier as it is, words as `other` with a name, nothing as `unknown`."""
    if not text:
        return {"license": "unknown"}
    if re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", text.lower()):
        return {"license": text.lower()}
    return {"license": "other", "license_name": text}


def size_category(rows: int) -> str:
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((name for bound, name in bounds if rows < bound), "1M<n<10M" if rows < 10_000_000 else "10M<n<100M")


def _pretty_name(manifest: Manifest) -> str:
    return f"Safe preference feedback: {manifest.task.name}, {manifest.pairs:,} pairs of {manifest.recipe.length} steps"


def _numbers(manifest: Manifest) -> list[tuple[str, str]]:
    numbers = manifest.statistics
    return [
        ("pairs", ", ".join(f"{split} {rows:,}" for split, rows in manifest.splits.items())),
        ("episodes used", f"{numbers['episodes_used']:,} of {numbers['episodes_in_source']:,}"),
        ("segments labelled safe", percent(numbers["segments_safe"])),
        (
            "pairs with both segments safe / one / none",
            " / ".join(percent(numbers[name]) for name in ("pairs_both_safe", "pairs_one_safe", "pairs_both_unsafe")),
        ),
        ("decided pairs whose preferred segment is unsafe", percent(numbers["preferred_is_unsafe"])),
        ("ties", f"{numbers['ties']:,}"),
        ("not the truth", contradictions(numbers["safety_flipped"], numbers["preferences_flipped"])),
        ("return of a segment: lowest, quartiles, highest", _quantiles_text(numbers["segment_return"])),
        ("cost of a segment: lowest, quartiles, highest", _quantiles_text(numbers["segment_cost"])),
    ]


def _quantiles_text(quantiles: dict[str, float]) -> str:
    return ", ".join(f"{value:.4g}" for value in quantiles.values())


def attribution(source: Source) -> str:
    if source.kind == "dsrl":
        return (
            "The segments are taken from the DSRL benchmark (*Datasets and Benchmarks for Offline Safe Reinforcement "
            f"Learning*, arXiv 2306.09303) by {source.author}, licensed under CC BY 4.0. This dataset is a derived work "
            "under the same licence: segments were cut out, paired and labelled; the recorded numbers were not changed."
        )
    terms = (
        f"Licence of the recordings: {source.license}."
        if source.license
        else (
            "The licence of the recordings was not stated by whoever built this dataset. Where they come from DSRL "
            "(arXiv 2306.09303), they are licensed under CC BY 4.0 and its authors must be credited."
        )
    )
    who = f"Recorded by: {source.author}." if source.author else ""
    credit = f"{source.credit}." if source.credit else ""
    return " ".join(text for text in (terms, who, credit) if text)
