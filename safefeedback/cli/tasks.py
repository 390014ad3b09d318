"""The command `safefeedback tasks`; app.py registers it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from safefeedback.errors import InputError
from safefeedback.simulators import SIMULATORS
from safefeedback.terminal import Json


def tasks(
    domain: Annotated[str | None, typer.Option(help=f"Only the tasks of one domain: {', '.join(SIMULATORS)}.")] = None,
    as_json: Json = False,
) -> None:
    """List the 38 tasks of DSRL: dims, limits, the highest possible score, where their data are, whether they run here."""
    from safefeedback.cli.output import print_record, print_table
    from safefeedback.simulators import can_simulate
    from safefeedback.simulators.ceilings import ceiling
    from safefeedback.sources import recordings_file
    from safefeedback.sources.dsrl import cached
    from safefeedback.tasks import tasks as registry

    domains = {name.lower(): name for name in SIMULATORS}
    if domain is not None and domain.lower() not in domains:
        raise InputError(f"there is no domain '{domain}': choose from {', '.join(SIMULATORS)}")
    chosen = [task for task in registry().values() if domain is None or task.domain == domains[domain.lower()]]
    rows = [
        {
            **task.to_dict(),
            "url": task.url,
            "cached": cached(task) is not None,
            "recordings": recordings_file(task) is not None,
            "simulated_here": can_simulate(task) is None,
            "ceiling": ceiling(task),
        }
        for task in chosen
    ]
    if as_json:
        print(json.dumps(rows))
        return
    for name in dict.fromkeys(row["domain"] for row in rows):
        print_table(
            (name, "obs", "act", "steps", "limits", "returns", "most", "data", "runs"),
            [_task_row(row) for row in rows if row["domain"] == name],
        )
        print()
    print_record(
        "columns",
        [
            ("obs, act", "dims of an observation and of an action"),
            ("steps", "of an episode"),
            ("limits", "of an episode's cost, as DSRL's benchmark has them"),
            ("returns", "that a normalised reward of 0 and of 1 stands for"),
            ("most", "normalised reward that any policy can reach, about; -: no bound is known"),
            ("data", "cached: DSRL's file; shipped: small recordings of our own; -: downloaded when needed"),
            ("runs", "whether its simulator is installed here"),
        ],
    )


def _task_row(row: dict[str, Any]) -> tuple[str, ...]:
    low, high = (f"{value:.1f}" if value < 1000 else f"{value:.0f}" for value in row["reference_returns"])
    return (
        row["name"],
        *(str(row[key]) for key in ("observation_dim", "action_dim", "horizon")),
        "/".join(f"{limit:g}" for limit in row["cost_limits"]),
        f"{low} to {high}",
        "-" if row["ceiling"] is None else f"{row['ceiling']:.2f}",
        "cached" if row["cached"] else "shipped" if row["recordings"] else "-",
        "yes" if row["simulated_here"] else "-",
    )
