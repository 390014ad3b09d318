"""Plots of the lidar readings of safety-gymnasium's navigation tasks, at a few steps of two pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from safefeedback.plots.geometry import LIDAR_BINS, lidars
from safefeedback.plots.style import new_figure
from safefeedback.plots.titles import title
from safefeedback.plots.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLIPS, INSTANTS = 2, 5
COLOURS = {
    "circle": "#009E73",
    "goal": "#009E73",
    "hazards": "#D55E00",
    "vases": "#56B4E9",
    "buttons": "#E69F00",
    "gremlins": "#CC79A7",
    "pillars": "#0072B2",
    "push box": "#000000",
}
NAMES = {"circle": "centre of the circle"}


def rings(view: View) -> tuple[Figure, str] | None:
    """A row a segment, a column a step: one ring for each kind of thing, the fuller the colour the nearer it is."""
    from matplotlib.patches import Patch

    if not view.clips or not lidars(view.task, view.clips[0].observations):
        return None
    rows = [(clip, side) for clip in view.clips[:CLIPS] for side in (0, 1)]
    steps = np.linspace(0, view.length - 1, min(INSTANTS, view.length)).astype(int)
    figure = new_figure(1.45 * len(steps) + 0.4, 1.65 * len(rows) + 0.7)
    panels = figure.subplots(len(rows), len(steps), squeeze=False, subplot_kw={"projection": "polar"})
    angle, width = (np.arange(LIDAR_BINS) + 0.5) * 2 * np.pi / LIDAR_BINS, 2 * np.pi / LIDAR_BINS
    for row, (clip, side) in enumerate(rows):
        lidar_readings = lidars(view.task, clip.observations[side])
        for column, step in enumerate(steps):
            axes = panels[row, column]
            axes.set_theta_zero_location("N")
            axes.set(xticks=[], yticks=[], ylim=(0, len(lidar_readings) + 1))
            axes.spines[:].set_visible(False)
            for ring, (kind, readings) in enumerate(lidar_readings.items()):
                shades = [(COLOURS[kind], float(np.clip(reading, 0, 1))) for reading in readings[step]]
                axes.bar(angle, 0.9, width, bottom=1 + ring, color=shades, edgecolor="#CCCCCC", linewidth=0.4)
            axes.plot([0, 0], [0, 0.8], color="black", linewidth=1.5, solid_capstyle="round")  # to the front
            if row == len(rows) - 1:
                axes.set_xlabel(f"step {step}", fontsize=8)
        title(panels[row, 0], clip, side, loc="left")
    handles = [Patch(color=COLOURS[kind], label=NAMES.get(kind, kind)) for kind in lidar_readings]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(f"{view.title}: lidar, front upwards", fontsize=10)
    return figure, "What the lidars see around the body at a few steps of two pairs; the fuller the colour, the nearer."
