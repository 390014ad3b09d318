"""A dataset of feedback as tensors, put on the device once and never changed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from presa.data.episode_weights import EpisodeWeights
from presa.data.segments import arrays_sha256, load_segments
from presa.data.steps import Steps, all_steps, join_steps, shown_steps
from safefeedback.dataset.manifest import Manifest
from safefeedback.dataset.reading import Folder, open_dataset
from safefeedback.dataset.rows import Dataset
from safefeedback.errors import InputError
from safefeedback.feedback.labels import one_sided_warning
from safefeedback.tasks import Task
from safefeedback.types import Episodes, UnlabelledEpisodes
from safefeedback.values import to_python


@dataclass(frozen=True)
class Split:
    """N pairs; labels as in `safefeedback.types`.

    Attributes:
        observations: float32 [N, 2, L, O].
        actions: float32 [N, 2, L, A].
        preference: float32 [N].
        safe: float32 [N, 2].
        costs: float32 [N, 2], true costs of the segments, from the oracle; None unless they were asked for.
        episode, start: int64 [N, 2], where each segment lies in the recordings; None if the dataset does not say.
        episode_length: int64 [N, 2], steps of each segment's episode; None in datasets that do not say so.
        score: float32 [N, 2], the return that a reward model predicts for each segment; None until one is fitted.
    """

    observations: Tensor
    actions: Tensor
    preference: Tensor
    safe: Tensor
    costs: Tensor | None = None
    episode: np.ndarray | None = None
    start: np.ndarray | None = None
    episode_length: np.ndarray | None = None
    score: Tensor | None = None

    def __len__(self) -> int:
        return len(self.preference)

    def shown_steps(self, among: Tensor | None = None) -> Steps:
        """Every step that the segments show, once.

        Args:
            among: bool [N, 2], the segments that count; None for all.

        Raises:
            InputError: if the dataset does not say where its segments lie.
        """
        episode, start, length = self.episode, self.start, self.episode_length
        if episode is None or start is None:
            raise InputError("the data do not say in which episode each segment lies: use cloning=segments")
        if among is None:
            return shown_steps(self.observations, self.actions, episode, start, length)
        rows = among.cpu().numpy()
        known = None if length is None else length[rows]
        return shown_steps(self.observations[among], self.actions[among], episode[rows], start[rows], known)


@dataclass(frozen=True)
class Data:
    """What an algorithm may learn from.

    Attributes:
        task: what was recorded.
        cost_limit: kappa, the episode cost limit the safety labels were made for.
        train: the pairs to learn from.
        test: held-out pairs, or None where the dataset, or its label set, has none.
        held_out: the episodes of the published test split's segments, whichever of them a label set labels.
        identity: which data these are, as JSON-ready values: hashes, label set and number of pairs.
        segment_limit: the cost up to which a segment is safe.
        filtered_out: how many safe and how many unsafe labels of training pairs the labels' filters dropped; None where that
            is not known: in older datasets, and of the first pairs only.
        episodes: the recordings themselves, for algorithms that are given true costs; None otherwise.
        weights: the weight of each episode of `steps`, once it is computed.
        weights_by_limit: the same at other cost limits, for a policy that is conditioned on the limit.
        step_values: float32 [M, 2], learnt reward and cost of each of `steps`, once they are computed.
        unlabelled: recordings without rewards and costs, whose steps are used in addition to those of the pairs; None if
            there are none.
        segment_return: the median return of the dataset's segments, as its card says: for comparison with a policy's return,
            never for training.
    """

    task: Task
    cost_limit: float
    train: Split
    test: Split | None
    held_out: frozenset[int]
    identity: dict[str, Any]
    segment_limit: float
    filtered_out: tuple[int, int] | None = (0, 0)
    episodes: Episodes | None = None
    unlabelled: UnlabelledEpisodes | None = None
    weights: EpisodeWeights | None = None
    weights_by_limit: dict[float, EpisodeWeights] = field(default_factory=dict)
    step_values: Tensor | None = None
    segment_return: float | None = None

    @property
    def length(self) -> int:
        """L, steps in a segment."""
        return self.train.observations.shape[2]

    @cached_property
    def steps(self) -> Steps:
        """Every known step once: those the training pairs show and, with `unlabelled`, those of its episodes that are not held
        out; episodes of another file than the dataset's own are numbered on from the largest that is shown.

        Raises:
            InputError: if they include those of the pairs and the dataset does not say where its segments lie.
        """
        more, own = self.unlabelled, self.unlabelled_is_own
        if more is None:
            return self.train.shown_steps()
        among = np.array([e for e in range(len(more)) if not (own and e in self.held_out)], np.int64)
        others = all_steps(more.observations, more.actions, more.bounds, among, str(self.train.observations.device))
        return others if own else join_steps(self.train.shown_steps(), others)

    @property
    def unlabelled_is_own(self) -> bool:
        """Whether the unlabelled recordings are those that the dataset was cut from."""
        return self.unlabelled is not None and self.unlabelled.fingerprint == self.identity["source_sha256"]

    def with_weights(self, weights: EpisodeWeights, by_limit: dict[float, EpisodeWeights]) -> Data:
        """The same data with episode weights, at the labels' own limit and at others."""
        return self._with(weights=weights, weights_by_limit=by_limit)

    def with_step_values(self, values: Tensor) -> Data:
        """The same data with the learnt reward and cost [M, 2] of each step."""
        return self._with(step_values=values)

    def _with(self, **found: Any) -> Data:
        after = replace(self, **found)
        after.__dict__["steps"] = self.steps  # found once
        return after

    def with_unlabelled(self, unlabelled: UnlabelledEpisodes) -> Data:
        """The same with recordings that nobody labelled, whose fingerprint joins the identity."""
        identity = {**self.identity, "unlabelled_sha256": unlabelled.fingerprint}
        return replace(self, unlabelled=unlabelled, identity=identity)

    def with_episodes(self, episodes: Episodes) -> Data:
        """The same with recordings, whose fingerprint joins the identity."""
        return replace(self, episodes=episodes, identity={**self.identity, "trajectories_sha256": episodes.source.fingerprint})


