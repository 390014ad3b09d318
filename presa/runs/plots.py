"""The learning curve of a run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safefeedback.files import replacing

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

FEW = 20  # points of a curve, below which each is marked
TOLD = (("episode", "episode", 0), ("cost", "estimated_cost", 1), ("rank", "rank", 2))  # of an episode: name, key, digits
PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Loss", ("cloning_loss", "preference_loss", "safety_loss", "violation")),
    ("Probability of the safety label", ("p_safe", "p_unsafe")),
    ("Multiplier nu", ("nu",)),
    ("Actions", ("saturated", "saturated_recorded", "data_mse")),
    ("Accuracy on held-out pairs", ("test_preference_accuracy", "test_safe_accuracy", "test_unsafe_accuracy")),
    ("Rollouts, normalised", ("evaluated_reward", "evaluated_cost")),
)
LABELS = {
    "cloning_loss": "cloning",
    "preference_loss": "preference",
    "safety_loss": "safety",
    "violation": "violation of the safety target",
    "p_safe": "of safe segments",
    "p_unsafe": "of unsafe segments",
    "nu": "nu",
    "saturated": "share at the bounds, policy",
    "saturated_recorded": "share at the bounds, data",
    "data_mse": "squared distance to the data",
    "test_preference_accuracy": "preferences",
    "test_safe_accuracy": "safe segments",
    "test_unsafe_accuracy": "unsafe segments",
    "evaluated_reward": "reward",
    "evaluated_cost": "cost (safe up to 1)",
}
SHARES = ("p_", "test_")  # axes with the range [0, 1]
NOT_DRAWN = ("stage", "step", "loss", "z_ref", "delta", "evaluated_return", "evaluated_raw_cost")


def own_numbers(lines: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The numbers that only this algorithm reports, such as those in the `info` of one's own."""
    known = {*LABELS, *NOT_DRAWN}
    return tuple(dict.fromkeys(key for line in lines if line["stage"] == "main" for key in line if key not in known))


def panels(lines: Sequence[dict[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    """The panels of a learning curve, and the numbers in each: those of PANELS, the loss of an algorithm that reports none of
    them under a name, and the algorithm's own numbers, a panel each."""
    main = [line for line in lines if line["stage"] == "main"]
    groups = [*PANELS, *((key, (key,)) for key in own_numbers(main))]
    if not any(line.get(key) is not None for line in main for key in PANELS[0][1]):
        groups[0] = (PANELS[0][0], (*PANELS[0][1], "loss"))
    present = {key for line in lines for key, value in line.items() if value is not None and key != "loss"}
    present |= {"loss" for line in main if line.get("loss") is not None}  # models have losses of their own
    return [(name, kept) for name, keys in groups if (kept := tuple(key for key in keys if key in present))]


def draw_learning_curve(lines: list[dict[str, Any]], title: str, file: Path, target: float | None = None) -> bool:
    """Draws metrics over steps, a panel for each group that was recorded; returns False if there is none, or no matplotlib.

    Args:
        lines: of metrics.jsonl.
        title: of the picture.
        file: a PNG.
        target: delta, the lower bound of the probability of safety; None where the algorithm has none.
    """
    groups = panels(lines)
    if not groups or find_spec("matplotlib") is None:
        return False
    from safefeedback.plots.style import default_style, new_figure, save, without_frame

    columns, cloned = min(2, len(groups)), max((line["step"] for line in lines if line["stage"] == "bc"), default=None)
    with default_style():
        figure = new_figure(5.2 * columns, 2.6 * -(-len(groups) // columns))
        for index, (name, keys) in enumerate(groups):
            axes = without_frame(figure.add_subplot(-(-len(groups) // columns), columns, index + 1, title=name, xlabel="step"))
            if cloned is not None:
                axes.axvspan(0, cloned, color="0.93", label="cloning" if "cloning_loss" not in keys else None)
            for key in keys:
                drawn = [line for line in lines if key != "loss" or line["stage"] == "main"]
                points = [(line["step"], line[key]) for line in drawn if line.get(key) is not None]
                mark_few(axes.plot(*zip(*points, strict=True), label=LABELS.get(key, key))[0], len(points))
            if keys[0].startswith(SHARES):
                axes.set_ylim(-0.02, 1.02)
            if keys[0].startswith("p_") and target is not None:
                axes.axhline(target, color="black", linestyle="--", linewidth=1, label=f"target delta = {target:g}")
            axes.set_xlim(0, max(line["step"] for line in lines))
            if len(axes.get_legend_handles_labels()[1]) > 1:
                axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small", frameon=False)  # beside the panel
        figure.suptitle(title)
        with replacing(file) as partial:
            save(figure, partial)
    return True


def mark_few(line: Line2D, points: int) -> None:
    """Marks the points of a curve of a few, which as a line alone would hardly be seen, or not at all."""
    if points < FEW:
        line.set(marker="o", markersize=3, clip_on=False)


def draw_trust(findings: dict[str, Any], accuracy: dict[str, float], title: str, file: Path) -> bool:
    """Draws a run's episode weights: accuracy on held-out answers, calibration of P(safe), and the ten episodes of highest
    and lowest weight.

    Args:
        findings: as `presa.data.episode_weights.EpisodeWeights.facts` returns them.
        accuracy: of each model on its held-out answers.

    Returns:
        False if matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    accuracies = figure.add_subplot(1, 3, 1, title="accuracy", xlim=(0, 1), xlabel="share of answers left out")
    accuracies.barh(list(accuracy), list(accuracy.values()))
    accuracies.axvline(0.5, color="grey", linestyle=":")
    bins = findings["calibration"]
    calibrated = figure.add_subplot(1, 3, 2, title="calibration of P(safe)", xlim=(0, 1), ylim=(0, 1))
    calibrated.set(xlabel="P(safe) of segments left out", ylabel="share labelled safe")
    calibrated.plot([0, 1], [0, 1], color="grey", linestyle=":")
    calibrated.scatter([one["said"] for one in bins], [one["safe"] for one in bins], [5 + one["labels"] ** 0.5 for one in bins])
    ranked = sorted(findings["episodes"], key=lambda row: (row["share"], row["p_safe"] or 0.0))
    shown = ranked if len(ranked) <= 20 else [*ranked[:10], *ranked[-10:]]
    names = [", ".join(f"{name} {row[key]:.{digits}f}" for name, key, digits in TOLD if row[key] is not None) for row in shown]
    trusted = figure.add_subplot(1, 3, 3, title="trusted most and least", xlabel="share of the weight")
    colours = ["tab:red"] * (len(shown) // 2) + ["tab:green"] * (len(shown) - len(shown) // 2)
    trusted.barh(names, [row["share"] for row in shown], color=colours)
    trusted.tick_params("y", labelsize=6)
    _save(figure, file)
    return True


def _save(figure: Any, file: Path) -> None:
    """Writes a picture whole or not at all."""
    with replacing(file) as partial:
        figure.savefig(partial, dpi=100, format="png")
