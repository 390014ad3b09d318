"""Every ratio that this project aims at, beside its aim, in some minutes (a script, no test).

    python tests/benchmarks/all.py [--repeats N] [--cpl PATH]

PATH is a checkout of https://github.com/jhejna/cpl, whose own loop is then run beside ours.
Each ratio is a median over turns within one run, of processor time on one thread. The other scripts of this folder measure one
thing each, at more length.
"""

from __future__ import annotations

import argparse
import os
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import tempfile  # noqa: E402
from importlib.util import find_spec  # noqa: E402
from pathlib import Path  # noqa: E402

import build  # noqa: E402
import commands  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cpl", type=Path, help="a checkout of CPL's repository")
    options, began = parser.parse_args(), time.monotonic()
    repeats = options.repeats
    print("load of the machine:", *(f"{load:.1f}" for load in os.getloadavg()))
    print("\nStarting a command", *commands.ratios(repeats), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        print("\nDatasets", *build.ratios(Path(folder), repeats), sep="\n", flush=True)
    if find_spec("torch") is None:
        print("\ntraining and evaluation: skipped, torch is not installed")
    else:
        import evaluate
        import steps

        print("\nEvaluating and recording", *evaluate.ratios(list(evaluate.TASKS), repeats), sep="\n", flush=True)
        print("\nTraining", *steps.ratios(repeats, options.cpl), sep="\n", flush=True)
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
