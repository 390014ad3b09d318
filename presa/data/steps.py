"""Every known recorded step, once: those that the training pairs show, or all steps of the recordings.

Segments overlap and show the middle of an episode more often than its ends; cloning and episode weights need each step once.
Steps are identified by the columns `episode` and `start` alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from safefeedback.errors import InputError


@dataclass(frozen=True)
class Steps:
    """M recorded steps in the order of episodes and of time, none of them twice.

    Attributes:
        observations: float32 [M, O].
        actions: float32 [M, A].
        episode: int64 [M], the episode of each step in the source file.
        time: int64 [M], steps since that episode's first.
        lengths: episode -> how many steps it has in the recordings, of the episodes whose length is known.
    """

    observations: Tensor
    actions: Tensor
    episode: np.ndarray
    time: np.ndarray
    lengths: dict[int, int]

    def __len__(self) -> int:
        return len(self.episode)


def shown_steps(
    observations: Tensor,
    actions: Tensor,
    episode: np.ndarray,
    start: np.ndarray,
    episode_length: np.ndarray | None = None,
) -> Steps:
    """The steps that segments show.

    Args:
        observations: float32 [..., L, O].
        actions: float32 [..., L, A].
        episode, start: int64 [...], where each segment lies.
        episode_length: int64 [...], steps of each segment's episode, where the dataset says so.

    Raises:
        InputError: if the dataset gives one episode two lengths.
    """
    length = observations.shape[-2]
    time = start[..., None] + np.arange(length)
    span = int(time.max()) + 1
    key, first = np.unique((episode[..., None] * span + time).reshape(-1), return_index=True)
    rows = torch.from_numpy(first).to(observations.device)
    lengths: dict[int, int] = {}
    if episode_length is not None:
        known_lengths = np.unique(np.stack([episode.reshape(-1), episode_length.reshape(-1)]), axis=1)
        if len(np.unique(known_lengths[0])) < known_lengths.shape[1]:
            twice = known_lengths[0][np.flatnonzero(np.diff(known_lengths[0]) == 0)[0]]
            raise InputError(f"the dataset gives episode {twice} two different lengths")
        lengths = dict(zip(known_lengths[0].tolist(), known_lengths[1].tolist(), strict=True))
    return Steps(observations.flatten(0, -2)[rows], actions.flatten(0, -2)[rows], key // span, key % span, lengths)


def all_steps(observations: np.ndarray, actions: np.ndarray, bounds: np.ndarray, among: np.ndarray, device: str) -> Steps:
    """Every step of some episodes [E] of whole recordings; episode e is rows bounds[e] to bounds[e + 1]."""
    lengths = np.diff(bounds)[among]
    first = np.repeat(bounds[among], lengths)
    time = np.arange(len(first)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = first + time
    kept_observations, kept_actions = (torch.from_numpy(values[rows]).to(device) for values in (observations, actions))
    return Steps(
        kept_observations,
        kept_actions,
        np.repeat(among, lengths),
        time,
        dict(zip(among.tolist(), lengths.tolist(), strict=True)),
    )


def join_steps(one: Steps, other: Steps) -> Steps:
    """The steps of two different recordings; the episodes of the second are numbered from the largest number of the first
    on."""
    after = int(one.episode.max()) + 1
    return Steps(
        torch.cat([one.observations, other.observations]),
        torch.cat([one.actions, other.actions]),
        np.concatenate([one.episode, other.episode + after]),
        np.concatenate([one.time, other.time]),
        one.lengths | {episode + after: length for episode, length in other.lengths.items()},
    )


def successors(steps: Steps, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The step after each of the M steps.

    Args:
        steps: in the order of episodes and of time.
        horizon: the length of an episode whose length is unknown.

    Returns:
        int64 [M], the place of the next step, its own where that is not known; bool [M], whether it is known; and bool [M],
        whether the step is its episode's last.
    """
    here = np.arange(len(steps))
    after = np.minimum(here + 1, len(steps) - 1)
    known = (steps.episode[after] == steps.episode) & (steps.time[after] == steps.time + 1)
    length = np.array([steps.lengths.get(int(episode), horizon) for episode in np.unique(steps.episode)])
    last = steps.time + 1 >= length[np.unique(steps.episode, return_inverse=True)[1]]
    return np.where(known, after, here), known, last & ~known
