"""Distributes work over the parts of a job array, over processes of this machine, or over a Ray cluster."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, TypeVar

from safefeedback.errors import InputError
from safefeedback.imports import install_command

Item = TypeVar("Item")
RETRIES = 3  # of an item whose worker is lost


def shard(items: Sequence[Item], part: str | None) -> list[Item]:
    """Every N-th item for the part "I/N", "3/64" being the third of 64; all of them for None.

    Raises:
        InputError: unless the text reads so.
    """
    if part is None:
        return list(items)
    index, slash, count = part.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise InputError(f"--shard takes the part and how many there are, such as 3/64, counted from 1; not '{part}'")
    return list(items[int(index) - 1 :: int(count)])


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_locally(
    commands: Sequence[Sequence[str]], processes: int, on_done: Callable[[int, tuple[int, str, str]], None]
) -> None:
    """Runs commands, so many at once; those that run end with this call, however it ends.

    Args:
        commands: words of each.
        processes: how many at once.
        on_done: called with the index of each command that ended, and its code, stdout and stderr.
    """
    running: set[subprocess.Popen[str]] = set()
    stopped = threading.Event()

    def run(words: Sequence[str]) -> tuple[int, str, str]:
        pipe = subprocess.PIPE
        with subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, errors="replace"
        ) as process:
            running.add(process)
            if stopped.is_set():
                process.terminate()
            out, err = process.communicate()
            running.discard(process)
            return process.returncode, out, err

    with ThreadPoolExecutor(processes) as threads:
        indices = {threads.submit(run, words): index for index, words in enumerate(commands)}
        try:
            for future in as_completed(indices):
                on_done(indices[future], future.result())
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            stopped.set()
            for process in list(running):
                process.terminate()
            raise


def _reason(error: Exception) -> str:
    """What Ray says of an error in one line, without colours: of an exception in a worker its own words, which come last."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()
    return lines[-1] if lines and lines[0].startswith("ray::") else next(iter(lines), type(error).__name__)


def run_on_cluster(
    function: Callable[..., Any],
    items: Sequence[tuple[Any, ...]],
    address: str,
    on_done: Callable[[int, Any], None],
    gpus: float = 0.0,
) -> None:
    """Calls a function for every item, each in a process of some node of a Ray cluster.

    Args:
        function: that every node has.
        items: its arguments, in the order in which they are to begin.
        address: "auto" for the cluster that this machine is part of, or HOST:PORT, or ray://HOST:PORT.
        on_done: called with the index of each item that is finished, and what came back; an InputError if it was lost.
        gpus: the share of one that each item takes.

    Raises:
        InputError: if Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise InputError(f"--ray needs Ray: {install_command('ray')}") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"no Ray cluster at '{address}': {str(error).splitlines()[0]}") from None
    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(function)
    pending = {remote.remote(*item): index for index, item in enumerate(items)}
    try:
        while pending:
            ready, _ = ray.wait(list(pending), num_returns=1)
            for reference in ready:
                index = pending.pop(reference)
                try:
                    result = ray.get(reference)
                except ray.exceptions.RayError as error:
                    result = InputError(f"lost on the cluster: {_reason(error)}")
                on_done(index, result)
    finally:
        for reference in pending:
            ray.cancel(reference)
        ray.shutdown()
