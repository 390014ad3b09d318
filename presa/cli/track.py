"""The command `presa track`; app.py registers it. Its options are those of `presa train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safefeedback.errors import InputError

TensorBoard = Annotated[bool, typer.Option("--tensorboard", help="Write TensorBoard events into the run's folder.")]
Wandb = Annotated[
    str | None, typer.Option(help="Report to this project of Weights & Biases; WANDB_MODE=offline stores it here.")
]
Trackio = Annotated[str | None, typer.Option(help="Report to this project of Trackio, which stores it on this machine.")]


def track(
    folders: Annotated[list[Path], typer.Argument(help="Folders of runs, or folders that hold runs.")],
    tensorboard: TensorBoard = False,
    wandb: Wandb = None,
    trackio: Trackio = None,
) -> None:
    """Show runs in TensorBoard, Weights & Biases or Trackio: send them everything that the runs reported, at any later time."""
    from presa.runs.evaluation import runs_in
    from presa.runs.trackers import requested_trackers
    from presa.runs.trackers import track as send_reports

    trackers = requested_trackers(tensorboard, wandb, trackio)
    if not trackers:
        raise InputError("name a tracker: --tensorboard, --wandb PROJECT or --trackio PROJECT")
    sent = 0
    for run in runs_in(folders):
        if count := send_reports(run, trackers):
            print(f"{run}: {count} reports for {', '.join(trackers)}")
        else:
            print(f"{run}: no report, nothing sent")
        sent += count
    if not sent:
        raise InputError("no run there holds a report yet: there is nothing to send")
