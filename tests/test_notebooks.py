"""The notebooks of the documentation run from the first cell to the last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "pages" / "notebooks"


def run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The outputs of every cell, run in its own kernel."""
    client = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.setenv("PRESA_CACHE", str(folder / "cache"))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells), "kept without outputs, which only age"
    client.NotebookClient(notebook, kernel_name="python3", timeout=400, resources={"metadata": {"path": folder}}).execute()
    return [output for cell in cells for output in cell.outputs]


def told(outputs: list[dict[str, Any]]) -> str:
    """What the outputs say, as text."""
    return "\n".join(one.get("text") or one.get("data", {}).get("text/plain", "") for one in outputs)


def pictures(outputs: list[dict[str, Any]]) -> int:
    return sum("image/png" in one.get("data", {}) for one in outputs)


def test_looking_at_a_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = run("looking", tmp_path, monkeypatch)
    text = told(outputs)
    assert pictures(outputs) == 2 and "observations  float32 [500, 2, 64, 8]" in text and "Pair 0" in text
    assert "10% of the safety labels are not the truth" in text
    checks = dict(line.split(maxsplit=1) for line in text[text.index("manifest ") :].splitlines())
    assert set(checks.values()) == {"ok"} and {"content", "scalars", "card"} <= set(checks)


def test_training_and_evaluating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "bullet_safety_gym"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    outputs = run("training", tmp_path, monkeypatch)
    text = told(outputs)
    assert pictures(outputs) == 2 and "learnt: return " in text and "cloned: return " in text
    assert (tmp_path / "learnt" / "evaluation.json").is_file() and "array([[" in text
