"""Filters: which pairs are kept (PreSa, Table 10). A filter is `filter(feedback) -> keep`, bool [N], and sees the published
labels.

An unanswered label is never a reason to drop a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from safefeedback.errors import InputError
from safefeedback.types import Feedback


def drop_both_unsafe(feedback: Feedback) -> np.ndarray:
    """Keeps the pairs with a segment that is not labelled unsafe."""
    return ~(feedback.safe == 0).all(axis=1)


def drop_preferred_unsafe(feedback: Feedback) -> np.ndarray:
    """Keeps the pairs whose preferred segment is not labelled unsafe; a tie goes only if both sides are unsafe."""
    unsafe, preference = feedback.safe == 0, feedback.preference
    dropped = np.where(preference > 0.5, unsafe[:, 1], unsafe[:, 0])
    dropped = np.where(preference == 0.5, unsafe.all(axis=1), dropped)
    return ~dropped | np.isnan(preference)


FILTERS: dict[str, Callable[[Feedback], np.ndarray]] = {
    "drop-both-unsafe": drop_both_unsafe,
    "drop-preferred-unsafe": drop_preferred_unsafe,
}


def apply_filters(feedback: Feedback, names: Sequence[str]) -> Feedback:
    """Applies filters one after the other and records what each removed, and would have removed alone.

    Raises:
        InputError: if nothing is left, or one of two splits is empty.
    """
    alone = {name: int((~FILTERS[name](feedback)).sum()) for name in names}
    had_test = feedback.pairs.test.any()
    for name in names:
        before, stays = len(feedback), FILTERS[name](feedback)
        lost = feedback.safe[~stays & ~feedback.pairs.test]
        feedback = feedback.take(stays)
        entry = {
            "stage": "filter",
            "filter": name,
            "pairs_before": before,
            "removed": before - len(feedback),
            "removed_alone": alone[name],
            "train_safe_removed": int((lost == 1).sum()),
            "train_unsafe_removed": int((lost == 0).sum()),
        }
        feedback = replace(feedback, history=(*feedback.history, entry))
    if not names:
        return feedback  # labels that people gave may be about one split alone
    if not len(feedback) or (had_test and not feedback.pairs.test.any()) or feedback.pairs.test.all():
        raise InputError(
            f"the filters {', '.join(names)} leave a split without any pair: use fewer filters or a higher cost limit"
        )
    return feedback
