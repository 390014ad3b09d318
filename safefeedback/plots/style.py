"""The style of all plots, and how they are written: the same input gives the same bytes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which people with any colour vision can tell apart (jfly.uni-koeln.de/color)
SAFE, UNSAFE, OTHER, ACCENT = "#0072B2", "#D55E00", "#999999", "#000000"
CIRCLE, OUTSIDE = "#009E73", "#F6E3D6"
TIME = "cividis"
DPI = 150


@contextmanager
def default_style() -> Iterator[None]:
    """Matplotlib's own defaults, whatever the user has set, and ours on top."""
    _import_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 9, "legend.fontsize": 8, "axes.axisbelow": True})
        yield


def _import_matplotlib() -> None:
    """Imports it even where MPLBACKEND names what is not installed, as in a terminal that a notebook opened."""
    if "matplotlib" in sys.modules or "MPLBACKEND" not in os.environ:
        return
    backend = os.environ.pop("MPLBACKEND")
    import matplotlib

    os.environ["MPLBACKEND"] = backend
    with suppress(ValueError):
        matplotlib.rcParams["backend"] = backend


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches, drawn without a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, file: Path) -> None:
    """Writes a PNG without a date or a version in it."""
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})


def without_frame(axes: Axes) -> Any:
    """Without the frame's upper and right line."""
    axes.spines[["top", "right"]].set_visible(False)
    return axes
