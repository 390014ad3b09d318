"""The messages after Ctrl-C or SIGTERM are true: for an evaluation, for several, and for a study."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
from conftest import run_cli

from presa.runs import evaluation
from safefeedback.simulators import can_simulate
from safefeedback.tasks import find_task

OLD = Path(__file__).parents[1] / "data" / "e5be358"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_evaluation_speaks_of_evaluation(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(OLD / "run", tmp_path / "run")
    before = (tmp_path / "run" / "evaluation.json").read_bytes()
    monkeypatch.setattr(evaluation, "roll_out", lambda *given, **named: signal.raise_signal(number))
    done = run_cli("evaluate", "run", "--episodes", 1, cwd=tmp_path, program="presa")
    assert done.returncode == 130 and done.stderr == "error: interrupted; nothing of this evaluation is kept\n"
    assert (tmp_path / "run" / "evaluation.json").read_bytes() == before


def test_of_several_evaluations_those_that_were_finished_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (reason := can_simulate(find_task("BallRun"))) is not None:
        pytest.skip(reason)
    for name in "ab":
        shutil.copytree(OLD / "run", tmp_path / "runs" / name)
        (tmp_path / "runs" / name / "evaluation.json").unlink()
    real, calls = evaluation.roll_out, []

    def second_is_interrupted(*given: Any, **named: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return real(*given, **named)

    monkeypatch.setattr(evaluation, "roll_out", second_is_interrupted)
    done = run_cli("evaluate", "runs", "--episodes", 1, "--processes", 1, cwd=tmp_path, program="presa")
    assert done.returncode == 130 and done.stderr == "error: interrupted; the evaluations that were finished are kept\n"
    kept = [json.loads(path.read_text())["summary"]["episodes"] for path in tmp_path.glob("runs/*/evaluation.json")]
    assert kept == [1]


def test_an_interrupted_study_says_that_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (reason := can_simulate(find_task("BallRun"))) is not None:
        pytest.skip(reason)
    monkeypatch.setattr("presa.study.prepare.prepare", lambda root, cells, progress: {})
    monkeypatch.setattr("presa.study.workers.run_locally", lambda *given: signal.raise_signal(signal.SIGINT))
    words = ("study", "modules", "--source", "recordings", "--tasks", "BallRun", "--quick", "--out", "study")
    done = run_cli(*words, cwd=tmp_path, program="presa")
    assert done.returncode == 130
    assert done.stderr == "error: interrupted; what is finished is kept, and the same command goes on with the rest\n"
