"""Studies end to end: grids as data, cells that are done once by any worker, and rows that do not depend on the worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from conftest import run_cli, wait_for

from presa.cli.output import failure_lines
from presa.cli.study import study as run_study
from presa.rollouts.processes import ONE_THREAD
from presa.study.cells import cell_folder, forget_failure, read_result, record_failure, run_cell
from presa.study.grid import QUICK, Scope, study_cells, task_names
from presa.study.manifest import open_root, read_study, write_study
from presa.study.prepare import dataset_folder, label_set_name, prepare
from presa.study.reproduce import cell_command, study_command
from presa.study.rows import SCHEMA, collect
from presa.study.studies import find_study, studies
from presa.study.workers import run_locally
from safefeedback.errors import InputError
from safefeedback.parallel import shard
from safefeedback.simulators import can_simulate
from safefeedback.tasks import find_task

TINY = ["--source", "recordings", "--tasks", "BallRun", "--quick", "--steps", "12", "--bc-steps", "4", "--pairs", "40"]
pytestmark = pytest.mark.skipif(can_simulate(find_task("BallRun")) is not None, reason="BallRun cannot be simulated here")


def paper_scope(*tasks: str) -> Scope:
    return Scope(tasks or task_names("bullet"), "recordings")


def test_every_study_is_the_papers_grid() -> None:
    count = {name: len(study_cells(study, paper_scope())) for name, study in studies().items()}
    assert count == {
        "table1": 7 * 8,
        "baselines": 6 * 8,
        "modules": 3 * 8,
        "lengths": 3 * 8 - 1,  # BallRun's episodes are shorter than 128 steps
        "sizes": 5 * 8,
        "noise": 4 * 4 * 8,
        "filters": 7 * 8,
        "alpha": 4 * 8,
        "beta": 4 * 8,
        "eta": 2 * 4 * 8,
        "delta": 4 * 8,
        "zref": 4 * 8,
        "nu": 5 * 8,
        "rate": 3 * 8,
        "table2": 18 * 8,
        "answers": 16 * 8,
        "errors": 17 * 4 * 8,
        "coverage": 5 * 4 * 8,
    }
    for cell in study_cells(find_study("table1"), paper_scope("BallRun", "PointGoal1")):
        assert cell.seeds == (0, 1, 2) and cell.episodes == 20 and cell.data == {"pairs": 10_000, "length": 64}
        assert cell.cost_limits == ((20.0, 40.0, 80.0) if cell.task == "PointGoal1" else (10.0, 20.0, 40.0))


def test_equal_work_has_one_hash_in_all_studies() -> None:
    def hash_of(study: str, column: str, level: str = "") -> str:
        found = study_cells(find_study(study), paper_scope("BallCircle"))
        return next(cell.hash for cell in found if (cell.column, cell.level) == (column, level))

    same = {hash_of("table1", "PreSa"), hash_of("alpha", "alpha=0.2"), hash_of("eta", "eta=0.1"), hash_of("lengths", "64")}
    same |= {hash_of("sizes", "10000"), hash_of("noise", "PreSa", "0.0"), hash_of("delta", "delta=0.95")}
    assert len(same) == 1
    assert hash_of("eta", "eta=0.1, as printed") not in same and hash_of("noise", "PreSa", "0.1") not in same


def test_a_cell_that_clones_the_steps_of_safe_segments_is_not_an_older_one_that_cloned_segments() -> None:
    steps = next(one for one in study_cells(find_study("table1"), paper_scope("BallRun")) if one.algorithm == "bc-safe-seg")
    given = {"steps": 10_000, "precision": "bf16", "cloning": "segments"}
    assert replace(steps, cost_limits=(20.0,), settings=given).hash == "dcd41860e0d1257d"  # of cards/table1/report.md
    assert steps.hash != "9cb3f7941252b012"  # the same cell when it cloned segments


def test_what_does_not_depend_on_the_limit_is_trained_once() -> None:
    trained = {cell.column: cell.trained_limits for cell in study_cells(find_study("table1"), paper_scope("BallCircle"))}
    assert {name for name, limits in trained.items() if len(limits) == 1} == {"BC-All", "CDT"}
    filtered = study_cells(find_study("filters"), paper_scope("BallCircle"))[0]
    assert filtered.algorithm == "preference" and len(filtered.trained_limits) == 3  # filters look at safety


def test_commands_say_what_is_done() -> None:
    noisy = next(
        cell
        for cell in study_cells(find_study("noise"), paper_scope("BallRun"))
        if (cell.column, cell.level) == ("PreSa", "0.2")
    )
    assert label_set_name(noisy, 20.0) == "limit20-noise20"
    assert cell_command(noisy) == (
        "presa train datasets/BallRun-length64-pairs10000 --algorithm presa --preset paper-bullet --labels limit10-noise20 "
        f"--cost-limits 10,20,40 --seeds 3 --out {noisy.hash} && presa evaluate {noisy.hash} --episodes 20"
    )
    once = next(cell for cell in study_cells(find_study("table1"), paper_scope("BallRun")) if cell.algorithm == "bc-all")
    assert cell_command(once).split(" && ")[1:] == [
        f"presa evaluate {once.hash} --episodes 20 --cost-limit {limit}" for limit in (10, 20, 40)
    ]
    scope = replace(paper_scope("BallRun", "CarRun"), seeds=1, cost_limits=(20.0,), settings={"cdt": {"reward_scale": None}})
    assert study_command(find_study("table1"), scope) == (
        "presa study table1 --source recordings --tasks BallRun,CarRun --seeds 1 --cost-limits 20 --set cdt.reward_scale=none"
    )


def test_settings_of_a_scope_reach_their_algorithms_and_a_column_keeps_its_own() -> None:
    scope = replace(paper_scope("BallRun"), precision="bf16", settings={"cdt": {"steps": "2000", "hidden": "64,64"}})
    found = {cell.column: cell for cell in study_cells(find_study("table1"), scope)}
    assert found["CDT"].settings == {"steps": 2000, "hidden": (64, 64)}  # read as the setting's kind; transformers know no bf16
    assert found["PreSa"].settings == {"precision": "bf16"} and not found["Safe-RLHF (CDT)"].settings
    assert "--set steps=2000 --set hidden=64,64 " in cell_command(found["CDT"])
    same = study_cells(find_study("table1"), replace(scope, settings={"cdt": {"hidden": [64, 64], "steps": 2000}}))
    assert {cell.hash for cell in same} == {cell.hash for cell in found.values()}
    swept = study_cells(find_study("alpha"), replace(scope, settings={"presa": {"alpha": 0.3}}))
    assert [cell.settings.get("alpha", 0.2) for cell in swept] == [0.2, 0.4, 0.6, 0.8]


def test_a_level_changes_the_data_of_every_column() -> None:
    scope = Scope(("BallRun",), "recordings", levels=("all episodes", "without any good one"))
    found = study_cells(find_study("coverage"), scope)
    assert [cell.data.get("coverage") for cell in found] == [None] * 4 + ["without-best:share=1"] * 4
    folders = {dataset_folder(Path(), cell) for cell in found}
    assert folders == {
        Path("datasets/BallRun-length64-pairs10000"),
        Path("datasets/BallRun-coveragewithout-best-share-1-length64-pairs10000"),
    }


def test_a_part_of_a_grid_by_name() -> None:
    study = find_study("errors")
    scope = Scope(("BallRun",), "recordings", columns=("weighted-bc", "no answers"), levels=("near the limit",))
    some = study_cells(study, scope)
    assert [(cell.column, cell.level) for cell in some] == [
        ("weighted-bc", "near the limit"),
        ("no answers", "near the limit"),
    ]
    assert {cell.hash for cell in some} < {cell.hash for cell in study_cells(study, paper_scope("BallRun"))}
    assert "--column weighted-bc --column 'no answers' --level 'near the limit'" in study_command(study, scope)
    with pytest.raises(InputError, match="study errors has no level 'near': it has 'none', "):
        study_cells(study, replace(scope, levels=("near",)))
    with pytest.raises(InputError, match="study table2 has no level 'near the limit': it has no levels"):
        study_cells(find_study("table2"), replace(scope, columns=()))


def test_shards_part_the_cells() -> None:
    every = sorted(study_cells(find_study("table1"), paper_scope()), key=lambda cell: -cell.cost)
    parts = [shard(every, f"{part}/5") for part in range(1, 6)]
    assert sorted(cell.hash for part in parts for cell in part) == sorted(cell.hash for cell in every)
    assert (
        max(map(len, parts)) - min(map(len, parts)) <= 1 and parts[0][0].algorithm == "safe-rlhf-cdt"
    )  # the most expensive first
    for text in ("0/5", "6/5", "3", "a/b", "1/0"):
        with pytest.raises(InputError, match="--shard takes"):
            shard(every, text)


def test_bad_words_are_one_line(tmp_path: Path) -> None:
    answer = run_cli("study", "tabel1", *TINY, cwd=tmp_path, program="presa")
    assert answer.returncode == 2 and "did you mean table1?" in answer.stderr and answer.stderr.count("\n") == 1
    for told, given in (
        ("--source must be dsrl or recordings", {"source": "auto"}),
        ("BallRun", {"tasks": "BallRan"}),
        ("--cost-limits takes", {"cost_limits": "ten"}),
        ("--shard takes", {"part": "4"}),
        ("--steps must be at least 1", {"steps": 0}),
        ("no cell within that", {"name": "sizes", "pairs": 50}),
        ("leave --shard", {"ray": "auto", "part": "1/2"}),
        ("--device foo cannot be used", {"device": "foo"}),
        ("no recordings of PointButton1", {"tasks": "BallRun,PointButton1"}),
        ("--gpus is for a cluster", {"gpus": 0.5}),
        ("--evaluate-every must be at least 0", {"evaluate_every": -1}),
        ("--set takes ALGORITHM.NAME=VALUE with one of bc-all, .*, not 'steps=3'", {"set_": ["steps=3"]}),
        ("--set takes ALGORITHM.NAME=VALUE .* not 'safety.steps=3'", {"set_": ["safety.steps=3"]}),
        ("--set takes cdt.NAME=VALUE, not 'steps'", {"set_": ["cdt.steps"]}),
        ("algorithm cdt has no setting 'step': did you mean", {"set_": ["cdt.step=3"]}),
        ("precision must be fp32 or bf16, not 'fp8'", {"precision": "fp8"}),
        ("name fp32 or bf16 with --ray", {"ray": "auto", "precision": "auto"}),
    ):
        with pytest.raises(InputError, match=told):
            run_study(**{"name": "table1", "source": "recordings", "tasks": "BallRun", "out": tmp_path / told, **given})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())  # nothing half-written


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study `modules` on one task, three cells, done by two processes."""
    root = tmp_path_factory.mktemp("study") / "modules"
    answer = run_cli("study", "modules", *TINY, "--processes", 2, "--out", root, cwd=root.parent, program="presa")
    assert answer.returncode == 0, answer.stderr
    assert "6 rows of 3 of 3 cells" in answer.stdout and "[3/3]" in answer.stdout
    return root


