"""Legends stand beside the data and nothing is cut off, in the pictures of inspect, of the cards and of reports."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import write_hdf5

import safefeedback
from safefeedback.feedback.recipe import Recipe
from safefeedback.inspection.dataset import inspect_dataset
from safefeedback.tasks import find_task

pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
from safefeedback.plots import PICTURES
from safefeedback.plots.style import default_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN = {
    "BallRun": {"return-cost.png", "margins.png", "safe-share.png", "pairs.png"},
    "BallCircle": {"return-cost.png", "margins.png", "safe-share.png", "pairs.png"},
    "PointCircle1": {"return-cost.png", "margins.png", "safe-share.png", "pairs.png", "lidar.png"},
    "easysparse": {"return-cost.png", "margins.png", "safe-share.png", "pairs.png", "road.png"},
    "HopperVelocity": {"return-cost.png", "margins.png", "safe-share.png", "pairs.png"},
}


def check(figure: Figure) -> int:
    """Fails if a legend lies over a panel or another one, or words reach over the edge; returns how many legends there are."""
    figure.canvas.draw()
    panels = [axes.get_window_extent() for axes in figure.axes]
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend() is not None)]
    boxes = [legend.get_window_extent() for legend in legends]
    for box in boxes:
        assert not any(box.overlaps(panel) for panel in panels), "a legend lies over the data"
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2)), "a legend lies over another"
    words: list[Any] = [axes.title for axes in figure.axes] + [axes._left_title for axes in figure.axes]
    words += [label for axes in figure.axes for label in (axes.xaxis.label, axes.yaxis.label)]
    words += [text for legend in legends for text in legend.get_texts()]
    width, height = figure.canvas.get_width_height()
    for text in words:
        box = text.get_window_extent()
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        assert not text.get_text() or inside, f"{text.get_text()!r} is cut off"
    return len(legends)


@pytest.mark.parametrize("name", list(DRAWN))
def test_the_pictures_of_inspect(name: str, tmp_path: Path):
    task = find_task(name)
    source = write_hdf5(tmp_path / "x.hdf5", [100] * 6, (task.observation_dim, task.action_dim))
    recipe = Recipe(task, pairs=8, length=16, cost_limit=20, noise=0.25, preference_noise=0.25)
    folder, _ = safefeedback.build_dataset(recipe, str(source), tmp_path / "data")
    _, view = inspect_dataset(str(folder))
    drawn = set()
    with default_style():
        for file, draw in PICTURES.items():
            if (made := draw(view)) is not None:
                drawn.add(file)
                assert check(made[0]) >= 1, f"{file} has no legend"
    assert drawn == DRAWN[name]


def test_the_learning_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from presa.runs.plots import draw_learning_curve

    figures: list[Any] = []
    monkeypatch.setattr("safefeedback.plots.style.save", lambda figure, file: (figures.append(figure), file.touch()))
    shares = {"p_safe": 0.9, "p_unsafe": 0.6, "saturated": 0.1, "data_mse": 0.2, "test_safe_accuracy": 0.7}
    shares["test_preference_accuracy"] = 0.6
    lines: list[dict[str, Any]] = [{"stage": "bc", "step": 50, "cloning_loss": 0.6, "data_mse": 0.3}]
    lines += [
        {
            "stage": "main",
            "step": step,
            "preference_loss": 0.7,
            "violation": 0.4,
            "nu": 1.0,
            "test_preference_accuracy": 0.6,
            **shares,
        }
        for step in (100, 200, 300)
    ]
    assert draw_learning_curve(lines, "presa on BallRun", tmp_path / "x.png", 0.95)
    assert check(figures[0]) >= 3


def test_the_figures_of_a_comparison(tmp_path: Path):
    pytest.importorskip("torch")
    import json

    from presa.report.comparison import find_evaluated
    from presa.report.run_figures import draw_runs

    for seed, name in enumerate(("presa", "safety")):
        place = tmp_path / name
        place.mkdir()
        config = {"format_version": 1, "algorithm": name, "configuration": {"steps": 100}, "changed": {}, "cost_limit": 20}
        (place / "config.json").write_text(
            json.dumps({**config, "task": {"name": "BallRun"}, "seed": seed, "data": {"pairs": 10, "labels": None}})
        )
        lines = [{"stage": "main", "step": step, "preference_loss": 1 / step} for step in (50, 100)]
        (place / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        row = {
            "task": "BallRun",
            "cost_limit": 20.0,
            "seed": seed,
            "return": 300.0,
            "normalized_return": 0.5,
            "normalized_cost": 0.2,
        }
        means = dict.fromkeys(("return", "cost", "normalized_cost", "length"), 1.0)
        summary = {"episodes": 1, "cost_limit": 20, "safe": True, **means}
        (place / "evaluation.json").write_text(json.dumps({"rows": [row], "summary": summary}))
    figures = draw_runs(find_evaluated([tmp_path])[0])
    assert len(figures) == 2
    for _, figure, _ in figures:
        check(figure)


def test_wrong_labels_lie_below_the_right_ones_and_recordings_have_no_labels(tmp_path: Path):
    from safefeedback.inspection.recordings import inspect_recordings
    from safefeedback.plots.distributions import return_cost

    source = write_hdf5(tmp_path / "x.hdf5", [100] * 6)
    recipe = Recipe(find_task("BallCircle"), pairs=20, length=16, noise=0.25)
    folder, _ = safefeedback.build_dataset(recipe, str(source), tmp_path / "data")
    with default_style():
        labelled = return_cost(inspect_dataset(str(folder))[1])
        plain = return_cost(inspect_recordings(source, "BallCircle", 16)[1])
    assert labelled is not None and plain is not None
    drawn = {str(one.get_label()): one.get_zorder() for one in labelled[0].axes[0].collections}
    wrong = next(order for label, order in drawn.items() if label.startswith("label is wrong"))
    points = [one.get_zorder() for one in labelled[0].axes[0].collections if str(one.get_label()).startswith("_child")]
    assert points and wrong < min(points)
    words = [text.get_text() for text in plain[0].legends[0].get_texts()]
    assert words[0].startswith("safe (") and not any("label" in word for word in words)
