"""TensorBoard, Weights & Biases and Trackio, offline: each holds what metrics.jsonl holds, whenever it was sent."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from conftest import wait_for

pytest.importorskip("torch")
from feedback_cases import TINY_WORDS, presa, write_dataset
from test_comparison import make_run

from presa.runs.records import read_metrics
from presa.runs.trackers import TRACKERS, track, tracking

OFFLINE = {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}


@pytest.fixture
def folder(tmp_path: Path, ball_file: Path) -> Path:
    return write_dataset(tmp_path / "data", ball_file)


def events(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads from a run's events."""
    pytest.importorskip("tensorboard", reason="the extra 'train' is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def recorded(run: Path, stage: str, name: str) -> list[tuple[int, float]]:
    lines = [line for line in read_metrics(run) if line["stage"] == stage and line.get(name) is not None]
    return [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in lines]


def test_tensorboard_live_and_later(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra 'train' is not installed")
    done = presa("train", folder, *TINY_WORDS, "--tensorboard", "--json", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    run = tmp_path / "run"
    live = events(run)
    assert live["main/loss"] == recorded(run, "main", "loss") and [step for step, _ in live["main/loss"]] == [40, 60]
    later = presa("track", "run", "--tensorboard", cwd=tmp_path)
    assert later.returncode == 0 and later.stdout == "run: 3 reports for tensorboard\n"
    assert events(run) == live  # nothing is there twice


def test_a_run_that_goes_on_is_whole_and_there_once(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "presa", 0, None)
    with tracking(run, {"tensorboard": ""}) as log:
        log(read_metrics(run)[-1])
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"stage": "main", "step": 150, "preference_loss": 0.5}) + "\n")
    with tracking(run, {"tensorboard": ""}) as log:
        log(read_metrics(run)[-1])
    assert events(run)["main/preference_loss"] == recorded(run, "main", "preference_loss")


def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the extra 'trackers' is not installed")
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    run = make_run(tmp_path / "run", "presa", 0, None)
    assert track(run, {"wandb": "safety"}) == 2
    wait_for(
        lambda: [b"main/preference_loss" in kept.read_bytes() for kept in run.glob("wandb/offline-run-*/*.wandb")] == [True]
    )


def test_trackio_keeps_two_runs_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "kept"))
    pytest.importorskip("trackio", reason="the extra 'trackers' is not installed")
    from trackio import utils

    if Path(utils.TRACKIO_DIR) != tmp_path / "kept":
        pytest.skip("trackio was imported before, with another folder")
    runs = [make_run(tmp_path / name, "presa", 0, None) for name in "ab"]
    with tracking(runs[0], {"trackio": "safety"}) as one, tracking(runs[1], {"trackio": "safety"}) as two:
        for run, log in zip(runs, (one, two), strict=True):
            log(read_metrics(run)[-1])
    rows = sqlite3.connect(tmp_path / "kept" / "safety.db").execute("SELECT run_name, step, metrics FROM metrics").fetchall()
    told = sorted((name, step, json.loads(numbers)["main/preference_loss"]) for name, step, numbers in rows)
    assert told == [("a", 50, 0.02), ("a", 100, 0.01), ("b", 50, 0.02), ("b", 100, 0.01)]


def test_a_tracker_that_fails_ends_no_training(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(run: Path, project: str) -> None:
        raise OSError("no such host")

    monkeypatch.setitem(TRACKERS, "tensorboard", broken)
    pytest.importorskip("tensorboard", reason="the extra 'train' is not installed")
    done = presa("train", folder, *TINY_WORDS, "--tensorboard", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "run" / "policy.safetensors").is_file()
    assert done.stderr.count("warning: tensorboard: no such host") == 1


def test_what_cannot_be_tracked(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "presa", 0, None)
    said = [presa("track", *words, cwd=tmp_path) for words in ([run], [tmp_path / "none", "--trackio", "p"])]
    assert (
        [one.returncode for one in said] == [2, 2] and "name a tracker" in said[0].stderr and "holds no run" in said[1].stderr
    )
    (run / "metrics.jsonl").write_text("")
    empty = presa("track", run, "--tensorboard", cwd=tmp_path)
    assert empty.returncode == 2 and ("holds a report yet" in empty.stderr or "needs tensorboard" in empty.stderr)


def test_runs_without_a_report_do_not_stop_the_others(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra 'train' is not installed")
    for name in ("runs/begun", "runs/trained"):
        make_run(tmp_path / name, "bc-all", 0, None)
    line = {"stage": "main", "step": 1, "loss": 1.0}
    (tmp_path / "runs" / "trained" / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / "runs" / "begun" / "metrics.jsonl").unlink(missing_ok=True)
    done = presa("track", "runs", "--tensorboard", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "runs/begun: no report, nothing sent" in done.stdout and "runs/trained: 1 reports" in done.stdout
