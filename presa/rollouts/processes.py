"""Processes that play episodes, and are kept for the next policy: a simulator takes seconds to import."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from safefeedback.errors import InputError
from safefeedback.tasks import Task

# One thread a process: episodes are spread over processes, and sums do not depend on how many threads add them up.
ONE_THREAD = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}


class EpisodeProcess:
    """A process that plays episodes."""

    def __init__(self) -> None:
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "presa.rollouts.play"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.printed,
            env={**os.environ, **ONE_THREAD},
            text=True,
            start_new_session=True,  # Ctrl-C is for this process, which ends them
        )

    def prepare(self, policy: str, task: Task, cost_limit: float | None = None) -> None:
        """Waits until the policy and the simulator are loaded; the simulator already is if the previous task was the same."""
        self._send({"policy": policy, "task": task.to_dict(), "cost_limit": cost_limit})
        self._receive()

    def play(self, seed: int) -> dict[str, Any]:
        """One episode's return, cost and length."""
        self._send({"seed": seed})
        return self._receive()

    def close(self) -> None:
        """Ends the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.printed.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it died; what it printed is reported by _receive

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer = json.loads(line) if line.endswith("\n") else {"error": self._death_notice()}
        if "error" in answer:
            raise InputError(answer["error"])
        return answer

    def _death_notice(self) -> str:
        self.printed.seek(0)
        lines = self.printed.read().decode(errors="replace").strip().splitlines()
        return f"a process that played episodes died: {lines[-1] if lines else 'it printed nothing'}"


_waiting: list[tuple[Any, EpisodeProcess]] = []  # with the working folder and environment in which each was started


@contextmanager
def borrowed(count: int, keep: bool) -> Iterator[list[EpisodeProcess]]:
    """Processes for one evaluation: waiting ones, and new ones; kept afterwards if nothing failed and `keep` allows it.

    A process is used only if its working folder and environment variables are the present ones.
    """
    now = (os.getpid(), os.getcwd(), dict(os.environ))
    while _waiting and (not keep or len(_waiting) > count or _waiting[0][0] != now):
        _waiting.pop(0)[1].close()
    players: list[EpisodeProcess] = []
    try:
        while len(players) < count:
            players.append(_waiting.pop()[1] if _waiting and _waiting[-1][0] == now else EpisodeProcess())
        yield players
    except BaseException:
        keep = False
        raise
    finally:
        for player in players:
            if keep:
                _waiting.append((now, player))
            else:
                player.close()


@atexit.register
def _close_waiting() -> None:
    for (started_by, *_), player in _waiting:
        if started_by == os.getpid():
            player.close()
