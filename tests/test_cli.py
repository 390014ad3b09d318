"""What the command line imports, prints and documents."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from conftest import run_and_interrupt, run_cli
from hub_server import Hub
from running import run_on_terminal

from safefeedback.cli.doctor import CHECKS, Check, doctor, examine
from safefeedback.imports import install_command
from safefeedback.simulators import can_simulate
from safefeedback.tasks import find_task

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch",
    "datasets",
    "pandas",
    "httpx",
    "httpx2",
    "h5py",
    "pyarrow",
    "pyarrow.compute",
    "gymnasium",
    "pybullet",
    "bullet_safety_gym",
    "safety_gymnasium",
    "mujoco",
    "metadrive",
    "dsrl",
    "matplotlib",
}
# The rooms of each package, lowest first: a room imports from those above it in this list and from those beside it.
ROOMS = {
    "safefeedback": [
        {"version", "errors", "imports", "values", "randomness"},
        {"files", "parallel", "tasks", "terminal"},
        {"types", "simulators", "hub"},
        {"sources", "feedback", "plots"},
        {"recorder", "dataset"},
        {"inspection", "verification"},
        {"publish"},
        {"annotate"},
        {"cli"},
    ],
    "presa": [
        {"losses", "options", "choices", "files", "cache", "networks"},
        {"tensors", "rollouts"},
        {"data"},
        {"offline"},
        {"algorithms"},
        {"fitting"},
        {"proposals"},
        {"runs"},
        {"study"},
        {"report"},
        {"cli"},
    ],
}


def imported_by(code: str) -> set[str]:
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = result.stderr.split()
    return {*names, *(name.split(".")[0] for name in names)}


@pytest.mark.parametrize(
    "code",
    [
        "import safefeedback",
        "from safefeedback.cli import main; main(['--help'])",
        "from safefeedback.cli import main; main(['build', '--help'])",
    ],
)
def test_help_and_import_are_light(code: str):
    assert not HEAVY & imported_by(code)


def test_a_command_imports_nothing_heavy_that_it_does_not_need(ball_file: Path, tmp_path: Path):
    """Each in its own process: a person waits for these imports before anything happens."""
    data, tables = str(tmp_path / "data"), {"h5py", "pyarrow"}
    build = ("build", "--task", "BallCircle", "--pairs", "20", "--source", str(ball_file), "--out", data)
    for words, allowed in {
        ("tasks",): set(),
        build: tables,
        ("inspect", data, "--json", "--no-plots"): tables,
        ("verify", data): tables,
        ("relabel", data, "--cost-limit", "40"): tables,
    }.items():
        seen = imported_by(f"from safefeedback.cli import main; main({list(words)!r})")
        assert not (HEAVY - allowed) & seen and allowed & {"pyarrow"} <= seen, words[0]


def test_only_the_options_of_the_called_command_are_read():
    from safefeedback.cli.app import app
    from safefeedback.terminal import only_called

    (alone,) = only_called(app, ["--debug", "verify", "build"]).registered_commands
    assert alone.callback is not None and alone.callback.__name__ == "verify" and len(app.registered_commands) > 5
    for words in ([], ["--help"], ["labels", "import"], ["verfy"]):  # these need to know all commands
        assert only_called(app, words) is app


@pytest.mark.parametrize(("program", "words"), [("safefeedback", ["labels", "import"]), ("presa", ["runs"])])
def test_help_has_a_short_name(program: str, words: list[str], tmp_path: Path):
    for command in ([], words):
        result = run_cli(*command, "-h", cwd=tmp_path, program=program)
        assert result.returncode == 0 and " ".join(["Usage:", program, *command]) in result.stdout


def modules_imported(path: Path) -> set[str]:
    """The modules of this project that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("package", list(ROOMS))
