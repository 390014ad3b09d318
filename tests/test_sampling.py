"""The default sampler: distinct, inside episodes, uniform, the same prefix for any count."""

from __future__ import annotations

import numpy as np
import pytest

from safefeedback import randomness
from safefeedback.errors import InputError
from safefeedback.feedback.sampling import SAMPLERS, sample
from safefeedback.feedback.windows import Windows, draw
from safefeedback.tasks import tasks
from safefeedback.types import Episodes, Source


def episodes(lengths: list[int]) -> Episodes:
    steps = sum(lengths)
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    arrays = (np.zeros((steps, 8), np.float32), np.zeros((steps, 2), np.float32), np.zeros(steps), np.zeros(steps))
    return Episodes(tasks()["BallCircle"], *arrays, bounds, Source("file", "", ""))


def keys(pairs) -> list[tuple]:
    rows = np.stack([pairs.episode, pairs.start], axis=2).tolist()
    return [tuple(sorted(map(tuple, row))) for row in rows]


@pytest.mark.parametrize("lengths", [[200] * 5, [64, 65, 300, 20, 64, 1]])
def test_windows_lie_inside_episodes_and_no_pair_comes_twice(lengths: list[int]):
    data = episodes(lengths)
    pairs = sample(data, 2000, 64, seed=3, test_fraction=0, sampler="uniform")
    assert (pairs.start >= 0).all() and (pairs.start + 64 <= data.lengths[pairs.episode]).all()
    assert len(set(keys(pairs))) == 2000
    assert all(one != other for one, other in keys(pairs))


def test_the_first_pairs_do_not_depend_on_the_count():
    data = episodes([70, 66, 80, 64])
    total = Windows.of(data, np.arange(4), 64).pairs
    every = keys(sample(data, total, 64, 0, 0, "uniform"))
    assert len(set(every)) == total
    for count in (1, 10, total // 2, total - 1):
        assert keys(sample(data, count, 64, 0, 0, "uniform")) == every[:count]


def test_prefix_holds_per_split_too():
    data = episodes([200] * 10)
    few, many = (sample(data, count, 64, 0, 0.2, "uniform") for count in (100, 1000))
    assert keys(few) == keys(many)[:100] and few.test.tolist() == many.test.tolist()[:100]
    assert few.test.sum() == 20 and many.test.sum() == 200


def test_every_pair_there_is_can_be_had_and_no_more():
    data = episodes([65, 66])  # 2 + 3 windows, 10 pairs
    assert len(set(keys(sample(data, 10, 64, 0, 0, "uniform")))) == 10
    with pytest.raises(InputError, match="only 10 different pairs"):
        sample(data, 11, 64, 0, 0, "uniform")


def test_rare_windows_come_last_but_come():
    data = episodes([64] * 60 + [264])  # 60 episodes of one window, one of 201: most pairs are rare
    windows = Windows.of(data, np.arange(61), 64)
    proposal = SAMPLERS["uniform"](windows, data, 64, np.inf)
    episode, _start = windows.locate(draw(windows, proposal, windows.pairs, np.random.default_rng(0)))
    long = (episode == 60).all(axis=1)
    assert long[: windows.pairs // 20].mean() < 0.05 < 0.5 < long[windows.pairs // 2 :].mean()


def test_most_pairs_of_very_uneven_episodes_can_be_had(monkeypatch):
    data = episodes([64] * 20 + [364])
    windows = Windows.of(data, np.arange(21), 64)
    monkeypatch.setattr("safefeedback.feedback.windows.ENUMERABLE", 10)
    monkeypatch.setattr("safefeedback.feedback.windows.MOST_DRAWS", 1000)
    with pytest.raises(InputError, match="most possible pairs are drawn too rarely"):
        draw(windows, SAMPLERS["uniform"](windows, data, 64, np.inf), windows.pairs, np.random.default_rng(0))


def test_episodes_and_starts_are_uniform():
    data = episodes([64 + 1999, 64 + 3999, 64 + 999])
    pairs = sample(data, 30_000, 64, 1, 0, "uniform")
    share = np.bincount(pairs.episode.ravel(), minlength=3) / 60_000
    assert abs(share - 1 / 3).max() < 0.01
    starts = pairs.start[pairs.episode == 2]
    assert abs(np.bincount(starts // 100, minlength=10)[:10] / len(starts) - 0.1).max() < 0.01


def test_no_step_is_in_both_splits():
    data = episodes([200] * 20)
    pairs = sample(data, 500, 64, 7, 0.25, "uniform")
    train, test = set(pairs.episode[~pairs.test].ravel()), set(pairs.episode[pairs.test].ravel())
    assert not train & test and len(test) == 5


def test_known_draws_never_change():
    pairs = sample(episodes([200] * 10), 4, 64, seed=0, test_fraction=0, sampler="uniform")
    assert pairs.episode.tolist() == [[4, 1], [9, 4], [0, 4], [6, 9]]
    assert pairs.start.tolist() == [[113, 119], [49, 110], [93, 4], [48, 70]]


def test_chosen_are_the_smallest_draws_the_first_of_equal_ones(monkeypatch: pytest.MonkeyPatch):
    for values in (16, 3):  # with three values many draws are equal
        monkeypatch.setattr(
            randomness, "uniforms", lambda rng, total, values=values: rng.bit_generator.random_raw(total) % values / values
        )
        for total in range(12):
            for count in range(total + 1):
                drawn = randomness.uniforms(randomness.stream(total, "t"), total)
                smallest = sorted(sorted(range(total), key=lambda index: (drawn[index], index))[:count])
                assert randomness.choose(randomness.stream(total, "t"), total, count).tolist() == smallest


@pytest.mark.parametrize(
    ("lengths", "count", "fraction", "message"),
    [
        ([10, 20], 1, 0, "no episode has 64 steps; the longest of 2 has 20"),
        ([64], 1, 0, "only 0 different pairs"),
        ([64, 64], 2, 0, "only 1 different pairs"),
        ([200, 200], 10, 0.1, "leaves one split without an episode"),
        ([200, 200], 10, 0.9, "leaves one split without an episode"),
    ],
)
def test_refused(lengths: list[int], count: int, fraction: float, message: str):
    with pytest.raises(InputError, match=message):
        sample(episodes(lengths), count, 64, 0, fraction, "uniform")
