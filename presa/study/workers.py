"""The cells of a study on this machine: a process for each core, which takes one cell after another until none is left.

Run as `python -m presa.study.workers FOLDER [--device D]`, with the cells as a line of JSON on stdin, which stays open as long
as whoever started it lives. Processes, also on machines that share the folder, coordinate through the locks of the cells alone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from presa.rollouts.processes import ONE_THREAD
from presa.study.grid import Cell, OnCell
from safefeedback.errors import InputError

POLL = 0.2  # seconds between checks for finished cells
DEATHS = 5  # processes that may die one after the other before this call fails


def run_locally(root: Path, cells: Sequence[Cell], processes: int, device: str, on_cell: OnCell) -> None:
    """Works until every cell is finished, by this call's processes or by others.

    Args:
        root: the folder of studies.
        cells: this call's.
        processes: how many at once.
        device: see `presa train`.
        on_cell: called with every cell that is finished meanwhile, and its result.

    Raises:
        InputError: if a process cannot continue, such as on a full disk.
    """
    from presa.study.cells import read_result

    words = [sys.executable, "-m", "presa.study.workers", str(root), "--device", device]
    message = (json.dumps([asdict(cell) for cell in cells]) + "\n").encode()
    environment = {**os.environ, **ONE_THREAD, "PRESA_CACHE": str((root / "cache").resolve())}
    todo = {cell.hash: cell for cell in cells if read_result(root, cell) is None}
    workers: list[subprocess.Popen[bytes]] = []
    deaths = 0  # in a row, without a cell that ended
    try:
        while todo:
            for name, cell in list(todo.items()):
                if (result := read_result(root, cell)) is not None:
                    del todo[name]
                    deaths = 0
                    on_cell(cell, result)
            if any((worker.poll() or 0) > 0 for worker in workers):  # killed ones have negative codes, and are replaced
                raise InputError("a process that worked on the cells failed, for the reason above")
            deaths += sum((worker.returncode or 0) < 0 for worker in workers)
            if deaths > DEATHS * processes:
                raise InputError(f"{deaths} processes for the cells died one after the other: is there enough memory?")
            workers = [worker for worker in workers if worker.returncode is None]
            while len(workers) < min(processes, len(todo)):  # one that died is replaced; the cell's attempts are counted
                workers.append(_start(words, environment, message))
            time.sleep(POLL)
    except BaseException:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        raise
    finally:
        for worker in workers:  # they end by themselves when every cell is finished
            worker.wait()


def _start(words: list[str], environment: dict[str, str], message: bytes) -> subprocess.Popen[bytes]:
    """Starts a process and passes it the cells; its stdin is closed when this process ends for any reason."""
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    worker = subprocess.Popen(words, env=environment, start_new_session=True, **pipes)
    assert worker.stdin is not None
    with suppress(BrokenPipeError):  # it died at once; its exit code gives the reason
        worker.stdin.write(message)
        worker.stdin.flush()
    return worker


def run_cells(root: Path, cells: Sequence[Cell], device: str) -> None:
    """Works until every cell is finished; takes over those whose process died."""
    import torch

    from presa.study.cells import run_cell

    torch.set_num_threads(1)
    left = list(cells)
    while left:
        left = [cell for cell in left if run_cell(root, cell, device) is None]
        time.sleep(POLL if left else 0)


def _end_with_parent() -> None:
    """Ends this process when its parent is gone."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """The main function of a worker process."""
    from presa.study.manifest import cell_from

    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    cells = [cell_from(fields) for fields in json.loads(sys.stdin.readline())]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        run_cells(arguments.root, cells, arguments.device)
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
