"""Many runs in one process: each as if alone, interrupted and continued, or failing without harm to the others."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from feedback_cases import TINY, presa, write_dataset  # noqa: E402

from presa.algorithms import configure  # noqa: E402
from presa.algorithms.base import FromReference  # noqa: E402
from presa.cli.output import print_evaluations  # noqa: E402
from presa.data.limits import load_limits  # noqa: E402
from presa.data.pairs import Data, Examples, load_data  # noqa: E402
from presa.fitting.fit import fit_stack  # noqa: E402
from presa.runs import run as runs  # noqa: E402
from presa.runs.evaluation import evaluate_runs, runs_below  # noqa: E402
from presa.runs.records import MonitorSettings, read_metrics  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402
from safefeedback.sources import load  # noqa: E402
from safefeedback.sources.hdf5 import read_unlabelled  # noqa: E402

OFTEN = MonitorSettings(report_every=5, checkpoint_every=10)
NAMES = ["limit20-seed0", "limit20-seed1", "limit70-seed0", "limit70-seed1"]


@pytest.fixture(autouse=True)
def one_thread_and_a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("PRESA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def datas(tmp_path: Path, ball_file: Path) -> list[Data]:
    datas = load_limits(write_dataset(tmp_path / "data", ball_file), (20, 70))
    return [data.with_episodes(load(str(ball_file), data.task)) for data in datas]


def tiny(name: str, **changes: Any) -> Any:
    settings = TINY | {"normalize_observations": True, "rate_after_bc": "flat", "z_ref": "ema"} | changes
    return configure(name, None, {key: v for key, v in settings.items() if key in configure(name).__dataclass_fields__})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


CDT = {"width": 8, "layers": 1, "heads": 2, "context": 3, "steps": 8, "batch_size": 4}


@pytest.mark.parametrize(("name", "changes"), [("presa", {}), ("bc-safe-seg", {}), ("cdt", CDT)])
def test_every_folder_is_what_the_run_alone_leaves(
    name: str, changes: dict, datas: list[Data], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithm = tiny(name, **changes)
    jobs = runs.job_grid(datas, (0, 1), tmp_path / "out")
    assert [job.folder.name for job in jobs] == NAMES
    told: list[str] = []
    summaries = runs.train_all(name, algorithm, jobs, OFTEN, lambda folder, line: told.append(folder.name))
    assert [summary["folder"] for summary in summaries] == [str(job.folder) for job in jobs] and set(told) == set(NAMES)
    if name == "presa":
        assert len(list((tmp_path / "cache" / "cloned").iterdir())) == 2  # a seed each; limits share it
    monkeypatch.setenv("PRESA_CACHE", str(tmp_path / "other"))
    for job in jobs:
        runs.train(name, algorithm, job.data, tmp_path / "alone" / job.folder.name, job.seed, OFTEN)
        ours, alone = contents(job.folder), contents(tmp_path / "alone" / job.folder.name)
        cloned = {file for file in ours.keys() ^ alone.keys() if file.startswith("checkpoints/")}
        assert ours.keys() ^ alone.keys() == cloned  # checkpoints of cloning are in the run that did it
        assert all(ours[file] == alone[file] for file in ours.keys() & alone.keys())
    policies = {(job.folder / "policy.safetensors").read_bytes() for job in jobs}
    assert len(policies) == 4


def test_runs_whose_segments_differ_in_length_are_stacks_of_their_own(
    tmp_path: Path, ball_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "fit_runs", fit_stack)  # as on a GPU
    jobs = [
        runs.Job(load_data(write_dataset(tmp_path / f"data-{length}", ball_file, length=length)), 0, tmp_path / str(length))
        for length in (6, 8)
    ]
    for name in ("bc-safe-seg", "weighted-bc"):  # segments, and as many steps as pairs hold
        algorithm = tiny(name, **({"steps": 30, "model_steps": 3} if name == "weighted-bc" else {}))
        assert not [one for one in runs.train_all(name, algorithm, jobs, OFTEN, overwrite=True) if "failed" in one]


def test_runs_over_the_same_pairs_are_normalised_by_what_each_of_them_knows(
    datas: list[Data], ball_file: Path, tmp_path: Path
) -> None:
    whole = datas[0].with_unlabelled(read_unlabelled(ball_file, datas[0].task))
    assert len(whole.steps) > len(datas[0].steps) and whole.train.observations is datas[0].train.observations
    algorithm = tiny("presa", cloning="steps")
    runs.train_all("presa", algorithm, [runs.Job(datas[0], 0, tmp_path / "shown"), runs.Job(whole, 0, tmp_path / "whole")])
    for name, data in (("shown", datas[0]), ("whole", whole)):
        runs.train("presa", algorithm, data, tmp_path / f"{name}-alone")
        for file in ("reference.safetensors", "policy.safetensors"):
            assert (tmp_path / name / file).read_bytes() == (tmp_path / f"{name}-alone" / file).read_bytes()


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", [("limit20-seed1", 10), ("limit20-seed1", 35), ("limit70-seed0", 40)])
def test_interrupted_runs_continue_to_the_same_result(at: tuple[str, int], datas: list[Data], tmp_path: Path) -> None:
    """Interrupted in cloning, between the reports of two runs, and between their checkpoints."""
    algorithm = tiny("presa")
    runs.train_all("presa", algorithm, runs.job_grid(datas, (0, 1), tmp_path / "whole"), OFTEN)
    for file in (tmp_path / "cache" / "cloned").iterdir():
        file.unlink()

    def stop(folder: Path, line: dict) -> None:
        if (folder.name, line["step"]) == at:
            raise Stop

    jobs = runs.job_grid(datas, (0, 1), tmp_path / "broken")
    with pytest.raises(Stop):
        runs.train_all("presa", algorithm, jobs, OFTEN, stop)
    assert not any((job.folder / "policy.safetensors").exists() for job in jobs)
    began = [summary["resumed_from"] for summary in runs.train_all("presa", algorithm, jobs, OFTEN)]
    assert began == {10: [10, 10, 0, 0], 35: [30] * 4, 40: [40, 40, 40, 30]}[at[1]]
    for job in jobs:
        for file in ("policy.safetensors", "metrics.jsonl"):
            assert (job.folder / file).read_bytes() == (tmp_path / "whole" / job.folder.name / file).read_bytes()
    assert all(summary["already_finished"] for summary in runs.train_all("presa", algorithm, jobs, OFTEN))


@dataclass(frozen=True)
class FailsAtTheHigherLimit(FromReference):
    """Least squares whose loss is NaN from its eighth step on, where most segments are safe."""

    def examples(self, data: Data) -> Examples:
        return Examples(data.train.observations, data.train.actions, {"safe": data.train.safe}, 1)

    def state(self, examples: Examples) -> dict[str, torch.Tensor]:
        return {"share": examples.labels["safe"].mean(), "left": torch.tensor(7.0)}

    def loss(self, log_probability: torch.Tensor, batch: dict, state: dict) -> tuple:
        loss = -log_probability.mean() * torch.where((state["left"] <= 0) & (state["share"] > 0.9), torch.nan, 1.0)
        return loss, {}, state | {"left": state["left"] - 1}


def test_runs_that_fail_say_so_and_leave_the_others_alone(datas: list[Data], tmp_path: Path) -> None:
    assert datas[0].train.safe.mean() < 0.9 < datas[1].train.safe.mean()
    algorithm = FailsAtTheHigherLimit(steps=60, bc_steps=20, batch_size=8, hidden=(8,))
    jobs = runs.job_grid(datas, (0, 1), tmp_path / "out")
    summaries = runs.train_all("fails", algorithm, jobs, OFTEN)
    assert ["failed" in summary for summary in summaries] == [False, False, True, True]
    assert "step 8 of stage main" in summaries[2]["failed"]
    for job, summary in zip(jobs, summaries, strict=True):
        assert (job.folder / "policy.safetensors").is_file() != (job.folder / "failure.json").is_file() == ("failed" in summary)
        assert read_metrics(job.folder)[-1]["step"] == (25 if "failed" in summary else 60)
    runs.train("fails", algorithm, datas[0], tmp_path / "alone", 1, OFTEN)
    assert (tmp_path / "alone" / "policy.safetensors").read_bytes() == (jobs[1].folder / "policy.safetensors").read_bytes()
    before = contents(tmp_path / "out")
    again = runs.train_all("fails", algorithm, jobs, OFTEN)
    assert again[2]["failed"] == summaries[2]["failed"] and contents(tmp_path / "out") == before
    with pytest.raises(InputError, match="step 8 of stage main"):
        runs.train("fails", algorithm, datas[1], jobs[2].folder, 0, OFTEN)
    assert json.loads((jobs[2].folder / "failure.json").read_text())["error"] == summaries[2]["failed"]


def test_cloning_that_fails_fails_every_run_that_needs_it(datas: list[Data], tmp_path: Path) -> None:
    broken = replace(datas[0].train, actions=torch.full_like(datas[0].train.actions, torch.nan))
    summaries = runs.train_all(
        "presa", tiny("presa"), runs.job_grid([replace(data, train=broken) for data in datas], (0,), tmp_path / "out"), OFTEN
    )
    assert all("step 1 of stage bc" in summary["failed"] for summary in summaries)


def test_data_that_do_not_suit_are_refused_before_anything_is_written(datas: list[Data], tmp_path: Path) -> None:
    bad = replace(datas[1], train=replace(datas[1].train, safe=torch.ones_like(datas[1].train.safe)))
    with pytest.raises(InputError, match="no unsafe segment"):
        runs.train_all("presa", tiny("presa"), runs.job_grid([datas[0], bad], (0,), tmp_path / "out"), OFTEN)
    assert not (tmp_path / "out").exists()


def test_cloning_that_cannot_be_kept_is_no_error(datas: list[Data], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = []
    for place in (str(tmp_path / "cache"), "/dev/null/nowhere"):
        monkeypatch.setenv("PRESA_CACHE", place)
        jobs = runs.job_grid(datas, (0,), tmp_path / f"out{len(policies)}")
        runs.train_all("presa", tiny("presa"), jobs, OFTEN)
        policies.append([(job.folder / "policy.safetensors").read_bytes() for job in jobs])
    assert policies[0] == policies[1]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_taken_is_refused_before_any_is_made_or_deleted(
    overwrite: bool, datas: list[Data], tmp_path: Path
) -> None:
    jobs = runs.job_grid(datas, (0,), tmp_path / "out")
    runs.train_all("presa", tiny("presa"), jobs[:1], OFTEN)
    jobs[1].folder.mkdir()
    (jobs[1].folder / "note.txt").write_text("mine")
    before = contents(tmp_path / "out")
    third = runs.Job(datas[0], 1, tmp_path / "out" / "third")
    with pytest.raises(InputError, match="is not a run of presa"):
        runs.train_all("presa", tiny("presa"), [third, *jobs], OFTEN, overwrite=overwrite)
    assert contents(tmp_path / "out") == before and not third.folder.exists()


def test_the_table_of_many_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for seed, limit in ((1, 20.0), (0, 20.0), (0, 5.0)):
        place = tmp_path / f"limit{limit:g}-seed{seed}"
        place.mkdir()
        config = {"format_version": 1, "algorithm": "presa", "configuration": {}, "data": {}, "cost_limit": limit, "seed": seed}
        (place / "config.json").write_text(json.dumps(config | {"task": {"name": "BallRun"}}))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "bert"}')
    assert [place.name for place in runs_below(tmp_path)] == ["limit5-seed0", "limit20-seed0", "limit20-seed1"]
    assert runs_below(tmp_path / "limit5-seed0") == []
    with pytest.raises(InputError, match=r"no run in .* is finished"):
        evaluate_runs(tmp_path, runs_below(tmp_path), 1, 0)
    summaries = {
        "a": {"normalized_return": 0.5, "normalized_cost": 0.25, "safe": True, "length": 100.0, "ended_early": 0.0},
        "b": {"normalized_return": 0.25, "normalized_cost": 1.5, "safe": False, "length": 50.0, "ended_early": 0.0},
        "c": "not finished",
    }
    print_evaluations(summaries)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[2:-1] == [
        "a 0.500 0.250 100.0 0% SAFE",
        "b 0.250 1.500 50.0 0% UNSAFE",
        "c not finished",
        "mean of 2 0.375 0.875 75.0 0% SAFE; 1 are safe",
    ]
    clone = {**summaries["a"], "algorithm": "bc-all", "task": "BallRun"}
    print_evaluations({"x/a": summaries["a"], "x/b": summaries["b"], "y/a": clone, "y/b": clone, "c": clone})
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line.startswith("mean of 2")] == [  # no mean over different methods
        "mean of 2: None, None, x 0.375 0.875 75.0 0% SAFE; 1 are safe",
        "mean of 2: bc-all, BallRun, y 0.500 0.250 100.0 0% SAFE; 2 are safe",
    ]


def test_the_command_line_names_every_failure_and_ends_with_1(tmp_path: Path, ball_file: Path) -> None:
    write_dataset(tmp_path / "data", ball_file)
    (tmp_path / "mine.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_many import *\n"
    )
    words = ["train", "data", "--algorithm", "mine:FailsAtTheHigherLimit", "--steps", 30, "--bc-steps", 10, "--out", "out"]
    words += ["--set", "hidden=8", "--report-every", 10, "--device", "cpu", "--cost-limits", "20,70", "--seeds", 2]
    done = presa(*words, cwd=tmp_path)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 2
    for line, name in zip(done.stderr.splitlines(), ("limit70-seed0", "limit70-seed1"), strict=True):
        assert line.startswith(f"error: out/{name}: the loss was not finite at step 8 of stage main")
    assert "cost limit 70: oracle: true costs, 0 of 90 labels" in done.stdout and "presa evaluate out" in done.stdout
    assert "limit20-seed1  main" in done.stdout
    card = (tmp_path / "out" / "limit70-seed0" / "README.md").read_text()
    assert "Given up: the loss was not finite" in card and "--cost-limits 70" in card
