"""Checks the installation: what works and what is missing."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import queue
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from safefeedback.imports import install_command
from safefeedback.parallel import cores
from safefeedback.simulators import SIMULATORS

# what each check does, in another process, so that a crash is a result and not the end
_READ = "import h5py, numpy, pyarrow.parquet"
_LOAD = "import datasets"
_SIMULATE = """
from safefeedback.simulators import make
from safefeedback.tasks import tasks
env = make(tasks()["{task}"])
env.reset(seed=0)
assert "cost" in env.step(env.action_space.sample())[-1]
env.close()
"""
_DRAW = "from safefeedback.plots.style import new_figure, save; import io; save(new_figure(1, 1), io.BytesIO())"
_ANNOTATE = "import safefeedback.annotate.app, safefeedback.annotate.serve"
_COLLECT = "import stable_baselines3"
_TRAIN = "import torch, safetensors; assert float(torch.ones(2) @ torch.ones(2)) == 2"


@dataclass(frozen=True)
class Check:
    """A check of one capability: its packages, and code that uses them; `extra` installs them ("" for the core).

    With `alone` it runs in its own process, as simulators may crash it; the other checks share one process.
    """

    name: str
    packages: tuple[str, ...]
    code: str
    extra: str = ""
    alone: bool = False


def _simulator_check(domain: str, module: ModuleType) -> Check:
    code = _SIMULATE.format(task=module.TRIAL_TASK)
    return Check(f"simulate {domain}", module.DISTRIBUTIONS, code, module.EXTRA, alone=True)


CHECKS = (
    Check(
        "build and read datasets",
        ("numpy", "h5py", "pyarrow", "huggingface-hub", "typer", "rich"),
        _READ,
    ),
    Check("datasets.load_dataset", ("datasets",), _LOAD),
    *(_simulator_check(domain, import_module(name)) for domain, name in SIMULATORS.items()),
    Check("collect by training", ("stable-baselines3", "torch"), _COLLECT, "collect"),
    Check("train", ("torch", "safetensors"), _TRAIN, "train"),
    Check("plots", ("matplotlib",), _DRAW, "plots"),
    Check("annotate", ("starlette", "uvicorn"), _ANNOTATE, "annotate"),
)


# runs code snippets one after another, and prints a line of JSON after each: its error, or null
_RUN = """
import json, os, sys, traceback
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for code in json.loads(sys.argv[1]):
    wrong = None
    try:
        exec(code, {"__name__": "check"})
    except BaseException as error:
        wrong = traceback.format_exception_only(type(error), error)[-1].strip()
    print(json.dumps(wrong), file=answers, flush=True)
"""


def examine(checks: Sequence[Check]) -> Iterator[dict[str, str]]:
    """The state of each capability, in order: "works", "missing" or "broken", with versions or what to do."""
    installed = {check: _installed(check) for check in checks}
    wrong = _run([check.code for check in checks if installed[check][0]])
    for check, (there, detail) in installed.items():
        if not there:
            yield {"name": check.name, "state": "missing", "detail": detail}
        elif (error := next(wrong)) is None:
            yield {"name": check.name, "state": "works", "detail": detail}
        else:
            yield {"name": check.name, "state": "broken", "detail": f"{error} ({detail})"}


def _installed(check: Check) -> tuple[bool, str]:
    """Whether its packages are there; their versions, or else what is missing and how to install it."""
    versions, missing = [], []
    for package in check.packages:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        return False, f"{', '.join(missing)}: {install_command(check.extra) if check.extra else 'install safefeedback again'}"
    return True, ", ".join(versions)


def _run(codes: list[str]) -> Iterator[str | None]:
    """The error of each code, or None; all run in one process, and the remaining ones in a new process if it dies."""
    while codes:
        with tempfile.TemporaryFile() as printed:
            words = [sys.executable, "-c", _RUN, json.dumps(codes)]
            with subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=printed, stdin=subprocess.DEVNULL, text=True
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    codes = codes[1:]
                    yield json.loads(line)
            if codes:
                printed.seek(0)
                lines = printed.read().decode(errors="replace").strip().splitlines()
                codes = codes[1:]
                yield lines[-1] if lines else f"ended with code {process.returncode}"


def doctor(on_done: Callable[[int, int], None] = lambda done, total: None) -> list[dict[str, str]]:
    """The state of Python and of every capability, checked in parallel; `on_done` is called with (done, total)."""
    python = {"name": "Python", "state": "works", "detail": f"{platform.python_version()} on {platform.system()}"}
    groups = [[check for check in CHECKS if not check.alone], *([check] for check in CHECKS if check.alone)]
    rows: queue.SimpleQueue[dict[str, str] | Exception] = queue.SimpleQueue()
    on_done(0, len(CHECKS))

    def run_checks(checks: list[Check]) -> None:
        try:
            for row in examine(checks):
                rows.put(row)
        except Exception as error:  # whatever it is, the main thread must receive it
            rows.put(error)

    results: dict[str, dict[str, str]] = {}
    with ThreadPoolExecutor(cores()) as threads:
        for checks in groups:
            threads.submit(run_checks, checks)
        while len(results) < len(CHECKS):
            if isinstance(row := rows.get(), Exception):
                raise row
            results[row["name"]] = row
            on_done(len(results), len(CHECKS))
    return [python, *(results[check.name] for check in CHECKS)]