def test_rows_are_the_runs_evaluations(done: Path) -> None:
    _, scope, found = read_study(done, "modules")
    assert scope == Scope(("BallRun",), "recordings", **{**QUICK, "steps": 12, "bc_steps": 4, "pairs": 40, "settings": {}})
    table = pq.read_table(done / "modules.parquet")
    assert table.schema == SCHEMA and table.column("column").to_pylist()[::2] == ["preference only", "safety only", "PreSa"]
    by_cell = {cell.column: cell for cell in found}
    for row in table.to_pylist():
        cell = by_cell[row["column"]]
        run = cell_folder(done, cell) / f"limit{row['cost_limit']:g}-seed{row['seed']}"
        (kept,) = [one for one in json.loads((run / "evaluation.json").read_text())["rows"] if one["episode"] == row["episode"]]
        assert {**kept, "cell": cell.hash, "column": cell.column, "level": ""} == row
        config = json.loads((run / "config.json").read_text())
        assert config["steps"] == 12 and config["configuration"]["bc_steps"] == 4 and config["data"]["pairs"] == 40
        assert config["data"]["source_sha256"] and (run / "policy.safetensors").is_file() and not (run / "checkpoints").exists()


def test_a_finished_cell_is_never_done_again(done: Path) -> None:
    _, _, found = read_study(done, "modules")
    before = {path: path.stat().st_mtime_ns for cell in found for path in cell_folder(done, cell).rglob("*")}
    answer = run_cli("study", "modules", *TINY, "--out", done, cwd=done.parent, program="presa")
    assert answer.returncode == 0 and "3 of 3 cells were finished already" in answer.stdout
    assert before == {path: path.stat().st_mtime_ns for cell in found for path in cell_folder(done, cell).rglob("*")}
    other = run_cli("study", "modules", *TINY, "--source", "dsrl", "--out", done, cwd=done.parent, program="presa")
    assert other.returncode == 2 and "holds studies of source recordings, not dsrl" in other.stderr


