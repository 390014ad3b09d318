"""A folder of datasets as one release: a repository that holds many tasks, each a whole dataset in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from safefeedback.dataset import card
from safefeedback.dataset.citation import CITATIONS
from safefeedback.dataset.label_sets import RESERVED
from safefeedback.dataset.manifest import Manifest
from safefeedback.dataset.stats import percent
from safefeedback.errors import InputError, command_line
from safefeedback.files import is_system_file
from safefeedback.hub.places import INDEX, datasets_in, is_dataset_name
from safefeedback.publish import croissant
from safefeedback.publish.dataset import PublishedDataset, address, collect_files, json_bytes, notes_in
from safefeedback.publish.release import Release, json_object

OWN_FILES = ("README.md", "croissant.json", INDEX)  # further files in a fetched folder of datasets


def dataset_names(folder: Path) -> list[str]:
    """The names of the datasets in a folder; [""] if the folder is itself a dataset, or holds none.

    Raises:
        InputError: if something else lies beside them, which would not go up, or one cannot have its name on the Hub.
    """
    names = datasets_in(folder)
    if not names or (folder / "recipe.json").is_file():
        return [""]
    for path in sorted(folder.iterdir()):
        if path.name not in (*names, *OWN_FILES) and not path.name.startswith(".") and not is_system_file(path.name):
            raise InputError(f"{folder} holds {path.name}, which is not a dataset: a folder of datasets must hold nothing else")
    for name in names:
        if not is_dataset_name(name) or name in RESERVED or name.endswith(("-oracle", "-answers")):
            raise InputError(f"{folder / name} cannot have that name on the Hub: take letters, digits, dots and dashes")
    return names


def collection_release(folder: Path, repo: str, anonymous: bool = False) -> Release:
    """A folder of datasets as a release; each is uploaded as it would be by itself.

    Args:
        folder: of the datasets; their names are those on the Hub.
        repo: user/name.
        anonymous: as in `publish.dataset.collect_files`.

    Raises:
        InputError: if one of them cannot be published, or two would have the same name for the Hub.
    """
    datasets = {name: collect_files(folder / name, anonymous) for name in dataset_names(folder)}
    index = {
        name: {
            "task": dataset.manifest.task.name,
            "pairs": dataset.manifest.pairs,
            "content_sha256": dataset.manifest.content_sha256,
        }
        for name, dataset in datasets.items()
    }

    def differs(content: bytes) -> str | None:
        other = json_object(content)
        if not all(isinstance(facts, dict) for facts in other.values()):
            return f"its {INDEX} does not name datasets"
        if missing := sorted(other.keys() - index.keys()):
            get = command_line("safefeedback", "fetch", f"{repo}/{missing[0]}", "--out", folder / missing[0])
            return f"it holds {', '.join(missing)} as well: `{get}`"
        others = [name for name, facts in other.items() if facts.get("task") != index[name]["task"]]
        return f"its {others[0]} is of the task {other[others[0]].get('task')}" if others else None

    files: dict[str, Path | bytes] = {INDEX: json_bytes(index)}
    for name, dataset in datasets.items():
        files |= {f"{name}/{path}": content for path, content in dataset.files.items()}
        text = card.render(dataset.manifest, dataset.sets, dataset.pictures)
        files[f"{name}/README.md"] = (text + (f"\n{dataset.notes}\n" if dataset.notes else "")).encode()
    described = croissant.merge_metadata(
        [croissant.metadata(dataset.manifest, dataset.sets, repo, address(repo), name) for name, dataset in datasets.items()]
    )
    files["croissant.json"] = json_bytes(croissant.anonymous(described) if anonymous else described)
    notes = None if anonymous else notes_in(folder)
    return Release("dataset", files, render(datasets, repo), notes, tuple(datasets), INDEX, differs)


def render(datasets: dict[str, PublishedDataset], repo: str) -> str:
    """README.md of a repository of several datasets, up to the line below which people write."""
    first, manifests = next(iter(datasets)), [dataset.manifest for dataset in datasets.values()]
    rows = [_row(name, dataset) for name, dataset in datasets.items()]
    terms = _each(card.attribution(manifest.source) for manifest in manifests)
    citations = [manifest.source.citation.strip() for manifest in manifests]
    cited = _each(text for text in (CITATIONS, *citations) if text)
    return f"""---
{yaml.safe_dump(_metadata(datasets), sort_keys=False, allow_unicode=True, width=1000)}---

