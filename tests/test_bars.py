"""One progress bar for what is sent or fetched, on a terminal and in a notebook, which leaves nothing behind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub
from running import run_on_terminal

from safefeedback.terminal import Progress

CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")
CLIENTS = ("Fetching", "Downloading", "Reconstruct", "0.00B", "B/s]", "it/s", "New Data Upload", "Processing Files")


def on_a_terminal(*words: object, cwd: Path, env: dict[str, str]) -> tuple[int, str, list[str]]:
    """Runs a command on a terminal of 80 columns; returns its exit code, all output, and what the screen shows at the end."""
    code, text = run_on_terminal(*words, cwd=cwd, env={**env, "COLUMNS": "80"})
    return code, text, screen(text)


def screen(text: str) -> list[str]:
    """What a terminal shows after a text; handles the control sequences that rich and tqdm use."""
    lines, row, column = [""], 0, 0
    for part in re.split(r"(\x1b\[[?\d;]*[A-Za-z]|[\r\n])", text):
        if control := CONTROL.fullmatch(part):
            count, what = control.groups()
            if what == "A":
                row = max(0, row - int(count or 1))
            elif what == "K" and count == "2":
                lines[row] = ""
            elif what == "K":
                lines[row] = lines[row][:column]
        elif part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + part + line[column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines if line.strip()]


def test_publish_and_fetch_show_one_bar_and_leave_nothing(hub: Hub, ball_file: Path, tmp_path: Path):
    from running import run_cli

    build = ("build", "--task", "BallCircle", "--pairs", 200, "--length", 16, "--source", ball_file, "--out", "data")
    assert run_cli(*build, cwd=tmp_path).returncode == 0
    code, text, seen = on_a_terminal("safefeedback", "publish", "data", "user/ball", cwd=tmp_path, env=hub.env(tmp_path / "hf"))
    assert code == 0 and "sending to user/ball" in text and not [word for word in CLIENTS if word in text], text
    assert seen[0].endswith("README.md") and seen[-1].startswith("see it at ") and not [line for line in seen if "━" in line]
    for words in (("fetch", "user/ball", "--out", "got"), ("verify", "user/ball")):  # the second finds it in the cache
        code, text, seen = on_a_terminal("safefeedback", *words, cwd=tmp_path, env=hub.env(tmp_path / "hf"))
        assert code == 0 and not [word for word in CLIENTS if word in text], text
        assert not [line for line in seen if "━" in line or "fetching" in line], seen
        if words[0] == "fetch":
            assert "fetching user/ball" in text and re.search(r"[1-9][\d.]*/[\d.]+ .?B", text)
            assert seen[0].startswith("got: BallCircle, 200 pairs")


def test_tasks_show_no_bar(tmp_path: Path):
    code, text, seen = on_a_terminal("safefeedback", "tasks", "--domain", "bulletgym", cwd=tmp_path, env={})
    assert code == 0 and "\x1b[?25l" not in text and "B/s" not in text and seen[0].split()[0] == "BulletGym"


def test_a_large_upload_goes_in_parts(online: list[float], hub: Hub, monkeypatch: pytest.MonkeyPatch):
    """The bar moves after each part."""
    from huggingface_hub import CommitOperationAdd, HfApi

    from safefeedback.publish import push

    told: list[tuple[int, int | None]] = []
    monkeypatch.setattr(Progress, "__call__", lambda self, done, total, doing=None: told.append((done, total)))
    monkeypatch.setattr(push, "PART_BYTES", 10)
    sent: list[int] = []
    monkeypatch.setattr(HfApi, "preupload_lfs_files", lambda self, repo, additions, **named: sent.append(len(additions)))
    release: Any = type("Release", (), {"kind": "dataset"})
    push._upload(release, "user/x", [CommitOperationAdd(f"{i}.parquet", b"x" * size) for i, size in enumerate((6, 6, 30, 1))])
    assert sent == [2, 1, 1] and told == [(0, 43), (12, 43), (42, 43), (43, 43)]


def test_a_bar_within_a_bar_takes_its_place():
    drawn: list[str] = []

    class Bar:
        def __init__(self, name: str) -> None:
            self.name = name

        def start(self) -> None:
            drawn.append(f"+{self.name}")

        def stop(self) -> None:
            drawn.append(f"-{self.name}")

    outer, inner = Progress("outer"), Progress("inner")
    outer.bar, inner.bar = Bar("outer"), Bar("inner")
    with outer:
        with inner:
            pass
        outer.say("")
    assert drawn == ["+outer", "-outer", "+inner", "-inner", "+outer", "-outer", "+outer", "-outer"]
    assert Progress.shown is None
