"""Processor time of a training step in each precision, beside a plain loop's and beside its matrix products alone.

    python tests/benchmarks/steps.py [--repeats N]

One thread, PreSa's own stage as in train.py, whose plain loop stands for research code. The aim of 5.5 was set against CPL's
own code, which is not run here.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import torch
import train
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


def ratios(repeats: int, steps: int = 10) -> list[str]:
    """Lines that set a step of each precision beside the plain loop and beside its matrix products, by processor time."""
    torch.set_num_threads(1)
    arrays, lines = train.arrays_of(500), []
    plain = train.Plain(arrays).steps(steps)
    for precision, kind, quicker in (("fp32", torch.float32, 1.4), ("bf16", torch.bfloat16, 5.5)):
        try:
            require_precision(precision, "cpu")
        except InputError as error:
            lines.append(f"{precision}: skipped, {error}")
            continue
        algorithm, (examples,), (begun,) = train.begin(arrays, steps * (repeats + 1), 1, precision)
        ours, multiply = train.fit(algorithm, examples, begun, 0, "main", steps), products(kind)
        turns = (
            lambda: next(plain),
            lambda ours=ours: next(ours),
            lambda multiply=multiply: [multiply() for _ in range(steps)],
        )
        for turn in turns:
            turn()  # not counted
        other, own, least = in_turn(repeats, *(lambda turn=turn: processor_seconds(turn) for turn in turns))
        each = f"{1e3 * statistics.median(own) / steps:.1f} ms"
        lines.append(
            told(f"{precision} step, a plain loop's time against it", ratio(other, own), quicker, least=True, how=each)
        )
        lines.append(told(f"{precision} step against its matrix products", ratio(own, least), 2.0))
    return lines


def processor_seconds(do: Callable[[], object]) -> float:
    started = time.process_time()
    do()
    return time.process_time() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    print(*ratios(parser.parse_args().repeats), sep="\n")