def test_a_killed_process_is_replaced_and_the_rows_are_the_same(done: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "presa", "study", "modules", *TINY, "--processes", "1", "--out", "again"]
    parent = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    killed = _kill_when(lambda: list(tmp_path.glob("again/cells/*/limit*/config.json")), parent.pid)
    assert killed and parent.wait(240) == 0
    assert pq.read_table(tmp_path / "again" / "modules.parquet").equals(pq.read_table(done / "modules.parquet"))
    _, _, found = read_study(tmp_path / "again", "modules")
    assert not [cell for cell in found if (cell_folder(tmp_path / "again", cell) / "attempts.txt").exists()]


def _kill_when(there: object, parent: int) -> bool:
    """Kills the worker of a study as soon as a condition holds."""
    for _ in range(6_000):
        if there():  # type: ignore[operator]
            for process in Path("/proc").iterdir():
                if process.name.isdecimal() and _is_worker_of(process, parent):
                    os.kill(int(process.name), signal.SIGKILL)
                    return True
        time.sleep(0.02)
    return False


def _is_worker_of(process: Path, parent: int) -> bool:
    try:
        status, words = (process / "stat").read_text(), (process / "cmdline").read_bytes()
    except OSError:
        return False
    return int(status.rpartition(")")[2].split()[1]) == parent and b"presa.study.workers" in words


