"""Ctrl-C and SIGTERM during a training: they take effect between two steps, so that a checkpoint can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Paused(Exception):
    """The training was interrupted, and its state is saved."""


@contextmanager
def deferred_signals() -> Iterator[Callable[[], bool]]:
    """Yields a function that returns whether a signal arrived; the signal takes effect after the block, a second one at once.

    A signal that was ignored before stays so. Outside the main thread, where signals cannot be caught, nothing is noted.
    """
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def note(number: int, _: Any) -> None:
        came.append(number)
        if len(came) > 1:
            restore()
            signal.raise_signal(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        yield lambda: bool(came)
    except Paused:
        pass
    finally:
        restore()
    if came:
        signal.raise_signal(came[0])