# {_pretty_name(manifests)}

Pairs of trajectory segments, each pair with a *preference* (which segment earned the higher return) and each segment with a
*binary safety label*. Every folder is a whole dataset with a card of its own, which says how it was built and what it cannot
show. Made with `safefeedback`.

## Load

```python
from datasets import load_dataset

pairs = load_dataset("{repo}", "{first}", split="train")  # segments and published labels
oracle = load_dataset("{repo}", "{first}-oracle", split="train")  # the same rows: returns, costs, clean labels

import safefeedback

data = safefeedback.read("{repo}/{first}")
```

## Datasets

| name | task | pairs | steps | segments safe | decided pairs whose preferred segment is unsafe | label sets |
|---|---|---|---|---|---|---|
{"".join(rows)}
## Licence and attribution

{terms}

## Citation

```bibtex
{cited}
```

{card.NOTES_MARKER}"""


def _row(name: str, dataset: PublishedDataset) -> str:
    manifest, numbers = dataset.manifest, dataset.manifest.statistics
    words = [f"[{name}]({name}/README.md)", manifest.task.name, f"{manifest.pairs:,}"]
    words += [str(manifest.recipe.length), percent(numbers["segments_safe"])]
    words += [percent(numbers["preferred_is_unsafe"]), ", ".join(f"`{name}-{set_name}`" for set_name in dataset.sets) or "-"]
    return f"| {' | '.join(words)} |\n"


def _metadata(datasets: dict[str, PublishedDataset]) -> dict[str, Any]:
    """The Hub's metadata: what the datasets' own say, with their configs side by side."""
    parts = {name: card.metadata(dataset.manifest, dataset.sets) for name, dataset in datasets.items()}
    manifests = [dataset.manifest for dataset in datasets.values()]
    licenses: list[dict[str, Any]] = [
        {key: part[key] for key in ("license", "license_name") if key in part} for part in parts.values()
    ]
    same = all(license == licenses[0] for license in licenses)
    values: dict[str, Any] = {"pretty_name": _pretty_name(manifests)}
    values |= licenses[0] if same else {"license": "other", "license_name": "each dataset has its own"}
    for key in ("task_categories", "tags", "annotations_creators", "source_datasets"):
        words = list(dict.fromkeys(word for part in parts.values() for word in part.get(key, [])))
        values |= {key: words} if words else {}
    values["size_categories"] = [card.size_category(sum(manifest.pairs for manifest in manifests))]
    values["configs"] = [
        {
            "config_name": _config(name, config["config_name"]),
            "data_files": [{**files, "path": f"{name}/{files['path']}"} for files in config["data_files"]],
        }
        for name, part in parts.items()
        for config in part["configs"]
    ]
    names = [config["config_name"] for config in values["configs"]]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two things would be called {twice[0]} on the Hub, a dataset or label set each: rename one")
    values["dataset_info"] = [
        {**info, "config_name": _config(name, info["config_name"])}
        for name, part in parts.items()
        for info in part["dataset_info"]
    ]
    return values


def _config(name: str, config: str) -> str:
    return name if config == "pairs" else f"{name}-{config}"


def _pretty_name(manifests: list[Manifest]) -> str:
    tasks = {manifest.task.name for manifest in manifests}
    rows = sum(manifest.pairs for manifest in manifests)
    return f"Safe preference feedback: {len(tasks)} task{'s' if len(tasks) > 1 else ''}, {rows:,} pairs"


def _each(texts: Iterable[str]) -> str:
    """Texts one below the other, each once."""
    return "\n\n".join(dict.fromkeys(texts))
