"""presa from Python: the same numbers as on the command line, and tables that hold what the files hold."""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from feedback_cases import presa as command
from feedback_cases import write_dataset
from test_comparison import make_run

import presa
from safefeedback import InputError, find_task
from safefeedback.simulators import can_simulate

SETTINGS = {"hidden": (8, 8), "batch_size": 8}
SAME = {"settings": SETTINGS, "steps": 40, "bc_steps": 10, "report_every": 10, "device": "cpu"}
WORDS = [
    "--steps",
    40,
    "--bc-steps",
    10,
    "--set",
    "hidden=8,8",
    "--set",
    "batch_size=8",
    "--report-every",
    10,
    "--device",
    "cpu",
]


@pytest.fixture
def folder(tmp_path: Path, ball_file: Path) -> Path:
    return write_dataset(tmp_path / "data", ball_file)


def test_a_training_is_the_commands(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = presa.train(folder, **SAME, out=tmp_path / "python", quiet=True)
    assert capsys.readouterr().out == "" and run["steps"] == 40 and run["metrics"]["step"] == 40
    assert command("train", folder, *WORDS, "--out", "command", cwd=tmp_path).returncode == 0
    policies = [(tmp_path / name / "policy.safetensors").read_bytes() for name in ("python", "command")]
    assert policies[0] == policies[1]
    assert presa.train(folder, **SAME, out=tmp_path / "python", quiet=True)["already_finished"]
    assert presa.load(run["folder"]).act(np.zeros((3, 8), np.float32)).shape == (3, 2)


def test_many_runs_are_a_list_and_reports_are_printed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = presa.train(folder, "safety", **SAME, seeds=2, cost_limits=[20], out=tmp_path / "many")
    assert [Path(run["folder"]).name for run in runs] == ["limit20-seed0", "limit20-seed1"]
    assert "limit20-seed1  main" in capsys.readouterr().out
    table = presa.records(tmp_path / "many")
    assert table.column_names[:5] == ["run", "algorithm", "task", "cost_limit", "seed"]
    lines = [json.loads(line) for line in (tmp_path / "many" / "limit20-seed1" / "metrics.jsonl").read_text().splitlines()]
    mine = [row for row in table.to_pylist() if row["seed"] == 1]
    assert [(row["step"], row["loss"]) for row in mine] == [(line["step"], line["loss"]) for line in lines]
    (first, second) = presa.records([tmp_path / "many"], "runs").to_pylist()
    assert first["state"] == second["state"] == "finished" and first["normalized_cost"] is None


def test_what_a_training_refuses(folder: Path, tmp_path: Path) -> None:
    for words, message in (
        ({"seed": -1}, "--seed must be"),
        ({"seeds": 0}, "--seeds must be"),
        ({"cost_limits": []}, "--cost-limits takes different numbers"),
        ({"cost_limits": [10, 10]}, "not '10,10'"),
        ({"settings": {"stepz": 1}}, "did you mean steps"),
        ({"trajectories": "x.hdf5"}, "learns from pairs alone"),
    ):
        with pytest.raises(InputError, match=message):
            presa.train(folder, **words, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Still:
    def reset(self, n: int) -> None:
        pass

    def act(self, observations: np.ndarray) -> np.ndarray:
        return np.full((len(observations), 2), 0.5, np.float32)


def test_a_policy_object_plays_as_the_same_policy_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if (reason := can_simulate(find_task("BallRun"))) is not None:
        pytest.skip(reason)
    (tmp_path / "still.py").write_text("import numpy as np\n\n\n" + inspect.getsource(Still))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    here = presa.evaluate(Still(), "BallRun", episodes=2, seed=3, quiet=True)
    there = presa.evaluate("still:Still", "BallRun", episodes=2, seed=3, processes=1, quiet=True)
    assert here["summary"]["algorithm"] == "Still" and there["summary"]["algorithm"] == "still:Still"
    assert [row["return"] for row in here["rows"]] == [row["return"] for row in there["rows"]]
    with pytest.raises(InputError, match="no reset and no act"):
        presa.evaluate(object(), "BallRun", episodes=1, quiet=True)
    with pytest.raises(InputError, match="needs --task"):
        presa.evaluate(Still(), quiet=True)


def test_episodes_as_a_table(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a", "presa", 0, [0.0, 1.0])
    make_run(tmp_path / "runs" / "b", "safety", 1, None)
    rows = presa.records(tmp_path / "runs", "episodes").to_pylist()
    assert [(row["run"], row["algorithm"], row["normalized_cost"]) for row in rows] == [
        (str(tmp_path / "runs" / "a"), "presa", 0.0),
        (str(tmp_path / "runs" / "a"), "presa", 1.0),
    ]
    assert presa.records(tmp_path / "runs" / "b", "episodes").num_rows == 0
    with pytest.raises(InputError, match="what must be metrics, episodes, runs"):
        presa.records(tmp_path / "runs", "everything")
    with pytest.raises(InputError, match="holds no run"):
        presa.records(tmp_path / "none")


def test_the_public_names() -> None:
    assert presa.__all__ == ["__version__", "evaluate", "load", "records", "train"] == dir(presa)
    import_module("presa.fitting.fit")  # the loop variable has another name, so that it does not replace the function
    assert callable(presa.train)


def test_every_option_is_an_argument() -> None:
    """Of `presa train` and `presa evaluate`; pictures are drawn by the commands alone."""
    from presa.cli import app

    def arguments(function: object) -> set[str]:
        return set(inspect.signature(function).parameters)  # type: ignore[arg-type]

    assert arguments(presa.train) == arguments(app.train) - {"set_", "as_json"} | {"settings", "quiet"}
    drawn = {"video", "video_episodes"}
    assert arguments(presa.evaluate) == arguments(app.evaluate) - {"run", "as_json", *drawn} | {"quiet"}
