"""One dataset's segments under the labels of several cost limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from presa.data.pairs import Data, Split, load_data
from presa.data.segments import arrays_sha256
from safefeedback.dataset.manifest import AnyManifest
from safefeedback.dataset.reading import Folder, open_dataset
from safefeedback.errors import InputError, command_line
from safefeedback.feedback.labels import safe_by_cost, segment_cost_limit


def load_limits(
    source: str | Path | Folder,
    limits: Sequence[float],
    labels: str | None = None,
    pairs: int | None = None,
    device: str = "cpu",
    oracle: bool = False,
) -> list[Data]:
    """Reads a dataset once for each cost limit; the segments are on the device once, however many limits share them.

    The labels for a limit are, in this order:

    1. the requested labels, if they were made for it: the published ones, or the label set `labels`;
    2. the one label set (or the published labels) made for that limit and in every other choice as those of 1;
    3. from the oracle: a segment is safe if its true cost is at most limit L / T, with the horizon T of 1. Noise is of the
       annotators, not of the limit, so the segments whose label was flipped in 1 are flipped at every limit: runs differ by
       the limit alone. They are the labels that `safefeedback relabel --cost-limit` would make. Preferences do not change.

    Labels that depend on the limit in another way are never derived from the oracle: those of annotators who err near the
    limit, those of people, and those of pairs that a filter chose at another limit.

    Args:
        source, labels, pairs, device, oracle: as in `load_data`.
        limits: of an episode's cost.

    Returns:
        The data of each limit; where the labels came from is in their `identity`: "labels", and "safety_labels" where that is
        the oracle.

    Raises:
        InputError: as `load_data` does, and if a limit's labels are missing or ambiguous.
    """
    folder = open_dataset(source)
    base, published = load_data(folder, labels, pairs, device, oracle), folder.manifest
    manifests: dict[str | None, AnyManifest] = {None: published}
    manifests.update(folder.label_sets)
    requested = folder.labels_manifest(labels)
    loaded = []
    for limit in limits:
        if limit != base.cost_limit and published.recipe.filters:
            raise InputError(
                f"{folder.source} lacks pairs that its filters dropped at its own cost limit and would keep at {limit:g}: "
                "build it without --filter, and filter in label sets (safefeedback relabel --filter)"
            )
        matching = [name for name, manifest in manifests.items() if _fits_request(manifest, limit, requested)]
        if limit == base.cost_limit:
            loaded.append(base)
        elif len(matching) > 1:
            names = " and ".join(name or "published" for name in matching)
            raise InputError(
                f"{folder.source} has labels for cost limit {limit:g} twice ({names}): train them one at a time with --labels"
            )
        elif matching:
            other = load_data(folder, matching[0], pairs, device, oracle)
            test = other.test if other.test is None or base.test is None else _sharing(other.test, base.test)
            loaded.append(replace(other, train=_sharing(other.train, base.train), test=test))
        else:
            _require_derivable(folder.source, limit, requested)
            loaded.append(_from_oracle(folder, labels, base, limit, requested.horizon))
    return loaded


def describe_labels(data: Data) -> str:
    """Where the safety labels came from, for people."""
    published = f"label set {data.identity['labels']}" if data.identity["labels"] else "the published labels"
    return f"cost limit {data.cost_limit:g}: {data.identity.get('safety_labels', published)}"


def _fits_request(manifest: AnyManifest, limit: float, asked: AnyManifest) -> bool:
    """Whether labels were made for that limit and agree with the requested ones in every other choice."""
    if manifest.by_people or asked.by_people:
        return False  # people's answers have no recipe to compare
    labels, requested = manifest.labelling, asked.labelling
    return labels.limit == limit and replace(labels, cost_limit=limit) == replace(requested, cost_limit=limit)


def _require_derivable(source: str, limit: float, asked: AnyManifest) -> None:
    """Raises InputError if the requested labels do not determine the labels at another limit."""
    choices, filters = asked.labelling, asked.labelling.filters
    refusal = f"{source} has no labels for cost limit {limit:g}, and they do not follow from the oracle"
    if asked.by_people:
        mind = f"cost limit {choices.limit:g}" if asked.uses_cost_limit else "no cost limit"
        raise InputError(f"{refusal}: people gave the labels, for {mind}")
    if filters or choices.safety_noise != "none":
        reason = f"its pairs were filtered at limit {choices.limit:g}" if filters else "its annotators err near the limit"
        words = ["--cost-limit", f"{limit:g}", *(word for name in filters for word in ("--filter", name))]
        make = command_line("safefeedback", "relabel", source if Path(source).is_dir() else "FOLDER", *words)
        fetch = "" if Path(source).is_dir() else f"{command_line('safefeedback', 'fetch', source, '--out')} FOLDER && "
        raise InputError(f"{refusal}, as {reason}: make them with {fetch}{make}")


def _from_oracle(folder: Folder, labels: str | None, base: Data, limit: float, horizon: int) -> Data:
    """The data with the safety labels that the true costs give at another limit."""
    segment_limit = segment_cost_limit(limit, base.length, horizon)
    train, flips = _relabelled(folder, labels, base.train, "train", segment_limit)
    test = None if base.test is None else _relabelled(folder, labels, base.test, "test", segment_limit)[0]
    identity = {
        **base.identity,
        "labels_sha256": arrays_sha256(train.preference.cpu().numpy(), train.safe.cpu().numpy()),
        "safety_labels": f"oracle: true costs, {flips:,} of {train.safe.numel():,} labels flipped as the "
        f"{'published' if labels is None else labels} ones were",
    }
    return replace(base, cost_limit=float(limit), train=train, test=test, identity=identity, segment_limit=segment_limit)


def _relabelled(folder: Folder, labels: str | None, split: Split, name: str, segment_limit: float) -> tuple[Split, int]:
    """A split with the safety labels of another limit, and how many of them are flipped."""
    light, truth = folder.pairs(labels, name, segments=False), folder.oracle(labels, name)
    rows = np.searchsorted(truth.pair_id, light.pair_id[: len(split)])
    clean = safe_by_cost(truth.costs[rows], segment_limit)
    safe = np.where(truth.safe_flipped[rows], 1 - clean, clean)
    safe = np.where(np.isnan(light.safe[: len(split)]), np.nan, safe).astype(np.float32)  # unanswered labels stay unanswered
    new_labels = torch.from_numpy(safe).to(split.safe.device)
    return replace(split, safe=new_labels), int(truth.safe_flipped[rows].sum())


def _sharing(split: Split, other: Split) -> Split:
    """The split with the other's segments, where they are the same."""
    if not (torch.equal(split.observations, other.observations) and torch.equal(split.actions, other.actions)):
        return split
    return replace(split, observations=other.observations, actions=other.actions)
