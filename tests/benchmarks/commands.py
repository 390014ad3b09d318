"""Processor time that commands take to start: all that a process takes, less what the same command takes in it once more.

    python tests/benchmarks/commands.py [--repeats N]

On one thread, medians. Of `presa train`, what `import torch` takes is left out as well. `inspect` and `presa train` draw
pictures by matplotlib, whose import is part of the start.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from measuring import environment, run, told

TWICE = """
import contextlib, io, os, sys
from importlib import import_module

def used():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

before = 0.0
for _ in range(2):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        import_module(sys.argv[1] + ".cli").main(sys.argv[2:])
    took, before = used() - before, used()
    print(took, file=sys.__stdout__)
"""
BUILD = ("safefeedback", "build", "--task", "BallCircle", "--source", "recordings", "--pairs", "100")
COMMANDS = (  # what is measured, the command, and the aim in seconds (None: no aim)
    ("safefeedback --help", ("safefeedback", "--help"), None),
    ("safefeedback tasks", ("safefeedback", "tasks"), None),
    ("safefeedback build, 100 pairs", (*BUILD, "--out", "other", "--overwrite"), 1.0),
    ("safefeedback inspect --json", ("safefeedback", "inspect", "data", "--json"), 1.0),
    ("safefeedback inspect --json --no-plots", ("safefeedback", "inspect", "data", "--json", "--no-plots"), 1.0),
    ("safefeedback verify", ("safefeedback", "verify", "data"), 1.0),
    ("safefeedback relabel", ("safefeedback", "relabel", "data", "--cost-limit", "10", "--overwrite"), 1.0),
)
TRAIN = ("presa", "train", "data", "--steps", "1", "--bc-steps", "0", "--overwrite", "--out", "run")


def start(words: tuple[str, ...], folder: Path, repeats: int) -> float:
    """Processor seconds of the first time beyond those of the second."""
    seconds, given = [], environment(PRESA_CACHE=str(folder / "cache"))
    for _ in range(repeats + 1):
        done = subprocess.run(
            [sys.executable, "-c", TWICE, *words], cwd=folder, env=given, capture_output=True, text=True, check=True
        )
        first, again = map(float, done.stdout.split()[-2:])
        seconds.append(first - again)
    return statistics.median(seconds[1:])  # the first compiles modules


def ratios(repeats: int) -> list[str]:
    """A line for each command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", *BUILD, "--out", "data"], cwd=folder, capture_output=True, check=True)
        lines = []
        for what, words, aim in COMMANDS:
            took = start(words, folder, repeats)
            lines.append(told(f"{what}: start, seconds", took, aim) if aim else f"{what + ': start, seconds':<60}{took:6.2f}")
        if find_spec("torch") is None:
            return [*lines, "presa train: skipped, torch is not installed"]
        took, torch = start(TRAIN, folder, repeats), statistics.median(run(["-c", "import torch"])[0] for _ in range(repeats))
        lines.append(
            told("presa train: start without torch's import, seconds", took - torch, 1.5, how=f"import torch {torch:.2f}")
        )
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    print(*ratios(parser.parse_args().repeats), sep="\n")
