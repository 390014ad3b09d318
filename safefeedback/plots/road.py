"""Pictures of driven segments: the lidar as a fan, the speed and the place in the lane over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from safefeedback.plots.driving import FREE_SPEED, LASERS, REACH, decode_driving, is_driving_task
from safefeedback.plots.style import ACCENT, OTHER, SAFE, UNSAFE, new_figure, without_frame
from safefeedback.plots.titles import title
from safefeedback.plots.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLIPS, INSTANTS = 2, 5
FREE = "#CFE3F1"


def fans(view: View) -> tuple[Figure, str] | None:
    """A row a segment, a column a step: how far each laser reaches, and the edges of the road beside the car."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if not view.clips or not is_driving_task(view.task, view.clips[0].observations.shape[-1]):
        return None
    rows = [(clip, side) for clip in view.clips[:CLIPS] for side in (0, 1)]
    steps = np.linspace(0, view.length - 1, min(INSTANTS, view.length)).astype(int)
    figure = new_figure(1.45 * len(steps) + 0.4, 1.95 * len(rows) + 0.8)
    panels = figure.subplots(len(rows), len(steps), squeeze=False)
    turn = np.arange(LASERS + 1) * 2 * np.pi / LASERS
    for row, (clip, side) in enumerate(rows):
        driving = decode_driving(clip.observations[side])
        for column, step in enumerate(steps):
            axes = panels[row, column]
            reach = np.append(driving.lidar[step], driving.lidar[step, 0])
            axes.fill(reach * np.sin(turn), reach * np.cos(turn), facecolor=FREE, edgecolor=SAFE, linewidth=0.6)
            hit = driving.lidar[step] < REACH
            axes.scatter(*(driving.lidar[step][hit] * part(turn[:-1][hit]) for part in (np.sin, np.cos)), s=3, color=UNSAFE)
            direction = -driving.heading[step]  # the road beside the car, drawn along its direction where the car is
            along = 12 * np.array([np.sin(direction), np.cos(direction)])
            across = np.array([np.cos(direction), -np.sin(direction)])
            for edge in (-driving.left[step] * across, driving.right[step] * across):
                axes.plot(*zip(edge - along, edge + along, strict=True), color=ACCENT, linewidth=1)
            axes.plot([0], [0], marker=(3, 0, 0), color=ACCENT, markersize=5)
            axes.set(xticks=[], yticks=[], xlim=(-REACH, REACH), ylim=(-1.25 * REACH, REACH), aspect="equal")
            axes.spines[:].set_visible(False)
            axes.text(0, -1.02 * REACH, f"{max(driving.speed[step], 0):.0f} km/h", ha="center", va="top", fontsize=7)
            if row == len(rows) - 1:
                axes.set_xlabel(f"step {step}", fontsize=8)
        title(panels[row, 0], clip, side, loc="left")
    handles = [
        Patch(facecolor=FREE, edgecolor=SAFE, label=f"free, up to {REACH:g} m"),
        Line2D([], [], marker="o", markersize=3, color=UNSAFE, linestyle="none", label="something is there"),
        Line2D([], [], color=ACCENT, linewidth=1, label="the road's edges"),
        Line2D([], [], marker=(3, 0, 0), color=ACCENT, markersize=5, linestyle="none", label="the car"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(f"{view.title}: lidar, front upwards", fontsize=10)
    return figure, (
        "What the car's lidar sees at a few steps of two pairs, up to 50 m (orange: something is there), the road's edges "
        "beside the car, and its speed."
    )


def curves(view: View) -> Figure:
    """One column a pair, one row a segment: speed, place in the lane and distance to the nearest thing, over time."""
    count = len(view.clips)
    figure = new_figure(max(5.4, 2.2 * count + 0.8), 4.6)
    panels = figure.subplots(2, count, squeeze=False, sharex=True, sharey=True)
    for column, clip in enumerate(view.clips):
        for side in (0, 1):
            axes, driving = without_frame(panels[side, column]), decode_driving(clip.observations[side])
            axes.axhline(FREE_SPEED, color=OTHER, linestyle="--", linewidth=0.8, label="faster than this costs")
            axes.plot(np.maximum(driving.speed, 0), color="#0072B2", linewidth=1.2, label="speed in km/h")
            axes.plot(driving.nearest, color="#E69F00", linestyle="--", linewidth=1, label="nearest thing in m")
            axes.plot(
                10 * driving.lane_offset, color="#009E73", linestyle="-.", linewidth=1, label="right of the lane's middle in dm"
            )
            axes.tick_params(labelsize=7)
            title(axes, clip, side)
        panels[1, column].set_xlabel("step", fontsize=8)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
    return figure
