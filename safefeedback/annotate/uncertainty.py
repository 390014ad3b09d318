"""The order "uncertain": after a number of answers, `presa ask` ranks the remaining pairs in a separate process."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from safefeedback.annotate.finish import answers_csv
from safefeedback.annotate.standing_answers import StandingAnswers
from safefeedback.annotate.store import Store
from safefeedback.dataset.answers import import_answers
from safefeedback.errors import InputError
from safefeedback.imports import install_command

FEWEST = 20  # answers before the first time
EVERY = 20  # answers between one time and the next
PAIRS = 500  # asked for
SECONDS = 1800  # that it may take
NEEDED = ("torch", "presa.cli.ask")


def missing_packages() -> str | None:
    """Why pairs cannot be asked for, in a line; None if they can."""
    try:
        absent = [name for name in NEEDED if find_spec(name) is None]
    except ModuleNotFoundError:
        absent = [NEEDED[1]]
    if not absent:
        return None
    return (
        f"--order uncertain needs {absent[0].partition('.')[0]} ({install_command('train')}): until then pairs come at random"
    )


@dataclass
class UncertaintyRanker:
    """Asks `presa ask` in the background.

    Attributes:
        folder: of the dataset.
        path: of the answers.
        cost_limit: that the annotators were told.
        on_ranked: called in a background thread with the value of each pair, by pair_id.
        failed: called with the reason, in one line, when that fails.
        options: of `presa ask`, other than its own.
    """

    folder: Path
    path: Path
    cost_limit: float
    on_ranked: Callable[[dict[int, float]], None]
    failed: Callable[[str], None]
    options: tuple[str, ...] = ()
    _asked_at: int = 0
    _running: threading.Thread | None = field(default=None)

    def notice(self, answers: int) -> None:
        """Starts a ranking if there are enough new answers and none is running."""
        busy = self._running is not None and self._running.is_alive()
        if busy or answers < max(FEWEST, self._asked_at + EVERY):
            return
        self._asked_at = answers
        self._running = threading.Thread(target=self._run, daemon=True)
        self._running.start()

    def _run(self) -> None:
        try:
            self.on_ranked(rank_pairs(self.folder, self.path, self.cost_limit, self.options))
        except (InputError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            self.failed(f"presa ask: {str(error).splitlines()[0]}; the order stays as it was")


def rank_pairs(folder: Path, path: Path, cost_limit: float, options: tuple[str, ...] = ()) -> dict[int, float]:
    """The expected information of each of the most uncertain pairs, by pair_id.

    The answers so far become a label set of a folder that shares the dataset's tables and is removed afterwards.

    Raises:
        InputError: if `presa ask` fails, with its last line.
    """
    store = Store.open(path)
    try:
        standing = StandingAnswers.of(store)
    finally:
        store.close()
    rows = [row for row in standing.first().values() if row["person"] not in standing.excluded]
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        data.mkdir()
        for name in ("recipe.json", "README.md"):
            shutil.copyfile(folder / name, data / name)
        for name in ("pairs", "oracle"):
            (data / name).symlink_to((folder / name).resolve(), target_is_directory=True)
        file = Path(place) / "answers.csv"
        file.write_text(answers_csv(rows, standing.names), encoding="utf-8")
        import_answers(data, file, "now", cost_limit=cost_limit)
        out = Path(place) / "pairs.csv"
        words = ["-m", "presa", "ask", str(data), "--labels", "now", "--pairs", str(PAIRS), "--out", str(out), *options]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        run = subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
        if run.returncode:
            raise InputError((run.stderr.strip() or "it failed").splitlines()[-1].removeprefix("error: "))
        with open(out, encoding="utf-8", newline="") as text:
            return {int(row["pair_id"]): float(row["disagreement"]) for row in csv.DictReader(text)}
