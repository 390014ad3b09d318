"""The cells of a study on a Ray cluster whose nodes share the study's folder: the same code, the same rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from presa.study.grid import Cell, OnCell
from safefeedback.errors import InputError

RETRIES = 3  # of a cell whose worker is lost


def run_on_ray(root: Path, cells: Sequence[Cell], address: str, gpus: float, on_cell: OnCell) -> None:
    """Works until every cell is finished.

    Args:
        root: the folder of studies, the same path on every node.
        cells: in the order in which they are to begin.
        address: "auto" for the cluster that this machine is part of, or HOST:PORT, or ray://HOST:PORT.
        gpus: the share of one that each cell takes; 0 computes on processors.
        on_cell: told every cell that is finished, and its result.

    Raises:
        InputError: if Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise InputError("--ray needs Ray: uv sync --extra ray") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"no Ray cluster at '{address}': {str(error).splitlines()[0]}") from None
    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(_do)
    place = str(root.resolve())
    pending = {remote.remote(place, asdict(cell), "cuda" if gpus else "cpu"): cell for cell in cells}
    try:
        while pending:
            ready, _ = ray.wait(list(pending), num_returns=1)
            for one in ready:
                cell = pending.pop(one)
                try:
                    found = ray.get(one)
                except ray.exceptions.RayError as error:
                    found = {"seconds": {}, "failures": {"": f"lost on the cluster: {str(error).splitlines()[0]}"}}
                on_cell(cell, found)
    finally:
        for one in pending:
            ray.cancel(one)
        ray.shutdown()


def _do(root: str, fields: dict[str, Any], device: str) -> dict[str, Any]:
    """One cell, in a process of a node."""
    import os
    import time

    from presa.evaluate import ONE_THREAD
    from presa.study.cells import run_cell
    from presa.study.manifest import cell_from

    os.environ.update(ONE_THREAD, PRESA_CACHE=str(Path(root) / "cache"))
    import torch

    torch.set_num_threads(1)
    cell = cell_from(fields)
    while (found := run_cell(Path(root), cell, device)) is None:  # a process that was given up holds it for a moment
        time.sleep(1)
    return found
