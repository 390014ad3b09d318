"""Distributions: return against cost, margins of pairs, and the share of safe segments at each cost limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from safefeedback.plots.style import ACCENT, OTHER, SAFE, UNSAFE, new_figure, without_frame
from safefeedback.plots.view import View
from safefeedback.randomness import choose, stream, uniforms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 5000  # drawn at most; more hide one another
FEW = 200  # are drawn larger
CURVE = 401


def return_cost(view: View) -> tuple[Figure, str] | None:
    """Every segment at its cost and return, coloured by its published safety label, with both distributions beside."""
    if not len(view.returns):
        return None
    figure = new_figure(8.4, 4.6)
    grid = figure.add_gridspec(2, 2, width_ratios=(5, 1), height_ratios=(1, 4))
    axes = without_frame(figure.add_subplot(grid[1, 0]))
    above, beside = (
        without_frame(figure.add_subplot(grid[0, 0], sharex=axes)),
        without_frame(figure.add_subplot(grid[1, 1], sharey=axes)),
    )
    drawn = choose(stream(0, "points"), len(view.costs), min(POINTS, len(view.costs)))
    whole = bool((view.costs == np.round(view.costs)).all())
    jitter = (uniforms(stream(0, "jitter"), len(drawn)) - 0.5) * (0.7 if whole else 0.0)
    x, y, safe = view.costs[drawn] + jitter, view.returns[drawn], view.safe[drawn]
    kinds = (("safe", 1.0, SAFE), ("unsafe", 0.0, UNSAFE))
    size, alpha = (7, 0.35) if len(drawn) > FEW else (24, 0.8)
    prefix = "labelled " if len(view.margins) else ""
    for name, value, colour in kinds:
        count = int((view.safe == value).sum())
        axes.scatter(x[safe == value], y[safe == value], s=size, color=colour, alpha=alpha, linewidths=0, zorder=2)
        axes.scatter([], [], s=24, color=colour, label=f"{prefix}{name} ({count:,})")
    unanswered = np.isnan(view.safe)
    if unanswered.any():
        axes.scatter(x[np.isnan(safe)], y[np.isnan(safe)], s=size, color=OTHER, alpha=alpha, linewidths=0)
        axes.scatter([], [], s=24, color=OTHER, label=f"unanswered ({int(unanswered.sum()):,})")
    wrong = (view.safe != view.clean_safe) & ~unanswered
    if wrong.any():
        at = wrong[drawn]
        axes.scatter(
            *(x[at], y[at]),
            s=size + 30,
            marker="x",
            color=ACCENT,
            linewidths=0.4,
            alpha=0.6,
            zorder=1,
            label=f"label is wrong ({int(wrong.sum()):,})",
        )  # drawn below the points, so that they remain visible
    limit = view.segment_cost_limit
    for panel in (axes, above):
        if limit is not None:
            panel.axvline(limit, color=ACCENT, linestyle="--", linewidth=1)
    if limit is not None:
        axes.plot(
            [], [], color=ACCENT, linestyle="--", linewidth=1, label=f"limit {limit:.4g} ({view.cost_limit:g} an episode)"
        )
    bins = (_edges(view.costs, whole), _edges(view.returns, False))
    for name, value, colour in kinds:
        rows = view.safe == value
        if rows.any():
            above.hist(view.costs[rows], bins[0], histtype="step", color=colour, label=name)
            beside.hist(view.returns[rows], bins[1], histtype="step", color=colour, orientation="horizontal")
    for panel in (above, beside):
        panel.tick_params(labelbottom=panel is beside, labelleft=panel is above)
    for scale, axis in ((above.set_yscale, above.yaxis), (beside.set_xscale, beside.xaxis)):
        scale("log")
        axis.set_minor_formatter("")
    above.set_ylim(bottom=0.7)
    beside.set_xlim(left=0.7)
    above.set_ylabel("segments")
    beside.set_xlabel("segments")
    axes.set_xlabel(f"cost of a segment of {view.length} steps")
    axes.set_ylabel("return of a segment")
    axes.grid(alpha=0.25, linewidth=0.5)
    figure.suptitle(view.title, fontsize=10)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    prefix = f"{len(drawn):,} of {len(view.costs):,} segments" if len(drawn) < len(view.costs) else "All segments"
    caption = f"{prefix} by cost and return, coloured by their safety label"
    caption += "; crosses mark labels that differ from the truth" if wrong.any() else ""
    return figure, caption + ("; whole costs are spread a little to be seen." if whole else ".")


def margins(view: View) -> tuple[Figure, str] | None:
    """How far apart the returns of a pair are, by whether the published preference is right."""
    if not len(view.margins):
        return None
    figure = new_figure(8.4, 3.6)
    axes = without_frame(figure.add_subplot())
    largest = float(view.margins.max())
    scale = largest * float(np.sqrt(np.mean((view.margins / largest) ** 2))) if largest else 0.0
    edges = _edges(np.r_[0.0, view.margins], False)
    kinds = (
        ("prefers the larger return", view.agrees == 1, SAFE),
        ("prefers the smaller return", view.agrees == 0, UNSAFE),
        ("unanswered", np.isnan(view.agrees), OTHER),
    )
    present = [(f"{name} ({int(rows.sum()):,})", view.margins[rows], colour) for name, rows, colour in kinds if rows.any()]
    axes.hist(
        [values for _, values, _ in present],
        edges,
        stacked=True,
        color=[colour for *_, colour in present],
        label=[name for name, *_ in present],
        edgecolor="white",
        linewidth=0.3,
    )
    if scale > 0:
        axes.axvline(scale, color=ACCENT, linestyle="--", linewidth=1, label=f"root mean square {scale:.4g}")
        upper = axes.secondary_xaxis("top", functions=(lambda x: x / scale, lambda x: x * scale))
        upper.set_xlabel("relative to the root mean square")
    axes.set_xlabel("|difference of the two returns| of a pair")
    axes.set_ylabel("pairs")
    axes.yaxis.get_major_locator().set_params(integer=True)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    figure.suptitle(view.title, fontsize=10)
    return figure, "Preference margins: the difference of a pair's returns, by whether the published preference is right."


def safe_share(view: View) -> tuple[Figure, str] | None:
    """The share of segments that each episode limit calls safe."""
    if not len(view.costs) or view.horizon is None or not view.cost_limits:
        return None
    figure = new_figure(8.0, 3.4)
    axes = without_frame(figure.add_subplot())
    highest = max(2 * view.cost_limits[-1], 1.2 * (view.cost_limit or 0.0), 1.0)
    limits, ordered = np.linspace(0, highest, CURVE), np.sort(view.costs)

    def share(limit: np.ndarray | float) -> np.ndarray:
        return np.searchsorted(ordered, np.asarray(limit) * view.length / view.horizon, side="right") / len(ordered)

    axes.plot(limits, share(limits), color=SAFE, drawstyle="steps-post", label="true labels")
    for limit in view.cost_limits:
        axes.axvline(limit, color=OTHER, linestyle=":", linewidth=1)
        left = limit > 0.8 * highest
        axes.annotate(
            f"{share(limit):.0%}",
            (limit, float(share(limit))),
            (-5 if left else 5, -11),
            textcoords="offset points",
            ha="right" if left else "left",
        )
    axes.plot(
        view.cost_limits, share(np.array(view.cost_limits)), "o", color=SAFE, label="limits of the task", linestyle="none"
    )
    answered = view.safe[~np.isnan(view.safe)]
    if view.cost_limit is not None and len(answered) and (view.safe != view.clean_safe).any():
        axes.plot(
            view.cost_limit,
            answered.mean(),
            "D",
            markersize=10,
            markerfacecolor="none",
            color=UNSAFE,
            label="labels as published",
            linestyle="none",
        )
    axes.set(xlabel="cost limit of an episode", ylabel="share of safe segments", ylim=(-0.03, 1.06), xlim=(0, highest))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(alpha=0.25, linewidth=0.5)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    figure.suptitle(view.title, fontsize=10)
    return figure, (
        f"Share of segments that are safe under each episode limit (a segment may cost limit * {view.length} / {view.horizon})."
    )


def _edges(values: np.ndarray, whole: bool) -> np.ndarray:
    """Edges of at most 60 bins, fewer for few values; whole numbers lie in the middle of theirs."""
    low, high = float(values.min()), float(values.max())
    if whole:
        width = max(1, -(-int(high - low + 1) // 60))
        return np.arange(low - 0.5, high + width, width)
    if high == low:
        high = low + 1
    return np.linspace(low, high, int(np.clip(4 * np.sqrt(len(values)), 8, 50)) + 1)
