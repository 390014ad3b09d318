"""The learning curve of a run as a picture."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("losses", ("cloning_loss", "preference_loss", "safety_loss", "violation")),
    ("p of the label", ("p_safe", "p_unsafe")),
    ("nu", ("nu",)),
    ("actions", ("saturated", "saturated_recorded", "data_mse")),
    ("held-out accuracy", ("test_preference_accuracy", "test_safe_accuracy", "test_unsafe_accuracy")),
    ("rollouts, normalised", ("evaluated_reward", "evaluated_cost")),
)


def learning_curve(lines: list[dict[str, Any]], title: str, file: Path) -> bool:
    """Draws metrics over steps, a panel for each group that was recorded; returns False if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        return False
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = []
    for name, keys in PANELS:
        present = tuple(key for key in keys if any(line.get(key) is not None for line in lines))
        if present:
            panels.append((name, present))
    figure = Figure(figsize=(4 * min(3, len(panels)), 3 * -(-len(panels) // 3)), layout="constrained")
    FigureCanvasAgg(figure)
    cloned = max((line["step"] for line in lines if line["stage"] == "bc"), default=None)
    for index, (name, keys) in enumerate(panels):
        axes = figure.add_subplot(-(-len(panels) // 3), min(3, len(panels)), index + 1, title=name, xlabel="step")
        for key in keys:
            known = [line for line in lines if line.get(key) is not None]
            axes.plot(
                [line["step"] for line in known],
                [line[key] for line in known],
                label=key,
                marker="." if len(known) < 20 else "",
            )
        if cloned is not None:
            axes.axvline(cloned, color="grey", linestyle=":")  # where cloning ends, as in the paper's figures
        axes.legend(fontsize="small")
    figure.suptitle(title)
    _save(figure, file)
    return True


def trust(findings: dict[str, Any], accuracy: dict[str, float], title: str, file: Path) -> bool:
    """Draws what a run rests on: accuracy on answers left out, calibration of P(safe), the ten episodes trusted most and least.

    Args:
        findings: as `presa.data.weighing.Weighing.facts` tells them.
        accuracy: of each model on the answers it did without.

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
    accuracies = figure.add_subplot(1, 3, 1, title="accuracy on answers left out", xlim=(0, 1))
    accuracies.barh(list(accuracy), list(accuracy.values()))
    accuracies.axvline(0.5, color="grey", linestyle=":")
    bins = findings["calibration"]
    calibrated = figure.add_subplot(1, 3, 2, title="calibration of P(safe), segments left out", xlim=(0, 1), ylim=(0, 1))
    calibrated.set(xlabel="P(safe)", ylabel="share labelled safe")
    calibrated.plot([0, 1], [0, 1], color="grey", linestyle=":")
    calibrated.scatter([one["said"] for one in bins], [one["safe"] for one in bins], [5 + one["labels"] ** 0.5 for one in bins])
    ranked = sorted(findings["episodes"], key=lambda row: (row["share"], row["p_safe"]))
    shown = ranked if len(ranked) <= 20 else [*ranked[:10], *ranked[-10:]]
    names = [f"{row['episode']}: cost {row['estimated_cost']:.1f}, rank {row['rank']:.2f}" for row in shown]
    trusted = figure.add_subplot(1, 3, 3, title="episodes trusted least and most: share of the weight")
    colours = ["tab:red"] * (len(shown) // 2) + ["tab:green"] * (len(shown) - len(shown) // 2)
    trusted.barh(names, [row["share"] for row in shown], color=colours)
    trusted.tick_params("y", labelsize=6)
    _save(figure, file)
    return True


def _save(figure: Any, file: Path) -> None:
    """Writes a picture whole or not at all."""
    partial = file.with_name(f".{file.stem}.{os.getpid()}.partial.png")
    figure.savefig(partial, dpi=100)
    partial.replace(file)
