"""Chooses the next pairs to label: those on which models fitted to the answers so far disagree most (BALD, arXiv 1112.5745)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from presa.algorithms.weighted_bc.members import CostMember, RewardMember, observation_moments
from presa.data.pairs import Data, Split, load_data
from presa.files import write_bytes
from presa.fitting.fit import Snapshot, fit_stack
from safefeedback.dataset.reading import read
from safefeedback.errors import InputError

COLUMNS = ("pair_id", "episode_0", "start_0", "episode_1", "start_1", "disagreement")


def propose(
    source: str | Path,
    labels: str,
    count: int,
    members: int = 5,
    steps: int = 600,
    seed: int = 0,
    device: str = "cpu",
    on_fitted: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, float]]:
    """The unanswered pairs of the training split, beginning with those on which the models disagree most.

    Args:
        source: a dataset's folder, or a Hub repository.
        labels: the label set that holds the answers so far; a null is no answer.
        count: how many pairs, at most.
        members: how many models of reward, and of cost, are fitted.
        steps: gradient steps of each.
        seed: of their initial parameters and batches.
        device: to compute on.
        on_fitted: called with (models fitted, models in all).

    Returns:
        Rows of COLUMNS; `disagreement` is the information, in nats, that the answers are expected to give about the models:
        of the preference and of both safety labels together.

    Raises:
        InputError: if every pair is answered, or nothing is.
    """
    if count < 1 or members < 2 or steps < 1:
        raise InputError("--pairs and --steps must be at least 1, --members at least 2: one model cannot disagree")
    labelled, everything = read(source, labels, segments=False), read(source, segments=False)
    answered = ~np.isnan(labelled.preference) | ~np.isnan(labelled.safe).all(1)
    left = np.flatnonzero(~np.isin(everything.pair_id, labelled.pair_id[answered]))
    if not answered.any():
        raise InputError(f"label set {labels} of {source} holds no answer yet: begin with pairs at random")
    if not len(left):
        raise InputError(f"every pair of {source} is answered in label set {labels}: build more pairs")
    data, pool = load_data(source, labels, None, device), load_data(source, None, None, device).train
    index = torch.from_numpy(left).to(pool.preference.device)
    candidates = Split(*(getattr(pool, name)[index] for name in ("observations", "actions", "preference", "safe")))
    scores = disagreement(data, candidates, members, steps, seed, on_fitted).cpu().numpy()
    best = np.argsort(-scores, kind="stable")[:count]
    rows = []
    for place in best.tolist():
        row = int(left[place])
        sides = {
            f"{name}_{side}": int(getattr(everything, name)[row, side]) for side in (0, 1) for name in ("episode", "start")
        }
        rows.append({"pair_id": int(everything.pair_id[row]), **sides, "disagreement": round(float(scores[place]), 6)})
    return rows


def disagreement(
    data: Data,
    candidates: Split,
    members: int,
    steps: int,
    seed: int,
    on_fitted: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """The expected information of each candidate's answers about the models: float32 [N], in nats.

    Preferences or safety labels are left out if nobody has given any yet.
    """
    shift, scale = observation_moments(data)
    observations = (candidates.observations - shift) / scale
    kinds: list[type[RewardMember]] = []
    if bool((~data.train.preference.isnan()).any()):
        kinds.append(RewardMember)
    if bool((~data.train.safe.isnan()).any()):
        kinds.append(CostMember)
    total = torch.zeros(len(candidates), device=observations.device)
    done = 0
    for kind in kinds:
        probabilities = []
        for member in range(members):
            model = kind(steps=steps, batch_size=64, hidden=(128, 128), member=member)
            scores = model.segment_scores(_fit(model, data, seed), observations, candidates.actions)
            odds = data.segment_limit - scores if kind is CostMember else (scores[:, 1] - scores[:, 0])[:, None]
            probabilities.append(torch.sigmoid(odds))
            done += 1
            on_fitted(done, members * len(kinds))
        total += mutual_information(torch.stack(probabilities)).sum(-1)
    return total


def mutual_information(probability: Tensor) -> Tensor:
    """H(mean p) - mean H(p) over members, [...] of [members, ...]: 0 where all agree."""

    def entropy(p: Tensor) -> Tensor:
        return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p))

    return (entropy(probability.mean(0)) - entropy(probability).mean(0)).clamp(min=0)


def write_csv(path: Path, rows: list[dict[str, float]]) -> None:
    """Writes rows of COLUMNS, whole or not at all; `safefeedback build --pairs-from` reads the file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def _fit(model: RewardMember, data: Data, seed: int) -> dict[str, Tensor]:
    """The parameters of a model fitted to the answers."""
    examples = model.examples(data)
    first = {name: value.to(examples.observations.device) for name, value in model.initial_parameters(data, seed).items()}
    start = Snapshot(0, first, {}, model.state(examples))
    parameters = first
    for (outcome,) in fit_stack(model, [examples], [start], [seed], f"ask-{type(model).__name__}-{model.member}", model.steps):
        if isinstance(outcome, InputError):
            raise outcome
        parameters = outcome[0].parameters
    return parameters
