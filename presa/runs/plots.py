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
    partial = file.with_name(f".{file.stem}.{os.getpid()}.partial.png")
    figure.savefig(partial, dpi=100)
    partial.replace(file)
    return True
