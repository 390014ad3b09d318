"""The command `safefeedback verify`; app.py registers it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from safefeedback.terminal import Json


def verify(
    folder: Annotated[str, typer.Argument(help="A dataset's folder, or a Hub repository user/name.")],
    source: Annotated[
        Path | None, typer.Option(help="The recordings it was built from (default: found here by their sha256).")
    ] = None,
    advantages: Annotated[Path | None, typer.Option(help="The file of advantages, for labels by the teacher regret.")] = None,
    as_json: Json = False,
) -> None:
    """Check that a dataset is what it says: with its recordings at hand, every window and label; ends with code 1 if not."""
    from safefeedback.cli.output import print_table
    from safefeedback.hub.places import whole_dataset
    from safefeedback.terminal import Progress
    from safefeedback.verification.verify import verify as check_all

    with Progress("verifying", quiet=as_json) as progress:
        checks = check_all(whole_dataset(folder), source, advantages, progress)
    failed = [check for check in checks if check.problems]
    if as_json:
        rows = [
            {"name": check.name, "ok": not check.problems, "problems": list(check.problems), "note": check.note}
            for check in checks
        ]
        print(json.dumps({"folder": str(folder), "ok": not failed, "checks": rows}))
    else:
        table = []
        for check in checks:
            table.append((check.name, "FAILED" if check.problems else "ok", "\n".join(check.problems) or check.note))
        print_table(("check", "", "detail"), table)
        if failed:
            problems = sum(len(check.problems) for check in failed)
            print(
                f"FAILED: {failed[0].name}: {failed[0].problems[0]}" + (f" (and {problems - 1} more)" if problems > 1 else "")
            )
        else:
            print(f"ok: {folder} is what it says, in all {len(checks)} checks")
    if failed:
        raise typer.Exit(1)