def test_imports_point_one_way(package: str):
    """Checks the order of the rooms, not of their files, so it need not change when a file is added to a room."""
    level = {room: index for index, rooms in enumerate(ROOMS[package]) for room in rooms}
    modules = [path.stem for path in (ROOT / package).glob("*.py") if not path.stem.startswith("__")]
    assert len(modules) <= 10, f"{package} itself holds {len(modules)} modules: {modules}"
    wrong = []
    for path in (ROOT / package).rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, f"{path} has more than 300 lines: split it by concept"
        room = path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        assert room in level, f"{path} is in no room"
        for module in modules_imported(path):
            parts = module.split(".")
            assert package == "presa" or parts[0] != "presa", path
            if parts[0] == package and len(parts) > 1 and parts[1] in level and level[parts[1]] > level[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
            if package == "presa" and parts[:2] == ["safefeedback", "cli"] and len(parts) > 2 and parts[2] != "output":
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong, "\n".join(sorted(set(wrong)))


@pytest.mark.parametrize("package", list(ROOMS))
def test_no_import_leads_back(package: str):
    """Not within a room either, and not by an import inside a function."""
    files = [path for path in (ROOT / package).rglob("*.py") if path.stem != "__init__"]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): modules_imported(path) for path in files}
    graph = {name: imported & modules.keys() - {name} for name, imported in modules.items()}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_tasks_as_json_and_table(tmp_path: Path):
    env = {"DSRL_DATASET_DIR": str(tmp_path), "HF_HOME": str(tmp_path)}
    (tmp_path / "SafetyBallRun-v0-80-940.hdf5").touch()
    rows = json.loads(run_cli("tasks", "--json", cwd=tmp_path, env=env).stdout)
    assert len(rows) == 38 and [row["name"] for row in rows if row["cached"]] == ["BallRun"]
    assert {row["simulated_here"] for row in rows if row["domain"] == "MetaDrive"} == {find_spec("metadrive") is not None}
    table = run_cli("tasks", "--domain", "bulletgym", cwd=tmp_path, env=env).stdout
    assert "DroneCircle" in table and "10/20/40" in table and "CarButton1" not in table
    assert run_cli("tasks", "--domain", "x", cwd=tmp_path).stderr.startswith("error: there is no domain 'x'")


def test_doctor_tells_what_works(tmp_path: Path):
    checks = {row["name"]: row for row in json.loads(run_cli("doctor", "--json", cwd=tmp_path).stdout)}
    assert checks["build and read datasets"]["state"] == checks["datasets.load_dataset"]["state"] == "works"
    for name, task in (("simulate BulletGym", "BallRun"), ("simulate SafetyGym", "SwimmerVelocity")):
        assert checks[name]["state"] == ("works" if can_simulate(find_task(task)) is None else "missing")
    for name, module in (("train", "safetensors"), ("collect by training", "stable_baselines3")):
        assert checks[name]["state"] == ("works" if find_spec(module) else "missing")


def test_doctor_knows_missing_from_broken():
    there, absent = ("numpy",), ("numpy", "no-such-package")
    checks = (
        Check("absent", absent, "import numpy", "train"),
        Check("broken", there, "raise OSError('no display')"),
        Check("dead", there, "import os; os._exit(3)"),
        Check("works", there, "import numpy; print(1)"),
        Check("shouts", there, "import os, sys; print('what it says last', file=sys.stderr, flush=True); os._exit(1)"),
    )
    found = {row["name"]: (row["state"], row["detail"]) for row in examine(checks)}
    versions = f"numpy {np.__version__}"
    assert found == {
        "absent": ("missing", f"no-such-package: {install_command('train')}"),
        "broken": ("broken", f"OSError: no display ({versions})"),
        "dead": ("broken", f"ended with code 3 ({versions})"),
        "works": ("works", versions),
        "shouts": ("broken", f"what it says last ({versions})"),
    }


def test_doctor_tells_how_far_it_is_and_looks_at_plots(monkeypatch: pytest.MonkeyPatch):
    def examined(checks: list[Check]) -> list[dict[str, str]]:
        return [{"name": check.name, "state": "works", "detail": ""} for check in checks]

    monkeypatch.setattr("safefeedback.cli.doctor.examine", examined)
    told: list[tuple[int, int]] = []
    rows = doctor(lambda done, total: told.append((done, total)))
    assert told == [(done, len(CHECKS)) for done in range(len(CHECKS) + 1)]
    assert [row["name"] for row in rows] == ["Python", *(check.name for check in CHECKS)] and "plots" in {
        row["name"] for row in rows
    }


@pytest.mark.parametrize("program", ["safefeedback", "presa"])
def test_version(program: str, capsys: pytest.CaptureFixture[str]):
    import presa.cli
    import safefeedback.cli

    with pytest.raises(SystemExit) as ended:
        {"safefeedback": safefeedback.cli.main, "presa": presa.cli.main}[program](["--version"])
    assert not ended.value.code and capsys.readouterr().out == f"{safefeedback.__version__}\n"


def test_json_is_alone_on_stdout(ball_file: Path, tmp_path: Path):
    """In its own process, as a person starts it."""
    words = ("build", "--task", "BallCircle", "--pairs", 10, "--source", ball_file, "--json")
    result = run_cli(*words, cwd=tmp_path, fresh=True)
    printed = json.loads(result.stdout)
    assert result.stderr == "" and printed["splits"] == {"train": 10} and (tmp_path / printed["folder"]).is_dir()


def test_summary_tells_the_numbers_and_how_to_load(ball_file: Path, tmp_path: Path):
    words = ("build", "--task", "BallCircle", "--pairs", 40, "--source", ball_file, "--noise", 0.1, "--out", "out")
    result = run_cli(*words, cwd=tmp_path)
    assert result.stderr == ""
    for text in (
        "2 episodes shorter than a segment left out",
        "of 80 segments safe",
        "noise flipped 8 safety labels",
        "load_dataset('out')",
        " MB in ",
    ):
        assert text in result.stdout, text


