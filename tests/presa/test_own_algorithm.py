"""An algorithm of one's own: what is wrong with it is said in one line, and its code is a part of the run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
from feedback_cases import presa as command

import presa
from safefeedback import InputError, Recipe, build_dataset, find_task

SOURCE = """
from dataclasses import dataclass

from presa.algorithms.base import Algorithm, pair_examples


@dataclass(frozen=True)
class Cloning(Algorithm):
    strength: float = 1.0

    def examples(self, data):
        return pair_examples(data, safe=data.train.safe)

    def loss(self, log_probability, batch, state):
        loss = -self.strength * (log_probability.mean(-1) * batch["safe"]).mean()
        return loss, {"mine": loss.detach()}, state


class WithoutMethods(Algorithm):
    pass


class Undecorated(Cloning):
    other: float = 2.0


class ManyLosses(Cloning):
    def loss(self, log_probability, batch, state):
        return -log_probability, {}, state


class LossAlone(Cloning):
    def loss(self, log_probability, batch, state):
        return -log_probability.mean()


class NoLabel(Cloning):
    def loss(self, log_probability, batch, state):
        return -(log_probability * batch["safety"]).mean(), {}, state


class Constant(Cloning):
    def loss(self, log_probability, batch, state):
        return batch["safe"].mean(), {}, state


class WithGradient(Cloning):
    def loss(self, log_probability, batch, state):
        return -log_probability.mean(), {"mine": log_probability.mean()}, state


class NoExamples(Cloning):
    def examples(self, data):
        return data.train


class ShortLabel(Cloning):
    def examples(self, data):
        return pair_examples(data, safe=data.train.safe[:3])
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the module somebodys_algorithm and a dataset."""
    (tmp_path / "somebodys_algorithm.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    build_dataset(Recipe(find_task("BallRun"), pairs=40, length=16), source="recordings", out="data")
    yield tmp_path
    sys.modules.pop("somebodys_algorithm", None)


def train(name: str, out: str = "run") -> None:
    sys.modules.pop("somebodys_algorithm", None)
    settings = {"hidden": (8, 8)}
    presa.train("data", f"somebodys_algorithm:{name}", steps=6, settings=settings, device="cpu", out=out, quiet=True)


def test_what_is_wrong_with_it_is_said_before_anything_is_written(place: Path) -> None:
    for name, message in {
        "WithoutMethods": "has no method examples and no method loss",
        "Undecorated": r"write @dataclass\(frozen=True\)",
        "ManyLosses": r"must be one number, such as a mean over the batch, not a tensor \[4, 2, 16\]",
        "LossAlone": "must return three things",
        "NoLabel": r"failed: KeyError: 'safety' \(somebodys_algorithm.py, line 39\)",
        "Constant": "does not depend on log_probability",
        "WithGradient": "'mine' must be a tensor of one number without gradient",
        "NoExamples": "must return Examples",
        "ShortLabel": r"the label 'safe' must be a tensor of 40 rows, not a tensor \[3, 2\]",
    }.items():
        with pytest.raises(InputError, match=message):
            train(name)
        assert not Path("run").exists()
    done = command("train", "data", "--algorithm", "somebodys_algorithm:NoLabel", "--out", "run", cwd=place)
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_a_run_is_not_continued_with_other_code(place: Path) -> None:
    source = place / "somebodys_algorithm.py"
    train("Cloning")
    train("Cloning")  # is finished already
    config = json.loads((place / "run" / "config.json").read_text())
    assert config["code_sha256"] in (place / "run" / "README.md").read_text()
    source.write_text(SOURCE.replace("-self.strength", "-2 * self.strength"))
    with pytest.raises(InputError, match="trained by somebodys_algorithm:Cloning before its code changed: --overwrite"):
        train("Cloning")
    train("Cloning", "other")
    assert json.loads((place / "other" / "config.json").read_text())["code_sha256"] != config["code_sha256"]
    for path in (place / "run").iterdir():  # a run of which no step was trained
        if path.name not in ("config.json", "checkpoints"):
            path.unlink()
    train("Cloning")
    assert json.loads((place / "run" / "config.json").read_text())["code_sha256"] != config["code_sha256"]


def test_two_versions_of_the_code_are_two_methods(place: Path) -> None:
    train("Cloning", "runs/before")
    (place / "somebodys_algorithm.py").write_text(SOURCE + "\n")
    train("Cloning", "runs/after")
    presa.evaluate("runs", episodes=1, processes=1, quiet=True)
    assert command("report", "runs", "--out", "table", cwd=place).returncode == 0
    assert (place / "table" / "report.md").read_text().count("code=") >= 2


def test_it_may_be_typed_into_a_notebook(place: Path) -> None:
    """As Python itself reads from stdin, and as IPython, which remembers what a cell held."""
    use = """
import json, presa
presa.train("data", "__main__:Cloning", steps=6, settings={"hidden": (8, 8)}, device="cpu", out=OUT, quiet=True)
print(json.load(open(f"{OUT}/config.json")).get("code_sha256"))
"""
    done = subprocess.run(
        [sys.executable, "-"], input=f'OUT = "stdin"\n{SOURCE}{use}', capture_output=True, text=True, cwd=place, check=False
    )
    assert done.returncode == 0 and done.stdout.strip() == "None", done.stderr
    pytest.importorskip("IPython", reason="IPython is not installed")
    cells = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
for text in ({SOURCE!r}, 'OUT = "cell"', {use!r}, {SOURCE.replace("-self", "-2 * self")!r}, {use!r}):
    shell.run_cell(text, store_history=True)
"""
    done = subprocess.run([sys.executable, "-c", cells], capture_output=True, text=True, cwd=place, check=False)
    assert re.search(r"^[0-9a-f]{64}$", done.stdout, re.M) and "before its code changed" in done.stdout, (
        done.stdout + done.stderr
    )
    done = subprocess.run(
        [sys.executable, "-"], input=f'OUT = "cell"\n{SOURCE}{use}', capture_output=True, text=True, cwd=place, check=False
    )
    assert "before its code changed" in done.stderr  # what is read from stdin cannot be compared
