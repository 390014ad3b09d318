"""Plots of a dataset or of recordings. They need matplotlib (the extra `plots`), which is imported only to draw."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from safefeedback.errors import InputError
from safefeedback.files import replacing
from safefeedback.plots import distributions, lidar, road, strips
from safefeedback.plots.style import default_style, save
from safefeedback.plots.view import View

__all__ = ["available", "draw_all"]

PICTURES = {
    "return-cost.png": distributions.return_cost,
    "margins.png": distributions.margins,
    "safe-share.png": distributions.safe_share,
    "pairs.png": strips.pairs,
    "lidar.png": lidar.rings,
    "road.png": road.fans,
}


def available() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_all(view: View, folder: Path) -> list[tuple[str, str]]:
    """Draws every plot that the view has data for; older files of the other plots are removed.

    Args:
        view: what to show, from `safefeedback.inspection`.
        folder: where the PNGs go, made if it is missing; each appears whole or not at all.

    Returns:
        (file name, one-sentence caption) of each, in the order in which to show them.

    Raises:
        InputError: if the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _draw_all(view, folder)
    except OSError as error:
        raise InputError(f"plots cannot be written into {folder}: {error.strerror}; choose another place with --out") from None


def _draw_all(view: View, folder: Path) -> list[tuple[str, str]]:
    drawn = []
    with default_style():
        for name, draw in PICTURES.items():
            picture = draw(view)
            if picture is None:
                (folder / name).unlink(missing_ok=True)
                continue
            figure, caption = picture
            with replacing(folder / name) as partial:
                save(figure, partial)
            drawn.append((name, caption))
    return drawn
