"""One recipe for several tasks: finished datasets are kept, failures do not stop the rest, shards add up to the whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import run_cli, wait_for

from safefeedback.errors import InputError
from safefeedback.parallel import run_locally, shard
from safefeedback.tasks import find_tasks, tasks

WORDS = ["build", "--pairs", "30", "--length", "32", "--source", "recordings", "--out", "made"]


def test_words_for_many_tasks() -> None:
    assert find_tasks("all") == list(tasks().values())
    assert [len(find_tasks(word)) for word in ("bullet", "SafetyGym", "metadrive")] == [8, 21, 9]
    found = [task.name for task in find_tasks("CarRun, bullet")]
    assert found[0] == "CarRun" and len(found) == 8
    with pytest.raises(InputError, match="did you mean BallRun"):
        find_tasks("CarRun,BallRan")


def test_a_dataset_of_each_task_as_if_built_alone(tmp_path: Path) -> None:
    made = run_cli(*WORDS, "--task", "BallRun,PointButton1,CarRun", "--json", cwd=tmp_path)
    told = json.loads(made.stdout)
    assert made.returncode == 1 and set(told["built"]) == {"BallRun", "CarRun"} and told["kept"] == 0
    assert "no recordings of PointButton1" in told["failures"]["PointButton1"]
    alone = run_cli(*WORDS[:-1], "alone", "--task", "CarRun", "--json", cwd=tmp_path)
    assert json.loads(alone.stdout)["content_sha256"] == told["built"]["CarRun"]["content_sha256"]
    for name in ("README.md", "recipe.json"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "made" / "CarRun" / name).read_bytes()

    changed = (tmp_path / "made" / "CarRun" / "recipe.json").stat().st_mtime_ns
    again = run_cli(*WORDS, "--task", "BallRun,CarRun", cwd=tmp_path)
    assert again.returncode == 0 and "2 of 2 datasets are in made already" in again.stdout
    other = run_cli(*WORDS, "--task", "DroneRun,CarRun", "--noise", "0.1", cwd=tmp_path)
    assert other.returncode == 2 and "CarRun exists already" in other.stderr and not (tmp_path / "made" / "DroneRun").exists()
    assert (tmp_path / "made" / "CarRun" / "recipe.json").stat().st_mtime_ns == changed
    anew = run_cli(*WORDS, "--task", "BallRun,CarRun", "--noise", "0.1", "--overwrite", "--processes", "1", cwd=tmp_path)
    assert anew.returncode == 0 and anew.stdout.endswith("made: 2 built, 0 kept\n")


def test_parts_make_up_the_whole() -> None:
    parts = [shard(range(10), f"{part}/3") for part in (1, 2, 3)]
    assert sorted(number for part in parts for number in part) == list(range(10)) and shard(range(3), None) == [0, 1, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "BallRun", "--shard", "1/2"], "--shard is for several tasks"),
        (["--task", "maze.toml,CarRun"], "a task of your own, such as maze.toml, must be given alone"),
        (["--task", "bullet", "--shard", "3/2"], "--shard takes the part"),
        (["--task", "bullet", "--source", "mine.hdf5"], "--source is for one task's recordings"),
        (["--task", "bullet", "--author", "me"], "--author is for one task's recordings"),
        (["--task", "bullet", "--processes", "0"], "--processes must be at least 1"),
        (["--task", "bullet", "--ray", "127.0.0.1:9", "--processes", "1"], "--processes must be at least 1, and is for"),
    ],
)
def test_bad_words_are_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    answer = run_cli("build", "--pairs", "30", *words, cwd=tmp_path)
    assert answer.returncode == 2 and said in answer.stderr and answer.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_interrupted_one_leaves_nothing_behind_and_goes_on(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "safefeedback", *WORDS, "--task", "bullet", "--processes", "1"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list(tmp_path.glob("made/[!.]*/recipe.json")))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in err
    finished = {path.name for path in (tmp_path / "made").iterdir()}
    assert 1 <= len(finished) < 8 and not any(name.startswith(".") for name in finished)
    again = run_cli(*WORDS, "--task", "bullet", cwd=tmp_path)
    assert again.returncode == 0 and f"{len(finished)} of 8 datasets are in made already" in again.stdout


def test_commands_end_with_the_call() -> None:
    def stop(index: int, ended: tuple[int, str, str]) -> None:
        assert (index, ended) == (1, (3, "", "why\n"))
        raise InterruptedError

    started = time.perf_counter()
    with pytest.raises(InterruptedError):
        run_locally([["sleep", "30"], ["sh", "-c", "echo why >&2; exit 3"], ["sleep", "30"]], 2, stop)
    assert time.perf_counter() - started < 20
    assert not any("sleep\x0030" in Path(f"/proc/{pid}/cmdline").read_text() for pid in _children())


def _children() -> list[str]:
    own = Path(f"/proc/self/task/{os.getpid()}/children")
    return own.read_text().split() if own.is_file() else []
