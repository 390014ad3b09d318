"""Draws cards/table2/figure.png from cards/table2/rows.parquet: reward beside cost at limit 20, a group of points a task.

python cards/table2/figure.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pyarrow.parquet as pq

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
SHOWN = {
    "weighted-bc-feedback-20": ("weighted-bc, from feedback", "#0072B2", "o"),
    "weighted-bc-none-20": ("cloning everything, no answers", "#999999", "s"),
    "weighted-bc-true-safe-20": ("cloning safe episodes, true costs", "#E69F00", "^"),
    "presa-steps": ("PreSa, 70% of its steps", "#CC79A7", "D"),
}


def main() -> None:
    """Writes the picture."""
    rows = pq.read_table(HERE / "rows.parquet").to_pandas()
    rows = rows[rows.cost_limit == 20]
    tasks = sorted(rows.task.unique())
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
    for panel, what, title in zip(panels, ("normalized_return", "normalized_cost"), ("reward", "cost"), strict=True):
        for place, (name, (label, colour, marker)) in enumerate(SHOWN.items()):
            means = rows[rows.algorithm == name].groupby(["task", "seed"])[what].mean()
            panel.scatter([], [], color=colour, marker=marker, s=16, label=label)
            for row, task in enumerate(tasks):
                if task in means.index:
                    y = np.full(len(means[task]), row + 0.18 * (place - 1.5))
                    panel.scatter(np.minimum(means[task], 4), y, color=colour, marker=marker, s=16)
        panel.set(xlabel=f"normalised {title}", yticks=range(len(tasks)), yticklabels=tasks, ylim=(len(tasks) - 0.5, -0.5))
        panel.grid(axis="x", color="0.9")
        panel.spines[["top", "right"]].set_visible(False)
    panels[1].axvline(1, color="black", linestyle=":", linewidth=1)
    panels[1].text(1.03, -0.38, "the limit", fontsize=8, va="center")
    panels[1].set(xlim=(-0.1, 4.15), xticks=range(5), xticklabels=[0, 1, 2, 3, "4 or more"])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(HERE / "figure.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
