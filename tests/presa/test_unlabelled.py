"""Unlabelled episodes: the reader sees observations and actions, but neither rewards nor costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from safefeedback import sources
from safefeedback.errors import InputError
from safefeedback.sources.hdf5 import read_unlabelled
from safefeedback.tasks import find_task


def test_rewards_and_costs_are_never_opened(ball_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    get = h5py.File.__getitem__
    monkeypatch.setattr(h5py.File, "__getitem__", lambda file, key: (opened.append(key), get(file, key))[1])
    seen = read_unlabelled(ball_file, find_task("BallCircle"))
    assert set(opened) == {"observations", "actions", "terminals", "timeouts"}
    whole = sources.load(str(ball_file), find_task("BallCircle"))
    assert np.array_equal(seen.observations, whole.observations) and np.array_equal(seen.actions, whole.actions)
    assert np.array_equal(seen.bounds, whole.bounds) and seen.fingerprint == whole.source.fingerprint
    assert not hasattr(seen, "rewards") and not hasattr(seen, "costs")


def test_a_file_without_rewards_and_costs_will_do(edit_hdf5: Callable[..., Path]) -> None:
    file = edit_hdf5(rewards=None, costs=None)
    assert len(read_unlabelled(file, find_task("BallCircle"))) == 12
    with pytest.raises(InputError, match="the key 'rewards' is missing"):
        sources.load(str(file), find_task("BallCircle"))
    with pytest.raises(InputError, match="the key 'actions' is missing"):
        read_unlabelled(edit_hdf5(actions=None), find_task("BallCircle"))
