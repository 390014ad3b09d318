"""Processor time of a training step in each precision, beside a plain loop's, CPL's own code's and its matrix products alone.

    python tests/benchmarks/steps.py [--repeats N] [--cpl PATH]

One thread, PreSa's own stage as in train.py, whose plain loop stands for research code. PATH is a checkout of
https://github.com/jhejna/cpl; without it that comparison is left out.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import train
from cpl import cpl_steps
from measuring import in_turn, ratio, told

from presa.networks.backprop import require_precision
from safefeedback.errors import InputError


def products(kind: torch.dtype) -> Callable[[], None]:
    """The matrix products of a step and nothing else: three forwards, two of weights and one of states backwards by layer."""
    rows, widths = train.BATCH * 2 * train.LENGTH, (train.OBSERVATIONS, 256, 256, train.ACTIONS)
    layers = [torch.randn(rows, width).to(kind) for width in widths]
    weights = [torch.randn(one, two).to(kind) for one, two in itertools.pairwise(widths)]

    def multiply() -> None:
        for below, above, weight in zip(layers, layers[1:], weights, strict=False):
            torch.mm(below, weight)
            torch.mm(above.T, below)
        for above, weight in zip(layers[2:], weights[1:], strict=True):
            torch.mm(above, weight.T)

    return multiply


def peers(arrays: dict, steps: int, cpl: Path | None) -> tuple[dict[str, Iterator[None]], list[str]]:
    """The loops to compare with, past their first steps, and lines about those that are skipped."""
    found = {"a plain loop's": train.Plain(arrays).steps(steps)}
    if cpl is None:
        return found, ["CPL's own code: skipped, --cpl was not given the path of a checkout"]
    try:
        loop = cpl_steps(cpl, arrays, train.BATCH, train.DROPOUT, steps)
        next(loop)
    except ImportError as error:
        return found, [f"CPL's own code: skipped, {error}"]
    return {**found, "CPL's own code's": loop}, []


AIMS = {("fp32", "a plain loop's"): 1.4, ("bf16", "CPL's own code's"): 5.5}


def ratios(repeats: int, cpl: Path | None = None, steps: int = 10) -> list[str]:
    """Lines that set a step of each precision beside other loops and beside its matrix products, by processor time."""
    torch.set_num_threads(1)
    arrays = train.arrays_of(500)
    others, lines = peers(arrays, steps, cpl)
    for precision, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        try:
            require_precision(precision, "cpu")
        except InputError as error:
            lines.append(f"{precision}: skipped, {error}")
            continue
        algorithm, (examples,), (begun,) = train.begin(arrays, steps * (repeats + 1), 1, precision)
        ours, multiply = train.fit(algorithm, examples, begun, 0, "main", steps), products(kind)
        turns = (
            lambda ours=ours: next(ours),
            lambda multiply=multiply: [multiply() for _ in range(steps)],
            *(lambda other=other: next(other) for other in others.values()),
        )
        for turn in turns:
            turn()  # not counted
        own, least, *rest = in_turn(repeats, *(lambda turn=turn: processor_seconds(turn) for turn in turns))
        for name, other in zip(others, rest, strict=True):
            what = f"{precision} step, {name} time against it"
            each = f"{1e3 * statistics.median(own) / steps:.1f} ms and {1e3 * statistics.median(other) / steps:.1f}"
            each += f"; if there were only the products, {ratio(other, least):.2f}"
            aim = AIMS.get((precision, name))
            value = ratio(other, own)
            lines.append(told(what, value, aim, least=True, how=each) if aim else f"{what:<60}{value:6.2f}  ({each})")
        lines.append(told(f"{precision} step against its matrix products", ratio(own, least), 2.0))
    return lines


def processor_seconds(do: Callable[[], object]) -> float:
    started = time.process_time()
    do()
    return time.process_time() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cpl", type=Path, help="a checkout of CPL's repository")
    options = parser.parse_args()
    print(*ratios(options.repeats, options.cpl), sep="\n")
