"""Plots of a few pairs, side by side: from above if the observations contain the position, otherwise as curves over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from safefeedback.plots import geometry, road
from safefeedback.plots.driving import is_driving_task
from safefeedback.plots.style import ACCENT, CIRCLE, OTHER, OUTSIDE, TIME, UNSAFE, new_figure, without_frame
from safefeedback.plots.titles import title
from safefeedback.plots.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
DASHES = ("-", "--", "-.", ":")


def pairs(view: View) -> tuple[Figure, str] | None:
    """The view's clips, in the manner that fits the task."""
    if not view.clips:
        return None
    dims = view.clips[0].observations.shape[-1]
    world = geometry.arena(view.task, dims)
    if is_driving_task(view.task, dims):
        figure = road.curves(view)
        caption = "A few pairs of segments: the car's speed, its place in the lane and the nearest thing it sees, over time."
    elif world is None:
        figure = _curves(view)
        caption = "A few pairs of segments as the observation dims that vary most, over time."
    elif world.circle is not None:
        figure = _rooms(view, world)
        caption = "A few pairs of segments from above, with the circle to follow and the boundaries that cost to cross."
    else:
        figure = _tracks(view, world)
        caption = (
            "A few pairs of segments from above (x stretched), with the boundaries; to cross them or to be too fast costs."
        )
    figure.suptitle(view.title, fontsize=10)
    return figure, caption


def _rooms(view: View, world: geometry.Arena) -> Figure:
    """One column a pair, one row a segment; metres to the same scale in all."""
    from matplotlib.patches import Circle, Rectangle

    count = len(view.clips)
    figure = new_figure(max(5.4, 2.15 * count + 0.8), 5.9)
    panels = figure.subplots(2, count, squeeze=False, sharex=True, sharey=True)
    places = [geometry.positions(view.task, clip.observations) for clip in view.clips]
    assert world.circle is not None
    reach = max(1.25 * world.circle, *(1.06 * float(np.abs(place).max()) for place in places))
    for column, (clip, place) in enumerate(zip(view.clips, places, strict=True)):
        for side in (0, 1):
            axes = panels[side, column]
            axes.set_facecolor(OUTSIDE)
            x, y = world.x_limit or 2 * reach, world.y_limit or 2 * reach
            axes.add_patch(
                Rectangle((-x, -y), 2 * x, 2 * y, facecolor="white", edgecolor=ACCENT, linestyle="--", linewidth=0.8)
            )
            axes.add_patch(Circle((0, 0), world.circle, fill=False, edgecolor=CIRCLE, linewidth=1.2))
            points = _path(axes, place[side], geometry.costly(view.task, clip.observations[side]))
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            axes.tick_params(labelsize=7)
            title(axes, clip, side)
        panels[1, column].set_xlabel("x in metres", fontsize=8)
    for row in panels:
        row[0].set_ylabel("y in metres", fontsize=8)
    _legend(figure, panels, points, view, circle=True)
    return figure


def _tracks(view: View, world: geometry.Arena) -> Figure:
    """One row a pair, one column a segment; the way along x is drawn shorter than the way across."""
    count = len(view.clips)
    figure = new_figure(7.4, 1.55 * count + 1.0)
    panels = figure.subplots(count, 2, squeeze=False, sharey=True)
    places = [geometry.positions(view.task, clip.observations) for clip in view.clips]
    assert world.y_limit is not None
    reach = max(1.4 * world.y_limit, *(1.1 * float(np.abs(place[..., 1]).max()) for place in places))
    longest = max(float(np.ptp(side[:, 0])) for place in places for side in place)
    for row, (clip, place) in enumerate(zip(view.clips, places, strict=True)):
        for side in (0, 1):
            axes = panels[row, side]
            axes.set_facecolor(OUTSIDE)
            axes.axhspan(-world.y_limit, world.y_limit, facecolor="white", zorder=0)
            for line in (-world.y_limit, world.y_limit):
                axes.axhline(line, color=ACCENT, linestyle="--", linewidth=0.8)
            points = _path(axes, place[side], geometry.costly(view.task, clip.observations[side]))
            middle = float(place[side][:, 0].min() + place[side][:, 0].max()) / 2
            half = max(0.55 * longest, world.y_limit)
            axes.set(xlim=(middle - half, middle + half), ylim=(-reach, reach))
            axes.tick_params(labelsize=7)
            title(axes, clip, side)
            if row == count - 1:
                axes.set_xlabel("x in metres", fontsize=8)
        panels[row, 0].set_ylabel("y in metres", fontsize=8)
    _legend(figure, panels, points, view, circle=False, speed=world.speed_limit)
    return figure


