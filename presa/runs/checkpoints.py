"""Checkpoints of a run: everything that its current stage needs to continue to the same result."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from presa.fitting.fit import Snapshot
from presa.runs.records import last_checkpoint, read_metrics, write_metrics
from presa.tensors import load_tensors, save_tensors


def save_checkpoint(folder: Path, stage: str, offset: int, snapshot: Snapshot) -> None:
    """Saves the state of a stage; `offset` is the number of steps of the stages before it."""
    tensors = {f"parameters/{name}": value for name, value in snapshot.parameters.items()}
    tensors |= {f"moments/{name}": value for name, value in snapshot.moments.items()}
    tensors |= {f"state/{name}": value for name, value in snapshot.state.items()}
    tensors |= {f"tally/{name}": value for name, value in snapshot.tally.items()}
    path = folder / "checkpoints" / f"step-{offset + snapshot.step:09d}.safetensors"
    save_tensors(path, tensors, {"stage": stage, "step": snapshot.step, "overall_step": offset + snapshot.step})


def resume(folder: Path, stage: str, device: str, earlier: tuple[str, ...] = ()) -> Snapshot | None:
    """The last checkpoint if it belongs to the stage, else None; metrics recorded after it are dropped.

    `earlier` names the stages that are done.
    """
    checkpoint = last_checkpoint(folder)
    tensors, facts = load_tensors(checkpoint, device) if checkpoint else ({}, {"stage": None})
    if facts["stage"] != stage:
        write_metrics(folder, [line for line in read_metrics(folder) if line["stage"] in earlier])
        return None
    kept = [line for line in read_metrics(folder) if line["stage"] != stage or line["step"] <= facts["overall_step"]]
    write_metrics(folder, kept)

    def part(kind: str) -> dict[str, Tensor]:
        return {key.partition("/")[2]: value for key, value in tensors.items() if key.startswith(f"{kind}/")}

    return Snapshot(facts["step"], part("parameters"), part("moments"), part("state"), part("tally"))
