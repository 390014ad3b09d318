"""Runs the programs: in this process, which costs no start-up time, or each in its own process."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

AT_IMPORT = ("HF_", "FORCE_COLOR", "PYTHON", "OMP_", "ARROW_")  # read by libraries only once, when they are imported
UNSHOWN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # by Python, unless it is asked to


def run_cli(
    *words: object, cwd: Path, env: dict[str, str] | None = None, program: str = "safefeedback", fresh: bool = False
) -> subprocess.CompletedProcess[str]:
    """Runs a command and returns its exit code and output.

    Args:
        words: of the command.
        cwd: where it runs.
        env: environment variables in addition to this process's.
        program: "safefeedback" or "presa".
        fresh: whether it runs in its own process; commands do so anyway if `env` holds variables that are read at import.
    """
    given = [str(word) for word in words]
    if fresh or any(name.startswith(AT_IMPORT) for name in env or {}):
        return subprocess.run(
            [sys.executable, "-m", program, *given],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
    return _run_here(given, cwd, env or {}, program)


def run_and_interrupt(
    *words: object, cwd: Path, env: dict[str, str] | None = None, program: str = "safefeedback"
) -> subprocess.CompletedProcess[str]:
    """Runs one of our programs until it says that Ctrl-C stops it, and then sends Ctrl-C."""
    command = [sys.executable, "-m", program, *map(str, words)]
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=cwd, env={**os.environ, **(env or {})}, **streams) as process:
        said = ""
        while "Ctrl-C" not in said and (line := process.stdout.readline()):  # type: ignore[union-attr]
            said += line
        process.send_signal(signal.SIGINT)
        out, error = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, said + out, error)


def _run_here(words: list[str], cwd: Path, env: dict[str, str], program: str) -> subprocess.CompletedProcess[str]:
    """Calls the program's `main`; undoes its changes to this process."""
    main = import_module(f"{program}.cli").main
    out, err = io.StringIO(), io.StringIO()
    folder, environment, path, known = Path.cwd(), dict(os.environ), list(sys.path), set(sys.modules)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    code: object = 0
    try:
        os.chdir(cwd)
        os.environ.update(env)
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("default")
            for kind in UNSHOWN:
                warnings.simplefilter("ignore", kind)
            try:
                main(words)
            except SystemExit as ended:
                code = ended.code
            except Exception:
                traceback.print_exc(file=err)
                code = 1
    finally:
        os.chdir(folder)
        sys.path[:] = path
        for name, module in list(sys.modules.items()):  # for a user's own policy or task there
            if name not in known and Path(getattr(module, "__file__", None) or "/").parent == Path(cwd).resolve():
                del sys.modules[name]
        os.environ.clear()
        os.environ.update(environment)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if isinstance(code, str):
        print(code, file=err)
    return subprocess.CompletedProcess(
        [program, *words], code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue()
    )


def run_on_terminal(*words: object, cwd: Path, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Runs `python -m` with these words on a terminal, in its own process; returns the exit code and all output."""
    master, slave = pty.openpty()
    everything = {**os.environ, **(env or {}), "TERM": "xterm"}
    command = [sys.executable, "-m", *map(str, words)]
    process = subprocess.Popen(command, cwd=cwd, env=everything, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    written = b""
    while True:
        try:
            block = os.read(master, 65536)
        except OSError:
            break
        if not block:
            break
        written += block
    os.close(master)
    return process.wait(), written.decode()
