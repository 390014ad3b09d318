"""What commands print fits a terminal of 80 columns, and breaks no word: a wide one shows the same words."""

from __future__ import annotations

import shutil
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import click
import pytest
import typer
from running import run_cli

from safefeedback.cli.output import _fit, print_record, print_table
from safefeedback.terminal import Progress

OLD = Path(__file__).parent / "data" / "e5be358"
LINES = str.maketrans(dict.fromkeys("│╭╮╰╯─", " "))


def commands(program: str) -> list[tuple[str, ...]]:
    """The program and every command of it, as words."""
    found: list[tuple[str, ...]] = []

    def walk(command: click.Command, words: tuple[str, ...]) -> None:
        found.append(words)
        for name, one in getattr(command, "commands", {}).items():
            walk(one, (*words, name))

    walk(typer.main.get_command(import_module(f"{program}.cli.app").app), (program,))
    return found


def words(text: str) -> set[str]:
    return set(text.translate(LINES).split())


def check_narrow(program: str, *given: object, cwd: Path) -> str:
    """At 80 columns a command prints no longer line, and the same words as in a wide terminal."""
    narrow, wide = (
        run_cli(*given, cwd=cwd, program=program, env={"COLUMNS": width, "TERM": "dumb"}) for width in ("80", "2000")
    )
    assert narrow.returncode == wide.returncode == 0, narrow.stderr + wide.stderr
    assert not [line for line in narrow.stdout.splitlines() if len(line) > 80]
    assert words(narrow.stdout) == words(wide.stdout) and "…" not in narrow.stdout
    return narrow.stdout


@pytest.mark.parametrize("given", [*commands("safefeedback"), *commands("presa")], ids=" ".join)
def test_help_breaks_no_word(given: tuple[str, ...], tmp_path: Path):
    program, *rest = given
    check_narrow(program, *rest, "--help", cwd=tmp_path)


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a dataset and an evaluated run; doctor starts no process there."""
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.setattr("safefeedback.cli.doctor.subprocess.run", lambda *a, **k: CompletedProcess(a, 0, "", ""))
    return tmp_path / "old"


@pytest.mark.parametrize(
    ("program", "given"),
    [
        ("safefeedback", ("tasks",)),
        ("safefeedback", ("doctor",)),
        ("safefeedback", ("verify", "data")),
        ("safefeedback", ("inspect", "data", "--no-plots")),
        ("safefeedback", ("inspect", "data", "--labels", "people", "--no-plots")),
        ("presa", ("runs", "run")),
        ("presa", ("cache",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_tables_break_no_word(program: str, given: tuple[str, ...], old: Path):
    if program == "presa" and find_spec("torch") is None:
        pytest.skip("the extra 'train' is not installed")
    check_narrow(program, *given, cwd=old)


def test_an_hdf5_file_and_a_build(ball_file: Path, tmp_path: Path):
    check_narrow("safefeedback", "inspect", ball_file.name, "--task", "BallCircle", "--no-plots", cwd=tmp_path)
    build = ("build", "--task", "BallCircle", "--pairs", 20, "--source", ball_file.name, "--out", "data", "--overwrite")
    told = run_cli(*build, cwd=tmp_path, env={"COLUMNS": "80"}).stdout
    assert not [line for line in told.splitlines() if len(line) > 80]
    assert len(next(line for line in told.splitlines() if line.split()[-1].isalnum() and len(line.split()[-1]) == 64)) <= 80


def test_peoples_answers(tmp_path: Path, ball_file: Path):
    pytest.importorskip("starlette")
    from annotating import Server

    run_cli("build", "--task", "BallCircle", "--pairs", 12, "--source", ball_file, "--out", "data", cwd=tmp_path)
    server = Server(tmp_path / "data", quick=True, overlap=2)
    for name in ("ann", "bob-with-a-long-name"):
        server.person(name).answer_all(5)
    server.store.close()
    check_narrow("safefeedback", "annotate", "data", "--name", "lab1", "--results", cwd=tmp_path)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_many_evaluations(narrow: None, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("torch")
    from presa.cli.output import print_evaluations

    idle: dict[str, Any] = {"normalized_return": -0.02, "recorded_normalized_return": 0.5, "normalized_cost": 0.0}
    idle |= {"safe": True, "length": 56.0, "ended_early": 1.0}
    print_evaluations({"limit20-seed0": idle, "limit20-seed1": idle | {"safe": False}, "limit20-seed2": "not finished"})
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert {"SAFE", "UNSAFE", "100%", "25%", "limit20-seed0", "56.0", "return", "finished"} <= words(told)


def test_a_row_too_wide_for_a_table_is_a_block_of_lines(narrow: None, capsys: pytest.CaptureFixture[str]):
    long = "x" * 70
    rows = [(long, "finished", "safe", "[red] brackets are no markup"), ("b", "failed", "", "-")]
    print_table(("run", "state", "", "what"), rows)
    assert capsys.readouterr().out.splitlines() == [
        f"{long}  safe",
        "  state  finished",
        "  what   [red] brackets are no markup",
        "b",
        "  state  failed",
        "  what   -",
    ]


def test_a_long_title_is_no_columns_name(narrow: None, capsys: pytest.CaptureFixture[str]):
    print_table(("/a/long/path", "what"), [("a", "b")])
    assert [line.split() for line in capsys.readouterr().out.splitlines()[:2]] == [["/a/long/path"], ["what"]]


def test_rows_are_lines_in_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(("a", "b"), [("one", "word " * 100), ("two", "-")])
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_widths_by_hand():
    assert _fit([10, 40, 40], [10, 5, 8], 63) == [10, 25, 28]  # 40 to spare: 20 for each that wants more
    assert _fit([10, 8, 90], [10, 5, 8], 50) == [10, 8, 32]  # none gets more than it wants
    assert _fit([10, 8], [10, 8], 100) == [10, 8] and _fit([30, 8], [10, 8], 17) is None


def test_records_and_lines_beside_a_bar_wrap_between_words(narrow: None, capsys: pytest.CaptureFixture[str]):
    print_record("title", [("name", "word " * 30), ("", "more")])
    with Progress("training") as progress:
        progress.say("loss  0.5  " * 12)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80 and lines[0] == "title" and lines[1].startswith("  name  word word")
    assert lines[2].startswith("        word") and sum(line.split().count("0.5") for line in lines) == 12
