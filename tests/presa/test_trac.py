"""TraC: which pieces are desirable, what they weigh, and what pieces are cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feedback_cases import write_dataset

torch = pytest.importorskip("torch")

from presa.algorithms import configure  # noqa: E402
from presa.algorithms.trac import Trac, TracFeedback, classify  # noqa: E402
from presa.data.pairs import load_data  # noqa: E402
from presa.data.trajectories import find_episodes  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402


def test_classes_and_weights_by_hand() -> None:
    score = torch.tensor([0.0, 4.0, 2.0, 3.0, 9.0, -1.0, 5.0])
    safe = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, float("nan")])
    desirable, weight = classify(score, safe, top=0.5, eta=0.25, least_weight=0.7)
    np.testing.assert_array_equal(desirable.numpy(), [np.nan, 1, np.nan, 1, 0, 0, np.nan])
    # 0.7 + 0.3 (score - 0) / 4 among the safe: 1 and 0.925; the unsafe share a quarter of their sum
    np.testing.assert_allclose(weight[[1, 3]].numpy(), [1.0, 0.925], rtol=1e-6)
    np.testing.assert_allclose(weight[[4, 5]].numpy(), [0.25 * 1.925 / 2] * 2, rtol=1e-6)


def test_equal_scores_do_not_divide_by_nothing() -> None:
    desirable, weight = classify(torch.ones(3), torch.tensor([1.0, 1.0, 0.0]), 0.5, 0.25, 1.0)
    assert desirable.tolist() == [1, 1, 0] and weight.tolist() == [1, 1, 0.5]


@pytest.mark.parametrize(("safe", "missing"), [([1.0, 1.0], "unsafe"), ([0.0, 0.0], "safe")])
def test_one_class_is_refused(safe: list[float], missing: str) -> None:
    with pytest.raises(InputError, match=f"no {missing} segment"):
        classify(torch.zeros(2), torch.tensor(safe), 0.5, 0.25, 1.0)


def test_the_loss_counts_only_steps_that_are_there() -> None:
    algorithm = replace(configure("trac"), alpha=1.0, discount=1.0, anchor=2.0)
    assert isinstance(algorithm, Trac)
    batch = {
        "reference": torch.tensor([[-1.0, -1.0], [-2.0, 0.0]]),
        "present": torch.tensor([[1.0, 1.0], [1.0, 0.0]]),
        "desirable": torch.tensor([1.0, 0.0]),
        "weight": torch.tensor([1.0, 0.5]),
    }
    log_probability = torch.tensor([[-0.5, -0.5], [-1.0, -77.0]])  # the last step is padding
    loss, info, _ = algorithm.loss(log_probability, batch, {})
    scores = np.array([1.0, 1.0])  # (0.5 + 0.5), (2 - 1)
    classified = (np.log(1 + np.exp(-scores[0])) + 0.5 * np.log(1 + np.exp(scores[1]))) / 2
    assert float(loss) == pytest.approx(classified + 2.0 * (0.5 + 0.5 + 1.0) / 3, rel=1e-6)
    assert float(info["classified_right"]) == 0.5


@pytest.mark.parametrize(("piece", "length"), [(0.4, 80), (1.0, 200)])
def test_pieces_of_recordings_by_hand(piece: float, length: int, tmp_path: Path, ball_file: Path) -> None:
    data = load_data(write_dataset(tmp_path / "data", ball_file, test_fraction=0.0))
    episodes = find_episodes(data.task, "", ball_file)
    found = Trac(piece=piece, stride=30, top=0.5).examples(data.with_episodes(episodes))
    spans = []
    for first, end in zip(episodes.bounds[:-1], episodes.bounds[1:], strict=True):
        starts = [first] if end - first <= length else range(first, end - length + 1, 30)
        spans += [(int(start), int(min(start + length, end))) for start in starts]
    limit = 20 * (1 if piece == 1 else length / data.task.horizon)
    safe = [span for span in spans if episodes.costs[slice(*span)].sum() <= limit]
    best = sorted(safe, key=lambda span: -episodes.rewards[slice(*span)].sum())[: -(-len(safe) // 2)]
    kept = [span for span in spans if span in best or span not in safe]
    assert found.labels["desirable"].tolist() == [float(span in best) for span in kept] and 0 < len(best) < len(kept)
    for row, (first, end) in enumerate(kept):
        steps = end - first
        np.testing.assert_array_equal(found.observations[row, :steps], episodes.observations[first:end])
        np.testing.assert_array_equal(found.actions[row, :steps], episodes.actions[first:end])
        assert not found.observations[row, steps:].any()
        assert found.labels["present"][row].tolist() == [1.0] * steps + [0.0] * (length - steps)


def test_settings_that_leave_no_step() -> None:
    with pytest.raises(InputError, match="none is left"):
        configure("trac-feedback", settings={"steps": 100, "bc_steps": 50, "model_steps": 50})
    with pytest.raises(InputError, match="piece must be"):
        configure("trac", settings={"piece": 1.5})
    assert isinstance(configure("trac-feedback"), TracFeedback)