def _path(axes: Axes, place: np.ndarray, costly: np.ndarray) -> object:
    """A way [L, 2] coloured by time, with its start and its costly steps [L]; the points, for a colour bar."""
    axes.plot(place[:, 0], place[:, 1], color=OTHER, linewidth=0.6)
    costly = costly & (np.arange(len(costly)) > 0)  # the first observation describes the step before the segment
    axes.scatter(place[costly, 0], place[costly, 1], color=UNSAFE, s=34, linewidths=0, zorder=2)
    points = axes.scatter(place[:, 0], place[:, 1], c=np.arange(len(place)), cmap=TIME, s=6, linewidths=0, zorder=3)
    axes.scatter(place[:1, 0], place[:1, 1], marker="D", s=30, facecolor="none", edgecolor=ACCENT, zorder=4)
    return points


def _legend(figure: Figure, panels: np.ndarray, points: object, view: View, circle: bool, speed: float | None = None) -> None:
    from matplotlib.lines import Line2D

    bar = figure.colorbar(points, ax=panels, shrink=0.7, pad=0.02, aspect=30)  # type: ignore[arg-type]
    bar.set_label(f"step of the {view.length}")
    costs = "place that cost" + (f" (outside, or faster than {speed:g} m/s)" if speed else "")
    handles = [
        Line2D([], [], marker="D", markerfacecolor="none", markeredgecolor=ACCENT, linestyle="none", label="start"),
        Line2D([], [], marker="o", color=UNSAFE, linestyle="none", label=costs),
        *([Line2D([], [], color=CIRCLE, label="circle to follow")] if circle else []),
        Line2D([], [], color=ACCENT, linestyle="--", linewidth=0.8, label="boundary"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)


def _curves(view: View) -> Figure:
    """One column a pair, one row a segment: the four observation dims that vary most within the segments shown."""
    count = len(view.clips)
    figure = new_figure(max(5.4, 2.2 * count + 0.4), 4.4)
    panels = figure.subplots(2, count, squeeze=False, sharex=True, sharey=True)
    shown = np.stack([clip.observations for clip in view.clips]).astype(np.float64)
    whole = shown.std(axis=(0, 1, 2))
    moving = shown.std(axis=2).mean(axis=(0, 1)) / np.where(whole > 0, whole, np.inf)
    dims = np.sort(np.argsort(-moving, kind="stable")[: len(CURVES)])
    mean = shown.mean(axis=(0, 1, 2))
    for column, clip in enumerate(view.clips):
        for side in (0, 1):
            axes = without_frame(panels[side, column])
            for dim, colour, dash in zip(dims, CURVES, DASHES, strict=False):
                values = (shown[column, side, :, dim] - mean[dim]) / (whole[dim] or 1.0)
                axes.plot(
                    values,
                    color=colour,
                    linestyle=dash,
                    linewidth=1,
                    label=view.names[dim] if view.names else f"observation {dim}",
                )
            axes.tick_params(labelsize=7)
            title(axes, clip, side)
        panels[1, column].set_xlabel("step", fontsize=8)
    for row in panels:
        row[0].set_ylabel("standardised", fontsize=8)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(CURVES), frameon=False)
    return figure
