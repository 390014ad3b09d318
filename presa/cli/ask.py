"""The command `presa ask`; app.py registers it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from safefeedback.errors import InputError
from safefeedback.terminal import Json, Progress


def ask(
    data: Annotated[str, typer.Argument(help="A dataset's folder, or a Hub repository user/name.")],
    labels: Annotated[str, typer.Option(help="The label set with the answers so far; a null is no answer.")],
    pairs: Annotated[int, typer.Option(help="How many pairs to propose, at most.")] = 100,
    out: Annotated[Path, typer.Option(help="The CSV file to write.")] = Path("pairs.csv"),
    members: Annotated[int, typer.Option(help="How many models of each kind are fitted and compared.")] = 5,
    steps: Annotated[int, typer.Option(help="Gradient steps of each model.")] = 600,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    as_json: Json = False,
) -> None:
    """Propose which pairs to ask people about next: those on which models fitted to the answers so far disagree most."""
    from presa.data.pairs import resolve_device
    from presa.proposals import propose, write_csv

    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}")
    with Progress("fitting", quiet=as_json) as progress:
        rows = propose(data, labels, pairs, members, steps, seed, resolve_device(device), progress)
    write_csv(out, rows)
    if as_json:
        print(json.dumps({"file": str(out), "pairs": rows}))
    else:
        first, last = rows[0]["disagreement"], rows[-1]["disagreement"]
        print(f"{out}: {len(rows):,} pairs, disagreement from {first:.3f} down to {last:.3f} nats")
