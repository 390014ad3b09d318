"""The titles of segments in plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from safefeedback.plots.style import OTHER, SAFE, UNSAFE
from safefeedback.plots.view import Clip

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def title(axes: Axes, clip: Clip, side: int, loc: Any = "center") -> None:
    """Sets the title of a segment and its labels; its frame is thick if it is preferred.

    `loc` is "left" where it stands above a row of panels: it may then be wider than the first.
    """
    value = clip.safe[side]
    colour = OTHER if np.isnan(value) else SAFE if value == 1 else UNSAFE
    verdict = "unanswered" if np.isnan(value) else "safe" if value == 1 else "unsafe"
    if clip.flipped[side]:
        verdict += " (wrong label)"
    better = not np.isnan(clip.preference) and clip.preference != 0.5 and int(clip.preference > 0.5) == side
    name = f"{clip.name}, {clip.sides[side]}" if clip.name else clip.sides[side]
    words = ("preferred, " if better else "tie, " if clip.preference == 0.5 else "") + verdict
    text = f"{name}\n{words}{_truth(clip, side)}"
    axes.set_title(text, loc=loc, color=colour, fontsize=8, fontweight="bold" if better else "normal")
    axes.spines[:].set(color=colour, linewidth=2.5 if better else 0.8)


def _truth(clip: Clip, side: int) -> str:
    if np.isnan(clip.returns[side]):
        return ""
    return f"\nreturn {clip.returns[side]:.3g}, cost {clip.costs[side]:.3g}"