@dataclass(frozen=True)
class Examples:
    """M examples, each a pair of segments, a segment, or a step; the first axis of every tensor is M.

    Attributes:
        observations: float32 [M, ..., O].
        actions: float32 [M, ..., A].
        labels: name -> [M, ...].
        per_pair: how many examples weigh as much as one pair in the batch size: 1 for pairs, 2 for segments, 2 L for steps.
        weight: float64 [M], how likely each is drawn, with replacement; None draws every one once in each epoch.
        filtered_out: as of the data.
    """

    observations: Tensor
    actions: Tensor
    labels: dict[str, Tensor]
    per_pair: int
    weight: np.ndarray | None = field(default=None, kw_only=True)
    filtered_out: tuple[int, int] | None = field(default=(0, 0), kw_only=True)

    def __len__(self) -> int:
        return len(self.observations)


def load_data(
    source: str | Path | Folder,
    labels: str | None = None,
    pairs: int | None = None,
    device: str = "cpu",
    oracle: bool = False,
) -> Data:
    """Reads a dataset.

    Args:
        source: a dataset that was opened, its folder, or a Hub repository "user/name".
        labels: a label set of the dataset; None for the published labels.
        pairs: how many of the training pairs to use, the first in draw order; None for all.
        device: where the tensors go.
        oracle: whether to read the segments' true costs as well; the identity then says so.

    Raises:
        InputError: if it cannot be read, has another layout, or does not fit its task.
    """
    folder, pairs = open_dataset(source), to_python(pairs)
    published = folder.pairs(segments=False)
    manifest = _manifest(folder, published)
    dataset = published if labels is None else folder.pairs(labels, segments=False)
    if pairs is not None:
        if not 1 <= pairs <= len(dataset):
            raise InputError(f"--pairs must lie between 1 and the dataset's {len(dataset):,}, not {pairs:,}")
        dataset = dataset.take(np.arange(pairs))
    if lopsided := one_sided_warning(dataset.preference):
        warnings.warn(f"{folder.source}: {lopsided}", stacklevel=2)
    labels_manifest = folder.labels_manifest(labels)
    train, segments_sha256 = _split(folder, "train", published, dataset, device, oracle)
    held_out = folder.pairs(split="test", segments=False) if manifest.splits.get("test") else None
    test = None
    if held_out is not None and (labels is None or "test" in folder.splits(labels)):
        chosen = held_out if labels is None else folder.pairs(labels, "test", segments=False)
        test = _split(folder, "test", held_out, chosen, device, oracle)[0] if len(chosen) else None
    identity = {
        "content_sha256": manifest.content_sha256,
        "source_sha256": manifest.source.fingerprint,
        "segments_sha256": segments_sha256,
        "labels": labels,
        "labels_sha256": arrays_sha256(dataset.preference, dataset.safe),
        "pairs": len(dataset),
        "pairs_test": 0 if test is None else len(test),
        "length": train.observations.shape[2],
        **({"oracle": "true costs of the segments"} if oracle else {}),
    }
    return Data(
        task=manifest.task,
        cost_limit=labels_manifest.labelling.limit,
        train=train,
        test=test,
        held_out=frozenset(np.unique(held_out.episode).tolist()) if held_out is not None else frozenset(),
        identity=identity,
        segment_limit=labels_manifest.segment_cost_limit,
        filtered_out=labels_manifest.filters_removed if pairs is None or not labels_manifest.labelling.filters else None,
        segment_return=manifest.statistics.get("segment_return", {}).get("median"),
    )


