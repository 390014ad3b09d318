"""One progress bar for what comes down from the Hub, in place of the client's own, which leave lines behind."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from safefeedback.terminal import Progress


@contextmanager
def receiving(title: str) -> Iterator[Any]:
    """Shows how many bytes have come down, once there are any to come.

    Yields:
        the class for the client's `tqdm_class`; its bars count, and draw nothing themselves.
    """
    from tqdm import tqdm

    with Progress(title, unit="B") as progress:
        most = 0  # the client counts some downloads twice: as they arrive, and as they are put together
        lock = threading.Lock()

        class Counter(tqdm):
            monitor_interval = 0  # no thread that watches it

            def __init__(self, *words: Any, **named: Any) -> None:
                named.pop("name", None)
                named |= {"file": io.StringIO(), "disable": False}
                super().__init__(*words, **named)

            def display(self, *words: Any, **named: Any) -> bool:
                nonlocal most
                if self.unit == "B" and self.total:
                    with lock:
                        most = max(most, int(self.n))
                        progress(most, max(most, int(self.total)))
                return True

        yield Counter
