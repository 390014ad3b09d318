"""The labels for other cost limits: where they come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from feedback_cases import write_dataset  # noqa: E402

from presa.data.limits import describe_labels, load_limits  # noqa: E402
from presa.data.pairs import load_data  # noqa: E402
from safefeedback import read, read_oracle  # noqa: E402
from safefeedback.dataset.answers import import_answers  # noqa: E402
from safefeedback.dataset.label_sets import relabel  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402

LIMITS = (20.0, 70.0)  # of a segment of 8 steps in 200: 0.8, no cost; 2.8, up to 2


@pytest.fixture
def folder(tmp_path: Path, ball_file: Path) -> Path:
    return write_dataset(tmp_path / "data", ball_file, noise=0.2)


def test_the_oracle_gives_the_labels_of_relabel_and_flips_the_same_segments(folder: Path) -> None:
    published, other = load_limits(folder, LIMITS)
    relabel(folder, [{"cost_limit": 70.0}], name="made")
    made = load_data(folder, "made")
    for split in ("train", "test"):
        ours, theirs = getattr(other, split), getattr(made, split)
        assert torch.equal(ours.safe, theirs.safe) and torch.equal(ours.preference, theirs.preference)
        truth = read_oracle(folder, split=split)
        horizon = published.task.horizon
        for pair, sides in enumerate(ours.safe.tolist()):
            for side, safe in enumerate(sides):
                within = truth.costs[pair, side] <= 70 * 8 / horizon
                assert bool(safe) == (within != truth.safe_flipped[pair, side])
    assert truth.safe_flipped.any() and not torch.equal(other.train.safe, published.train.safe)
    assert other.segment_limit == made.segment_limit == 70 * 8 / horizon and other.cost_limit == 70
    flips = read_oracle(folder).safe_flipped.sum()
    assert other.identity["safety_labels"] == f"oracle: true costs, {flips} of 90 labels flipped as the published ones were"
    assert (
        "oracle: true costs" in describe_labels(other) and describe_labels(published) == "cost limit 20: the published labels"
    )
    assert "safety_labels" not in published.identity and other.identity["labels_sha256"] == made.identity["labels_sha256"]


def test_segments_are_there_once(folder: Path) -> None:
    relabel(folder, [{"cost_limit": 40.0}])
    datas = load_limits(folder, (10, 20, 40), pairs=30)
    assert [data.identity["labels"] for data in datas] == [None, None, "limit40-noise20"]
    assert (
        len({data.train.observations.data_ptr() for data in datas})
        == len({data.train.actions.data_ptr() for data in datas})
        == 1
    )
    assert len({data.test.observations.data_ptr() for data in datas if data.test is not None}) == 1
    assert [len(data.train.safe) for data in datas] == [30] * 3


def test_a_label_set_that_differs_by_the_limit_alone_is_taken(folder: Path) -> None:
    relabel(folder, [{"cost_limit": 70.0, "noise": 0.0}, {"cost_limit": 70.0}, {"cost_limit": 20.0, "noise": 0.0}])
    alone = load_data(folder, "limit70-noise20")
    (data,) = load_limits(folder, [70])
    assert data.identity == alone.identity and torch.equal(data.train.safe, alone.train.safe)
    first, second = load_limits(folder, LIMITS, labels="limit20-noise0")
    assert [first.identity["labels"], second.identity["labels"]] == ["limit20-noise0", "limit70-noise0"]
    (back,) = load_limits(folder, [20], labels="limit70-noise20")  # the published labels serve as well as a label set
    assert back.identity["labels"] is None
    (told_by_oracle,) = load_limits(folder, [100], labels="limit70-noise0")
    assert "0 of 90 labels flipped as the limit70-noise0" in told_by_oracle.identity["safety_labels"]
    relabel(folder, [{"cost_limit": 70.0}], name="again")
    with pytest.raises(InputError, match=r"cost limit 70 twice \(again and limit70-noise20\)"):
        load_limits(folder, [70])


def test_what_the_oracle_does_not_tell_is_refused(tmp_path: Path, ball_file: Path) -> None:
    err = write_dataset(tmp_path / "err", ball_file, safety_noise="boundary:scale=1")
    filtered = write_dataset(tmp_path / "filtered", ball_file, filters=("drop-both-unsafe",))
    (tmp_path / "answers.csv").write_text("pair_id,annotator,is_safe_0\n0,ann,1\n")
    import_answers(err, tmp_path / "answers.csv", "lab")
    for place, labels, message in (
        (err, None, r"annotators err near the limit: make them with safefeedback relabel .*err --cost-limit 70$"),
        (
            filtered,
            None,
            r"lacks pairs that its filters dropped at its own cost limit and would keep at 70: build it without --filter",
        ),
        (err, "lab", "people gave the labels, for cost limit 20$"),
    ):
        with pytest.raises(InputError, match=message):
            load_limits(place, [70], labels)
    relabel(err, [{"cost_limit": 70.0}])  # as the message says
    (data,) = load_limits(err, [70])
    assert data.cost_limit == 70 and data.identity["labels"] is not None


def test_pairs_without_an_answer_have_none_at_any_limit(folder: Path) -> None:
    from feedback_cases import set_column

    set_column(folder, "is_safe_1", [None, True] + [False] * 43)
    (data,) = load_limits(folder, [70])
    assert data.train.safe[:, 1].isnan().nonzero().tolist() == [[0]]


def test_a_label_sets_own_limit_is_its_segments_limit(folder: Path) -> None:
    relabel(folder, [{"cost_limit": 70.0, "horizon": 100}], name="other")
    assert load_data(folder, "other").segment_limit == pytest.approx(70 * 8 / 100)
    assert load_data(folder).segment_limit == pytest.approx(20 * 8 / load_data(folder).task.horizon)
    assert np.array_equal(read(folder, "other").safe, load_data(folder, "other").train.safe)
