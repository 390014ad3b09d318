"""The cells of a study on a Ray cluster whose nodes share the study's folder: the same code, the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from presa.study.grid import Cell, OnCell
from safefeedback.errors import InputError
from safefeedback.parallel import run_on_cluster


def run_on_ray(root: Path, cells: Sequence[Cell], address: str, gpus: float, on_cell: OnCell) -> None:
    """Works until every cell is finished.

    Args:
        root: the folder of studies, the same path on every node.
        cells: in the order in which they are to begin.
        address: of the cluster; see `safefeedback.parallel.run_on_cluster`.
        gpus: the share of one that each cell takes; 0 computes on processors.
        on_cell: called with every cell that is finished, and its result.

    Raises:
        InputError: if Ray is not installed, or there is no cluster.
    """

    def on_done(index: int, found: Any) -> None:
        lost = isinstance(found, InputError)
        on_cell(cells[index], {"seconds": {}, "failures": {"": str(found)}} if lost else found)

    items = [(str(root.resolve()), asdict(cell), "cuda" if gpus else "cpu") for cell in cells]
    run_on_cluster(_run_cell, items, address, on_done, gpus)


def _run_cell(root: str, fields: dict[str, Any], device: str) -> dict[str, Any]:
    """One cell, in a process of a node."""
    import os
    import time

    from presa.rollouts.processes import ONE_THREAD
    from presa.study.cells import run_cell
    from presa.study.manifest import cell_from

    os.environ.update(ONE_THREAD, PRESA_CACHE=str(Path(root) / "cache"))
    import torch

    torch.set_num_threads(1)
    cell = cell_from(fields)
    while (result := run_cell(Path(root), cell, device)) is None:  # an abandoned process holds it for a moment
        time.sleep(1)
    return result
