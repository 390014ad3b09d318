"""One label from the answers of several annotators.

A consensus is `consensus(votes) -> labels`: float32 [M, K], NaN where annotator k did not answer item m -> float32 [M], NaN
where nobody answered or the vote is split. Written here, and not taken from crowd-kit, because that
needs scikit-learn and transformers for thirty lines, and what it gives enters the content of datasets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ROUNDS = 100  # of expectation and maximisation at most
CONVERGED = 1e-9  # largest change of a posterior
SMALLEST = 1e-12  # an error rate, so that its logarithm exists


def majority(votes: np.ndarray) -> np.ndarray:
    """The answer most annotators gave."""
    classes, chosen = _one_hot(votes)
    return _largest(classes, chosen.sum(axis=1))


def dawid_skene(votes: np.ndarray) -> np.ndarray:
    """The most likely answer if every annotator has individual error rates, which are estimated jointly (Dawid and Skene,
    1979).

    Expectation-maximisation from the shares of the votes. At a posterior that is split, the label is NaN.
    """
    classes, chosen = _one_hot(votes)
    answered = chosen.any(axis=(1, 2))
    if len(classes) < 2 or not answered.any():
        return _largest(classes, chosen.sum(axis=1))
    chosen = chosen[answered].astype(np.float64)  # [M, K, C]
    counts = chosen.sum(axis=1)
    posterior = counts / counts.sum(axis=1, keepdims=True)
    for _ in range(ROUNDS):
        prior = posterior.mean(axis=0)
        confusion = np.einsum("mt,mkc->ktc", posterior, chosen)  # probability that annotator k answers c if the truth is t
        confusion = np.maximum(confusion / np.maximum(confusion.sum(axis=2, keepdims=True), SMALLEST), SMALLEST)
        log = np.log(np.maximum(prior, SMALLEST)) + np.einsum("mkc,ktc->mt", chosen, np.log(confusion))
        updated = np.exp(log - log.max(axis=1, keepdims=True))
        updated /= updated.sum(axis=1, keepdims=True)
        change = np.abs(updated - posterior).max()
        posterior = updated
        if change < CONVERGED:
            break
    labels = np.full(len(votes), np.nan, np.float32)
    labels[answered] = _largest(classes, np.round(posterior, 9))
    return labels


CONSENSUS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"majority": majority, "dawid-skene": dawid_skene}


def _one_hot(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different answers [C], and which of them each annotator gave, bool [M, K, C]."""
    classes = np.unique(votes[~np.isnan(votes)])
    return classes, votes[..., None] == classes


def _largest(classes: np.ndarray, support: np.ndarray) -> np.ndarray:
    """The class with the most support [M, C], NaN where there is none or two share it."""
    labels = np.full(len(support), np.nan, np.float32)
    if len(classes):
        best = support.max(axis=1)
        clear = (best > 0) & ((support == best[:, None]).sum(axis=1) == 1)
        labels[clear] = classes[support[clear].argmax(axis=1)]
    return labels