def test_workers_do_the_cells_of_their_command_and_end_with_it(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "presa", "study", "modules", *TINY, "--processes", "1", "--out", "one"]
    parent = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    root, cell = tmp_path / "one", study_cells(find_study("modules"), paper_scope("CarRun"))[:1]
    wait_for((root / "datasets.lock").exists)
    write_study(root, find_study("modules"), paper_scope("CarRun"), cell)  # another command in the same folder
    assert parent.wait(240) == 0 and len(list(root.glob("cells/*/result.json"))) == 3
    other = subprocess.Popen([*words[:-1], "two"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: list(tmp_path.glob("two/cells/*/cell.json")))
    (worker,) = [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal() and _is_worker_of(one, other.pid)]
    other.kill()
    other.wait()
    for _ in range(1_000):
        if not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text().split()[2]:
            break
        time.sleep(0.02)
    else:
        os.kill(worker, signal.SIGKILL)
        raise AssertionError("a worker outlived its command")


def test_a_failed_run_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    root, study = tmp_path / "study", find_study("modules")
    open_root(root, "recordings")
    scope = Scope(("BallRun",), "recordings", **{**QUICK, "steps": 6, "bc_steps": 2, "pairs": 20, "cost_limits": (20.0, 1e6)})
    found = study_cells(study, scope)
    assert prepare(root, found, lambda *_: None) == {}
    results = {cell.column: run_cell(root, cell, "cpu") for cell in found}
    assert results["preference only"]["failures"] == {}  # type: ignore[index]
    for name in ("safety only", "PreSa"):  # at a limit of a million no segment is unsafe
        ((run, why),) = results[name]["failures"].items()  # type: ignore[index]
        assert run == "limit1000000-seed0" and "unsafe" in why
    rows = collect(root, found)
    assert sorted(zip(*(rows.column(name).to_pylist() for name in ("column", "cost_limit")), strict=True))[::2] == [
        ("PreSa", 20.0),
        ("preference only", 20.0),
        ("preference only", 1e6),
        ("safety only", 20.0),
    ]
    forget_failure(root, found[0])
    forget_failure(root, found[2])
    assert read_result(root, found[0]) is not None and read_result(root, found[2]) is None  # only the failed one


def test_a_failed_run_is_tried_again_and_one_begun_elsewhere_begins_anew(tmp_path: Path) -> None:
    root = tmp_path / "study"
    open_root(root, "recordings")
    scope = Scope(("BallRun",), "recordings", **{**QUICK, "steps": 6, "bc_steps": 2, "pairs": 20})
    (cell, *_) = study_cells(find_study("modules"), scope)
    prepare(root, [cell], lambda *_: None)
    first, rows = run_cell(root, cell, "cpu"), collect(root, [cell])
    (run,) = cell_folder(root, cell).glob("limit*")
    assert first is not None and first["failures"] == {} and run_cell(root, cell, "cpu") == first

    (run / "policy.safetensors").unlink()
    (run / "failure.json").write_text('{"error": "the loss was not finite"}')
    (cell_folder(root, cell) / "result.json").write_text('{"seconds": {}, "failures": {"limit20-seed0": "so"}}')
    forget_failure(root, cell)
    assert not run.exists()
    again = run_cell(root, cell, "cpu")
    assert again is not None and again["failures"] == {} and collect(root, [cell]) == rows

    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "versions": {**config["versions"], "torch": "1.0"}}))
    (cell_folder(root, cell) / "result.json").unlink()
    assert run_cell(root, cell, "cpu")["failures"] == {}  # type: ignore[index]
    assert json.loads((run / "config.json").read_text())["versions"]["torch"] == "1.0"  # what is finished is finished
    (run / "policy.safetensors").unlink()
    (cell_folder(root, cell) / "result.json").unlink()
    assert run_cell(root, cell, "cpu")["failures"] == {}  # type: ignore[index]
    assert json.loads((run / "config.json").read_text()) == config and collect(root, [cell]) == rows


