"""What a person sees of a training and of an episode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from presa.cli.output import verdict
from presa.runs.plots import LABELS, PANELS, draw_learning_curve, panels


def test_every_curve_has_a_name_in_words_and_an_empty_run_no_picture(tmp_path: Path) -> None:
    assert set(LABELS) == {key for _, keys in PANELS for key in keys}
    assert not draw_learning_curve([{"stage": "main", "step": 1, "nu": None}], "x", tmp_path / "none.png", 0.95)
    assert list(tmp_path.iterdir()) == []


def test_a_learning_curve_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    lines = [{"stage": "bc", "step": 5, "cloning_loss": 1.0}, {"stage": "main", "step": 9, "p_safe": 0.4, "nu": 1.0}]
    assert draw_learning_curve(lines, "x", tmp_path / "curve.png", 0.95)
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_a_learning_curve_shows_the_numbers_of_an_algorithm_of_ones_own() -> None:
    lines = [
        {"stage": "cost_0", "step": 1, "loss": 9.0, "flips": 0.1},
        {"stage": "bc", "step": 5, "loss": 1.0, "cloning_loss": 1.0},
        {"stage": "main", "step": 9, "loss": 2.0, "trusted": 0.4, "data_mse": 1.0, "evaluated_return": 3.0, "step_size": None},
    ]
    assert panels(lines) == [("Loss", ("cloning_loss", "loss")), ("Actions", ("data_mse",)), ("trusted", ("trusted",))]
    assert panels([{**lines[2], "preference_loss": 2.0}])[0] == ("Loss", ("preference_loss",))
    assert panels(lines[:2]) == [("Loss", ("cloning_loss",))]  # of a run that failed before a report


def test_step_return_and_cost_are_written_into_a_film() -> None:
    pytest.importorskip("PIL")
    from presa.rollouts.video import captioned

    black = np.zeros((480, 640, 3), np.uint8)
    shown = captioned(black, "step 3   return 1.0   cost 0 of 20")
    assert shown.shape == black.shape and shown.dtype == np.uint8
    assert shown[:24, :200].max() == 255 and not shown[100:].any() and not black.any()


@pytest.mark.parametrize("name", ["film.gif", "film.mp4"])
def test_a_film_shows_its_frames(name: str, tmp_path: Path) -> None:
    """A red picture, then a green one, of an odd height."""
    av = pytest.importorskip("av")
    from presa.rollouts.video import write_film

    frames = [np.zeros((121, 160, 3), np.uint8) for _ in range(2)]
    frames[0][..., 0], frames[1][..., 1] = 200, 200
    write_film(tmp_path / name, frames)
    with av.open(str(tmp_path / name)) as film:
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(shown) == 2 and shown[0].shape[1:] == (160, 3) and shown[0].shape[0] in (120, 121)
    assert [int(frame.mean(axis=(0, 1)).argmax()) for frame in shown] == [0, 1]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_safe_is_said_with_what_it_may_hide() -> None:
    good = {"safe": True, "ended_early": 0.0, "normalized_return": 0.5, "recorded_normalized_return": 0.6}
    assert verdict(good) == "SAFE" and verdict({**good, "safe": False}) == "UNSAFE"
    assert verdict({**good, "ended_early": 1.0}) == "SAFE but 100% ended early"
    assert verdict({**good, "normalized_return": 0.01}) == "SAFE but it earns less than 25% of the data's return"
    assert verdict({"safe": True, "ended_early": 0.0, "normalized_return": None}) == "SAFE"


def test_the_datas_return_is_that_of_an_episode_at_the_segments_pace() -> None:
    from presa.runs.evaluation import recorded_pace
    from safefeedback.tasks import find_task

    task = find_task("BallRun")  # 100 steps, reference returns 26.34 and 1327.45
    found = recorded_pace({"segment_return": 50.0, "segment_length": 25}, task, 20)
    low, high = task.reference_returns or (0.0, 1.0)
    assert found == {"recorded_return": 200.0, "recorded_normalized_return": (200 - low) / (high - low)}
