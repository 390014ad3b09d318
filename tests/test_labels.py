"""Labels, noise and filters against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from safefeedback.errors import InputError
from safefeedback.feedback.filters import apply_filters, drop_both_unsafe, drop_preferred_unsafe
from safefeedback.feedback.labels import one_sided_warning, prefer_by_return, safe_by_cost, segment_cost_limit, window_sum
from safefeedback.feedback.noise import flip
from safefeedback.types import Feedback, Pairs

NAN = np.float32("nan")


def feedback(preference: list[float], safe: list[list[float]]) -> Feedback:
    count = len(preference)
    zeros = np.zeros((count, 2))
    pairs = Pairs(zeros.astype(np.int64), zeros.astype(np.int64), 4, np.arange(count), np.zeros(count, bool))
    labels = np.array(preference, np.float32), np.array(safe, np.float32)
    return Feedback(pairs, zeros, zeros, *labels, *labels)


def test_window_sum_equals_a_naive_loop_to_the_bit():
    rng = np.random.default_rng(0)
    values, rows = rng.normal(size=500) * 10.0 ** rng.integers(-8, 8, 500), rng.integers(0, 436, (50, 2))
    sums = window_sum(values, rows, 64)
    for index, row in np.ndenumerate(rows):
        total = 0.0
        for step in range(64):
            total += values[row + step]
        assert sums[index] == total


def test_preference_is_the_index_of_the_larger_return():
    returns = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0], [0.1 + 0.2, 0.3]])
    assert prefer_by_return(returns).tolist() == [1.0, 0.0, 0.5, 0.0]
    assert prefer_by_return(returns).dtype == np.float32


def test_safety_limit_is_inclusive_and_scaled_to_the_segment():
    assert segment_cost_limit(20, 64, 200) == 6.4
    assert safe_by_cost(np.array([[6.0, 7.0], [6.4, 0.0]]), segment_cost_limit(20, 64, 200)).tolist() == [[1, 0], [1, 1]]
    assert safe_by_cost(np.array([32.0, 33.0]), segment_cost_limit(100, 64, 200)).tolist() == [1, 0]
    assert safe_by_cost(np.array([0.0, 1e-9]), segment_cost_limit(0, 64, 200)).tolist() == [1, 0]


@pytest.mark.parametrize(("rate", "count"), [(0.0, 0), (0.1, 10), (0.25, 25), (0.333, 33), (1.0, 100)])
def test_flip_count_is_exact(rate: float, count: int):
    labels = np.random.default_rng(1).integers(0, 2, (50, 2)).astype(np.float32)
    flipped, mask = flip(labels, rate, np.random.default_rng(0))
    assert mask.sum() == count
    assert (flipped == np.where(mask, 1 - labels, labels)).all()


def test_flip_leaves_ties_and_unanswered_alone():
    labels = np.array([0, 0.5, 1, NAN, 0.5, 1], np.float32)
    flipped, mask = flip(labels, 1.0, np.random.default_rng(0))
    assert mask.tolist() == [True, False, True, False, False, True]
    np.testing.assert_array_equal(flipped, np.array([1, 0.5, 0, NAN, 0.5, 0], np.float32))


def test_flips_are_spread_evenly():
    counts = np.zeros(20)
    for seed in range(500):
        counts += flip(np.zeros(20, np.float32), 0.25, np.random.default_rng(seed))[1]
    assert (abs(counts - 125) < 5 * np.sqrt(500 * 0.25 * 0.75)).all()


def test_filters_by_hand():
    rows = [
        (0.0, [1, 1]),  # preferred safe
        (0.0, [0, 1]),  # preferred unsafe
        (1.0, [0, 1]),
        (1.0, [1, 0]),  # preferred unsafe
        (0.0, [0, 0]),  # both unsafe
        (0.5, [0, 1]),  # a tie with one unsafe stays
        (0.5, [0, 0]),  # a tie with both unsafe goes
        (NAN, [0, 1]),  # unanswered
        (NAN, [0, 0]),
        (1.0, [0, NAN]),
        (0.8, [1, 0]),  # a soft label prefers segment 1
    ]
    data = feedback([row[0] for row in rows], [row[1] for row in rows])
    assert np.flatnonzero(~drop_both_unsafe(data)).tolist() == [4, 6, 8]
    assert np.flatnonzero(~drop_preferred_unsafe(data)).tolist() == [1, 3, 4, 6, 10]


def test_keep_records_each_filter_alone_and_together():
    data = feedback([0.0, 0.0, 1.0, 1.0], [[1, 1], [0, 0], [1, 0], [1, 1]])
    kept = apply_filters(data, ("drop-both-unsafe", "drop-preferred-unsafe"))
    assert kept.pairs.pair_id.tolist() == [0, 3]
    assert [(e["removed"], e["removed_alone"], e["pairs_before"]) for e in kept.history] == [(1, 1, 4), (1, 2, 3)]
    assert [(e["train_safe_removed"], e["train_unsafe_removed"]) for e in kept.history] == [(0, 2), (1, 1)]


def test_nothing_left_is_an_error():
    with pytest.raises(InputError, match="without any pair"):
        apply_filters(feedback([0.0], [[0, 0]]), ("drop-both-unsafe",))


def test_preferences_are_warned_about_only_where_all_say_the_same():
    some = np.array([0.5, 0, 1, 0, 1, 1, 0, 0.5, np.nan], np.float32)
    assert one_sided_warning(some) is None and one_sided_warning(np.full(7, 0.5, np.float32)) is None
    told = [one_sided_warning(np.full(8, value, np.float32)) or "" for value in (0.5, 0, 1)]
    assert [text.split(":")[0][6:40] for text in told] == [
        "preferences are ties",
        "preferences are for the first segm",
        "preferences are for the second seg",
    ]
