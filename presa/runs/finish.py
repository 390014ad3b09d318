"""What a run leaves for people: its plot, its card, and TensorBoard events on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from presa.runs.card import write_card
from presa.runs.plots import learning_curve
from presa.runs.records import read_config, read_metrics
from safefeedback.errors import InputError


def finish(folder: Path) -> None:
    """Draws the learning curve, where matplotlib is installed, and writes the card."""
    config, lines = read_config(folder), read_metrics(folder)
    if lines:
        title = f"{config['algorithm']} on {config['task']['name']}, limit {config['cost_limit']:g}, seed {config['seed']}"
        learning_curve(lines, title, folder / "learning_curve.png")
    write_card(folder)


@contextmanager
def log_to_tensorboard(folder: Path, wanted: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yields a function that takes a line of metrics; it does nothing if TensorBoard is not wanted.

    Raises:
        InputError: if it is wanted and not installed.
    """
    if not wanted:
        yield lambda line: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("--tensorboard needs the package tensorboard: pip install tensorboard") from None
    writers: list[SummaryWriter] = []  # made at the first report: until then the folder is not the run's

    def log(line: dict[str, Any]) -> None:
        if not writers:
            writers.append(SummaryWriter(str(folder / "tensorboard")))
        for name, value in line.items():
            if isinstance(value, float):
                writers[0].add_scalar(f"{line['stage']}/{name}", value, line["step"])

    try:
        yield log
    finally:
        for writer in writers:
            writer.close()
