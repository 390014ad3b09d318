"""A missing package is named in one line, with the right command to install it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import numpy as np
import pytest

import presa
import safefeedback
from safefeedback import imports as extras
from safefeedback.errors import InputError
from safefeedback.tasks import Task, find_task
from safefeedback.values import to_python

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("origin", "installer", "command"),
    [
        ({"url": "file:///here", "dir_info": {"editable": True}}, "uv", "uv sync --extra train"),
        (None, "pip", 'pip install "safefeedback[train]"'),
        (None, "uv", 'uv pip install "safefeedback[train]"'),
        ({"url": "file:///a.whl", "archive_info": {}}, "pip", 'pip install "safefeedback[train] @ file:///a.whl"'),
    ],
)
def test_the_way_to_install_is_that_of_the_installation(
    origin: dict | None, installer: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ours(Distribution):
        def read_text(self, name: str) -> str | None:
            return {"direct_url.json": json.dumps(origin) if origin else None, "INSTALLER": installer + "\n"}[name]

        def locate_file(self, path: object) -> Path:
            raise NotImplementedError

    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Ours())
    assert extras.install_command("train") == command
    assert extras.install_command("sim").endswith(" (Python 3.10 or 3.11)")
    metadrive = extras.install_command("metadrive")
    assert metadrive == command.replace("train", "metadrive") if command.startswith("uv sync") else "--no-deps" in metadrive
    assert (
        extras.install_package_command("minari[hdf5]") == ("uv pip" if installer == "uv" else "pip") + ' install "minari[hdf5]"'
    )


def test_metadrive_is_installed_by_pip_as_the_readme_says() -> None:
    """Its wheel pins packages that today's Pythons do not have, which pip cannot leave out by an extra."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["metadrive"]
    command = f"`pip install --no-deps {extras.METADRIVE[0]} && pip install {extras.METADRIVE[1]}`"
    assert command in (ROOT / "README.md").read_text()
    names = {re.split("[<>=;]", requirement)[0] for requirement in ours}
    assert {re.split("[<>=]", word)[0] for word in " ".join(extras.METADRIVE).split()} == names
    assert {extras.METADRIVE[0], "panda3d==1.10.16"} <= set(ours)


def test_no_command_but_one_place_knows_how_to_install() -> None:
    root = Path(safefeedback.__file__).parents[1]
    texts = {path: path.read_text() for package in ("safefeedback", "presa") for path in (root / package).rglob("*.py")}
    telling = {path.relative_to(root).as_posix() for path, text in texts.items() if re.search("pip install|uv sync", text)}
    assert telling == {"safefeedback/imports.py", "safefeedback/annotate/space.py"}  # the latter writes a Dockerfile


def test_a_command_without_its_extra_is_one_line(tmp_path: Path) -> None:
    """In a process of its own, in which PyTorch cannot be imported."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from presa.cli import main\n"
        "for words in (['train', 'data'], ['study', 'table1', '--source', 'recordings'], ['report', 'study']):\n"
        "    try: main(words)\n"
        "    except SystemExit as ended: print(ended.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "2", "2"]
    assert done.stderr.splitlines() == [
        f"error: {what} needs torch: {extras.install_command('train')}" for what in ("training", "this", "this")
    ]


def test_loading_a_policy_without_its_extra_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policy.safetensors").touch()
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(InputError, match="loading a policy needs safetensors: "):
        presa.load(str(tmp_path))


def test_a_public_name_without_its_extra_is_one_line(tmp_path: Path) -> None:
    """`presa.train` imports PyTorch where it is first named."""
    code = "import sys; sys.modules['torch'] = None; import presa; presa.train"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (
        done.stderr.splitlines()[-1] == f"safefeedback.errors.InputError: this needs torch: {extras.install_command('train')}"
    )


def test_numpys_numbers_are_pythons(ball_file: Path, tmp_path: Path) -> None:
    task = find_task("BallCircle")
    plainly = safefeedback.Recipe(task, pairs=20, length=16, cost_limit=20.0, noise=0.5, seed=3)
    numpys = safefeedback.Recipe(
        task, pairs=np.int64(20), length=np.int32(16), cost_limit=np.float32(20), noise=np.float64(0.5), seed=np.uint8(3)
    )
    assert numpys == plainly and json.dumps(numpys.to_dict()) == json.dumps(plainly.to_dict())
    made = [safefeedback.build_dataset(one, str(ball_file), tmp_path / str(i))[1] for i, one in enumerate((plainly, numpys))]
    assert made[0]["content"] == made[1]["content"]
    with pytest.raises(InputError, match="--pairs must be a whole number"):
        safefeedback.Recipe(task, pairs=np.float64(20.5))
    fields = {**task.to_dict(), "observation_dim": np.int64(8), "cost_limits": np.array([10, 20, 40])}
    assert Task.from_dict(fields).cost_limits == (10, 20, 40) and type(Task.from_dict(fields).observation_dim) is int
    assert to_python((np.int64(1), 2.5)) == (1, 2.5) and to_python("text") == "text" and to_python(None) is None


def test_numpys_numbers_in_a_training() -> None:
    pytest.importorskip("torch")
    from presa.algorithms import configure
    from presa.runs.records import MonitorSettings

    chosen = configure("presa", None, {"steps": np.int64(100), "hidden": np.array([8, 8]), "learning_rate": np.float32(0.5)})
    assert chosen == configure("presa", None, {"steps": 100, "hidden": (8, 8), "learning_rate": 0.5})
    assert type(chosen.steps) is int and chosen.hidden == (8, 8) and type(MonitorSettings(np.int64(5)).report_every) is int


def test_cloning_takes_its_share_of_the_steps_that_are_given() -> None:
    pytest.importorskip("torch")
    from presa.algorithms import configure

    assert configure("presa", None, {"steps": "100"}).bc_steps == 30
    assert configure("presa", "paper-safetygym", {"steps": 1000}).bc_steps == 300
    assert configure("presa", None, {"steps": 100, "bc_steps": 7}).bc_steps == 7
    assert configure("weighted-bc", None, {"steps": 10}).model_steps == 3  # one for each of its models
    with pytest.raises(InputError, match="the models 2 x 3 of the 6 steps: none is left"):
        configure("weighted-bc", None, {"steps": 6})
    assert configure("presa", "paper-bullet").bc_steps == 30_000