def test_precision_auto_is_what_this_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for has, took in ((False, "fp32"), (True, "bf16")):
        monkeypatch.setattr("presa.networks.backprop.has_bf16", lambda device, has=has: has)
        given: dict[str, Any] = {"source": "recordings", "tasks": "BallRun", "pairs": 40, "precision": "auto"}
        run_study("modules", out=tmp_path / took, prepare_only=True, **given)
        assert f"note: --precision auto takes {took} here" in capsys.readouterr().out
        _, scope, cells = read_study(tmp_path / took, "modules")
        assert scope.precision == took and {cell.settings.get("precision", "fp32") for cell in cells} == {took}


def test_data_that_cannot_be_made_fail_their_cells_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given: dict[str, Any] = {"source": "recordings", "tasks": "CarRun,BallRun", "pairs": 2, "cost_limits": "0"}
    with pytest.raises(typer.Exit):
        run_study("filters", out=tmp_path / "study", prepare_only=True, **given)
    told = capsys.readouterr().out
    assert "leave a split without any pair" in told and " and 3 more: its labels limit0-" in told
    assert {path.name for path in (tmp_path / "study" / "datasets").iterdir()} == {
        f"{task}-length64-pairs2" for task in ("BallRun", "CarRun")
    }
    (cell, *_) = study_cells(find_study("filters"), Scope(("BallRun",), "recordings"))
    record_failure(tmp_path / "study", cell, "its dataset: gone")
    assert read_result(tmp_path / "study", cell) == {"seconds": {}, "failures": {"": "its dataset: gone"}}