def test_a_progress_bar_on_a_terminal(ball_file: Path, tmp_path: Path):
    words = ["build", "--task", "BallCircle", "--pairs", 3000, "--source", ball_file]
    code, shown = run_on_terminal("safefeedback", *words, cwd=tmp_path)
    assert code == 0 and "writing" in shown and "6000/6000" in shown


def test_task_names_are_whole_in_a_narrow_terminal(tmp_path: Path):
    table = run_cli("tasks", cwd=tmp_path, env={"COLUMNS": "80", "FORCE_COLOR": "1", "TERM": "dumb"}).stdout
    for name in ("HalfCheetahVelocity", "AntCircle", "mediumsparse"):
        assert name in table


def test_help_tells_every_default(tmp_path: Path):
    text = " ".join(run_cli("build", "--help", cwd=tmp_path, env={"COLUMNS": "200"}).stdout.split())
    assert "(default: the middle one of the task's)" in text and "(default: one here, named after the recipe)" in text


def test_debug_shows_the_traceback(tmp_path: Path):
    result = run_cli("build", "--task", "Nothing", "--debug", cwd=tmp_path)
    assert result.returncode == 2 and "Traceback" in result.stderr and result.stderr.splitlines()[-1].startswith("error: ")


PROGRAM = r"\b(safefeedback|presa) (?=\w)"
README = (ROOT / "README.md").read_text()
SHELL = [
    line[re.search(PROGRAM, line).start() :].strip()
    for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if re.search(PROGRAM, line)
]


def test_every_command_is_documented():
    import presa.cli.app
    import safefeedback.cli.app

    for program, app in (("safefeedback", safefeedback.cli.app.app), ("presa", presa.cli.app.app)):
        for command in app.registered_commands:
            words = f"{program} {command.name or command.callback.__name__}"
            assert any(line.startswith(words) for line in SHELL), f"README does not show `{words}`"


def test_every_flag_exists():
    """Every option the README names is one of the command's."""
    texts: dict[tuple[str, ...], str] = {}
    for line in SHELL:
        words = shlex.split(line, comments=True)
        command = (words[0], *words[1 : 3 if words[1] == "labels" else 2])
        if command not in texts:
            env = {"COLUMNS": "200", "TERM": "dumb"}
            texts[command] = run_cli(*command[1:], "--help", cwd=ROOT, env=env, program=command[0]).stdout
        for word in words:
            assert not word.startswith("--") or word.split("=")[0] in texts[command], line


def test_readme_commands_run(hub: Hub, tmp_path: Path):
    """The README's commands and Python, in its order, in a folder that holds nothing but the file they name; the Hub is a
    server on loopback."""
    pytest.importorskip("stable_baselines3", reason="the extra 'collect' is not installed")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "answers.csv").write_text("pair_id,annotator,preference\n0,ann,1\n0,bob,\n7,ann,0\n")
    env = {"DSRL_DATASET_DIR": str(tmp_path / "dsrl"), "PRESA_CACHE": str(tmp_path / "kept"), **hub.env(tmp_path / "hf")}
    for line in SHELL:
        words = shlex.split(line, comments=True)
        serves = words[1] == "annotate" and "--results" not in words
        run = run_and_interrupt if serves else run_cli
        result = run(*words[1:], *(["--no-browser"] * serves), cwd=tmp_path / "work", env=env, program=words[0])
        assert result.returncode == 0, f"{line}\n{result.stderr}"
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.S))
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "work",
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    made = {path.parent.name for path in (tmp_path / "work").glob("*/recipe.json")}
    trained = {path.parent.name for path in (tmp_path / "work").glob("*/config.json")}
    assert {"drone", "drone-v1", "asked"} <= made and {"first", "limit40"} <= trained


def test_a_progress_bar_in_a_notebook(tmp_path: Path):
    """In a real kernel: one line below the cell that is rewritten, beside the messages on stdout."""
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    code = (
        "from safefeedback.terminal import Progress\n"
        "with Progress('playing', unit='steps') as bar:\n"
        "    bar(1, 4)\n    bar.say('said')\n    bar(4, 4)\n"
        "with Progress('hidden', quiet=True) as bar:\n    bar(1, 2)\n"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    client.NotebookClient(notebook, kernel_name="python3", timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = notebook.cells[0].outputs
    shown = [one["data"]["text/plain"] for one in outputs if one["output_type"] == "display_data"]
    assert len(shown) == 1 and shown[0].startswith("playing ##############################  4/4  ")
    assert [one["text"] for one in outputs if one["output_type"] == "stream"] == ["said\n"]
