"""A label set by itself as a release: labels over a dataset that somebody else has published."""

from __future__ import annotations

from pathlib import Path

import yaml

from safefeedback.dataset import card
from safefeedback.dataset.citation import CITATIONS
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.reading import open_dataset
from safefeedback.dataset.reproduce import label_set_command
from safefeedback.dataset.stats import percent
from safefeedback.errors import InputError
from safefeedback.hub import places
from safefeedback.hub.client import HubError
from safefeedback.publish.dataset import collect_files, json_bytes
from safefeedback.publish.release import Release, json_object


def labels_release(folder: Path, repo: str, labels: str, base: str, anonymous: bool = False, dry_run: bool = False) -> Release:
    """A label set of a dataset's folder as a release that names the dataset, and holds none of it.

    Args:
        folder: of the dataset, as it was fetched, with the label set.
        repo: user/name.
        labels: name of the set.
        base: the published dataset, such as other/data@v1.0.0.
        anonymous: as in `publish.dataset.collect_files`.
        dry_run: whether the release is only looked at, so that the published dataset need not be reached.

    Raises:
        InputError: if there is no such set, or the published dataset cannot be read or has other content.
    """
    collected = collect_files(folder, anonymous)
    if labels not in collected.sets:
        raise InputError(f"{folder} has no label set '{labels}'; it has {', '.join(collected.sets) or 'none'}")
    doubt = ""
    try:
        named = _published(base, collected.manifest.content_sha256, folder)
    except HubError as error:
        if not dry_run or error.missing:
            raise
        doubt = f"not compared with --base: {error}"
        named = {"base": base, "content_sha256": collected.manifest.content_sha256}

    def differs(content: bytes) -> str | None:
        published = json_object(content)
        same = published.get("labels") == labels and published.get("content_sha256") == named["content_sha256"]
        return None if same else f"it holds the label set {published.get('labels')} over {published.get('base')}"

    files = {path: file for path, file in collected.files.items() if path.startswith(f"labels/{labels}/")}
    files[places.BASE] = json_bytes({"labels": labels, **named})
    text = render(collected.manifest, collected.sets[labels], base, named["content_sha256"], repo)
    return Release("dataset", files, text, None if anonymous else "", ("labels",), places.BASE, differs, doubt)


def _published(base: str, content_sha256: str, folder: Path) -> dict[str, str]:
    """What names a published dataset, which holds what the folder holds."""
    place = places.parse(base)
    if place is None or place.revision is None:
        raise InputError(f"--base {base} does not name a version of a published dataset, such as user/name@v1.0.0")
    published = open_dataset(base)
    if published.place is None or published.place.revision is None:
        raise InputError(f"--base {base} is a folder here, which hides the published dataset: work in another folder")
    published_sha256 = published.manifest.content_sha256
    if published_sha256 != content_sha256:
        raise InputError(
            f"--base {base} is not the dataset that lies in {folder}: its content is {published_sha256[:12]}..., "
            f"the folder's is {content_sha256[:12]}..."
        )
    return {"base": base, "commit": published.place.revision, "content_sha256": content_sha256}


def render(manifest: Manifest, label_set: LabelSetManifest, base: str, content_sha256: str, repo: str) -> str:
    """README.md of a label set by itself, up to the line below which people write.

    Args:
        manifest: of the dataset.
        label_set: of the label set.
        base: the published dataset.
        content_sha256: of it.
        repo: where the labels are.
    """
    name, rows = label_set.name, label_set.pairs
    whole = card.metadata(manifest, {name: label_set})
    names = {name: "labels", f"{name}-oracle": "oracle", f"{name}-answers": "answers"}
    shares = [percent(label_set.statistics[key]) for key in ("segments_safe", "preferred_is_unsafe")]
    kept = ("license", "license_name", "task_categories", "tags", "annotations_creators")
    values = {
        **{key: whole[key] for key in kept if key in whole},
        "pretty_name": f"Safe preference labels {name}: {manifest.task.name}, {rows:,} pairs",
        "source_datasets": [base.partition("@")[0]],
        "size_categories": [card.size_category(rows)],
        "configs": [
            {
                **config,
                "config_name": names[config["config_name"]],
                **({"default": True} if config["config_name"] == name else {}),
            }
            for config in whole["configs"]
            if config["config_name"] in names
        ],
    }
    return f"""---
{yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)}---

# {values["pretty_name"]}

Labels over the pairs of the dataset `{base}`, content `{content_sha256}`, which holds the segments: a preference for each pair
and a safety label for each segment. Made with `safefeedback`.

## Load

```python
from datasets import load_dataset

labels = load_dataset("{repo}", split="train")  # pair_id, preference, is_safe_0, is_safe_1
oracle = load_dataset("{repo}", "oracle", split="train")  # the truth about them
```

`safefeedback fetch {repo}` brings the dataset, checks that it is the one that was labelled, and puts the labels beside it:
`safefeedback.read(folder, labels="{name}")`.

| pairs | segments safe | decided pairs whose preferred segment is unsafe | made by |
|---|---|---|---|
| {rows:,} | {" | ".join(shares)} | `{label_set_command(label_set)}` |

## Licence and attribution

{card.attribution(manifest.source)}

## Citation

```bibtex
{CITATIONS}
```

{card.NOTES_MARKER}"""