def test_a_study_whose_cells_all_fail_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lack(root: Path, wanted: list[Any], on_progress: Any) -> dict[str, str]:
        return {cell.hash: "its dataset: no network" for cell in wanted}

    monkeypatch.setattr("presa.study.prepare.prepare", lack)
    told = []
    for _ in range(2):
        with pytest.raises(typer.Exit):
            run_study("filters", "recordings", tasks="BallRun", out=tmp_path / "study", processes=1)
        told.append(capsys.readouterr().out)
    assert "already" not in told[0] and "7 of 7 cells were finished already, 7 of them with failures" in told[1]
    for text in told:
        first, again, *rest = text.splitlines()[-2:]
        assert first.startswith("FAILED BallRun preference, filtered, ") and first.endswith(
            " and 4 more: its dataset: no network"
        )
        assert again == "do what failed again with the same command and --retry" and not rest


def test_equal_failures_are_one_line() -> None:
    failures = {f"BallRun {name}": {"limit10-seed0": "too hot", "limit20-seed0": f"cold {name}"} for name in "abcde"}
    first, *others = failure_lines(failures)
    assert first == "FAILED BallRun a limit10-seed0, BallRun b limit10-seed0, BallRun c limit10-seed0 and 2 more: too hot"
    assert others[0] == "FAILED BallRun a limit20-seed0: cold a" and len(others) == 5


def test_cells_that_a_cluster_lost_are_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose(function: Any, items: list[Any], address: str, on_done: Any, gpus: float) -> None:
        for index in range(len(items)):
            on_done(index, InputError("lost on the cluster: its node died"))

    monkeypatch.setattr("presa.study.on_ray.run_on_cluster", lose)
    with pytest.raises(typer.Exit):
        given: dict[str, Any] = {"tasks": "BallRun", "pairs": 20, "ray": "auto", "as_json": True}
        run_study("modules", "recordings", out=tmp_path / "study", **given)
    failures = json.loads(capsys.readouterr().out)["failures"]
    assert len(failures) == 3 and failures["BallRun PreSa"] == {"": "lost on the cluster: its node died"}


def test_processes_that_die_at_once_are_not_replaced_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "dies"
    script.write_text("#!/bin/sh\nkill -9 $$\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(InputError, match="died one after the other"):
        run_locally(tmp_path, study_cells(find_study("modules"), paper_scope("BallRun")), 1, "cpu", lambda *_: None)


def test_a_cell_whose_processes_die_is_given_up(tmp_path: Path) -> None:
    root = tmp_path / "study"
    open_root(root, "recordings")
    (cell, *_) = study_cells(find_study("modules"), replace(paper_scope("BallRun"), **QUICK))
    cell_folder(root, cell).mkdir()
    (cell_folder(root, cell) / "attempts.txt").write_text("once\ntwice\nthrice\n")
    found = run_cell(root, cell, "cpu")
    assert found is not None and found["failures"] == {"": "3 processes that worked on it died"}


def test_cells_on_a_cluster_give_the_same_rows(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs here what a node of a cluster does with a cell; tests/test_parallel.py distributes work over a real cluster."""
    told: list[tuple[str, float]] = []

    def here(function: Any, items: list[Any], address: str, on_done: Any, gpus: float) -> None:
        told.append((address, gpus))
        for index, item in enumerate(items):
            on_done(index, function(*json.loads(json.dumps(item))))

    monkeypatch.setattr("presa.study.on_ray.run_on_cluster", here)
    for name in [*ONE_THREAD, "PRESA_CACHE"]:  # as a node's process sets it
        monkeypatch.setenv(name, os.environ.get(name, ""))
    given: dict[str, Any] = {"tasks": "BallRun", "quick": True, "steps": 12, "bc_steps": 4, "pairs": 40, "ray": "auto"}
    run_study("modules", "recordings", out=tmp_path / "cluster", **given)
    assert told == [("auto", 0)]
    assert pq.read_table(tmp_path / "cluster" / "modules.parquet").equals(pq.read_table(done / "modules.parquet"))