def resolve_device(name: str) -> str:
    """The device to compute on; "auto" is the first CUDA device where there is one.

    Raises:
        InputError: if torch does not have it here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise InputError(f"--device {name} cannot be used here: {str(error).splitlines()[0]}") from None
    return name


def _manifest(folder: Folder, dataset: Dataset) -> Manifest:
    """The manifest of a dataset, after checking that its segments are the task's."""
    manifest, task = folder.manifest, folder.manifest.task
    dims = (dataset.observations.shape[-1], dataset.actions.shape[-1])
    if dims != (task.observation_dim, task.action_dim):
        raise InputError(
            f"{folder.source}: the segments have {dims[0]} observation and {dims[1]} action dims but the task {task.name} "
            f"has {task.observation_dim} and {task.action_dim}"
        )
    if len(dataset) == 0:
        raise InputError(f"{folder.source} holds no training pairs")
    return manifest


def _split(folder: Folder, name: str, published: Dataset, chosen: Dataset, device: str, oracle: bool) -> tuple[Split, str]:
    """The chosen rows of a published split, whole, and the hash of their segments."""
    segments = load_segments(folder, name, device)
    observations, actions, sha256 = segments.observations, segments.actions, segments.sha256
    if not np.array_equal(chosen.pair_id, published.pair_id):
        rows = torch.from_numpy(np.searchsorted(published.pair_id, chosen.pair_id)).to(device)
        observations, actions = observations[rows], actions[rows]
        sha256 = arrays_sha256(observations.cpu().numpy(), actions.cpu().numpy())
    preference, safe = (torch.from_numpy(values).to(device) for values in (chosen.preference, chosen.safe))
    costs = _true_costs(folder, chosen, name, device) if oracle else None
    places = (chosen.episode, chosen.start, chosen.episode_length)
    return Split(observations, actions, preference, safe, costs, *places), sha256


def _true_costs(folder: Folder, dataset: Dataset, split: str, device: str) -> Tensor:
    """The oracle's costs of those rows, float32 [N, 2]."""
    truth = folder.oracle(split=split)
    return torch.from_numpy(truth.costs[np.searchsorted(truth.pair_id, dataset.pair_id)].astype(np.float32)).to(device)
