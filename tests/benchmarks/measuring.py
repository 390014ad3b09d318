"""What the benchmarks share: processor time of whole processes, and medians of ratios.

Processor time (user and system, of a process and its children) does not grow because others use the machine, though it does a
little where they share a core; so what is compared takes turns, and the ratio is taken turn by turn.

Processes find modules compiled, as in an installation: compiled files go to a folder that lives as long as this process. Where
PYTHONDONTWRITEBYTECODE is set every start would compile all it imports, which takes longer than anything else it does.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
COMPILED = tempfile.TemporaryDirectory()


def environment(**more: str) -> dict[str, str]:
    """Environment variables of a process that is measured."""
    given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**given, **ONE_THREAD, "PYTHONPYCACHEPREFIX": COMPILED.name, **more}


def run(words: Sequence[str]) -> tuple[float, float]:
    """Processor seconds and peak memory (MB) of `python WORDS`, on one thread."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *words], stdout=quiet, stderr=quiet, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, words
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def in_turn(repeats: int, *things: Callable[[], float]) -> list[list[float]]:
    """What each function returns, called in turn, `repeats` times."""
    rows = [[thing() for thing in things] for _ in range(repeats)]
    return [list(column) for column in zip(*rows, strict=True)]


def ratio(ours: Sequence[float], others: Sequence[float]) -> float:
    """The median of the ratios turn by turn."""
    return statistics.median(one / other for one, other in zip(ours, others, strict=True))


def told(what: str, value: float, aim: float, least: bool = False, how: str = "") -> str:
    """A line: a ratio beside its aim, a lower bound (`least`) or an upper bound."""
    met = value >= aim if least else value <= aim
    wanted = f"{'at least' if least else 'at most'} {aim:g}{'' if met else ', MISSED'}"
    return f"{what:<60}{value:6.2f}  {wanted}{how and f'  ({how})'}"
