"""Which pairs to ask about next, for a real dataset with few answers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import safefeedback  # noqa: E402
from presa.cli import main  # noqa: E402
from presa.proposals import COLUMNS, mutual_information, propose  # noqa: E402
from safefeedback.cli import main as safefeedback_main  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402


def test_information_by_hand() -> None:
    said = torch.tensor([[0.5, 1.0, 0.9], [0.5, 0.0, 0.9]])
    np.testing.assert_allclose(mutual_information(said).numpy(), [0, np.log(2), 0], atol=1e-7)


def run(program, *words: object) -> None:
    with pytest.raises(SystemExit) as ended:
        program([str(word) for word in words])
    assert ended.value.code in (0, None)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pairs of which 40 have answers, the true ones."""
    root = tmp_path_factory.mktemp("ask")
    folder = root / "ball"
    words = ("--task", "BallRun", "--pairs", 120, "--length", 16, "--source", "recordings", "--out", folder)
    run(safefeedback_main, "build", *words)
    data = safefeedback.read(folder)
    rows = [f"{i},ann,{p:g},{int(a)},{int(b)}" for i, p, (a, b) in zip(data.pair_id, data.preference, data.safe, strict=True)]
    (root / "answers.csv").write_text("\n".join(["pair_id,annotator,preference,is_safe_0,is_safe_1", *rows[:40]]) + "\n")
    run(safefeedback_main, "labels", "import", folder, root / "answers.csv", "--name", "few")
    return folder


def test_only_unanswered_pairs_and_the_same_again(answered: Path) -> None:
    rows = propose(answered, "few", 10, members=2, steps=20)
    assert rows == propose(answered, "few", 10, members=2, steps=20)
    assert len(rows) == 10 and min(row["pair_id"] for row in rows) >= 40
    told = [row["disagreement"] for row in rows]
    assert told == sorted(told, reverse=True) and told[0] > 0
    data = safefeedback.read(answered, segments=False)
    assert all(data.start[int(row["pair_id"]), 1] == row["start_1"] for row in rows)


def test_the_command_writes_what_build_reads(answered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "next.csv"
    run(main, "ask", answered, "--labels", "few", "--pairs", 5, "--members", 2, "--steps", 5, "--out", out, "--json")
    printed = json.loads(capsys.readouterr().out)
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS and [int(row["pair_id"]) for row in rows] == [row["pair_id"] for row in printed["pairs"]]


def test_what_cannot_be_asked(answered: Path) -> None:
    with pytest.raises(InputError, match="cannot disagree"):
        propose(answered, "few", 5, members=1)
    with pytest.raises(InputError, match="no label set"):
        propose(answered, "none", 5)


def test_a_place_that_is_not_there_is_said_before_the_work(answered: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("presa.proposals.propose", lambda *_: pytest.fail("the models were fitted"))
    with pytest.raises(SystemExit, match="2"):
        main(["ask", str(answered), "--labels", "few", "--out", str(tmp_path / "none" / "pairs.csv")])
    assert "there is no folder" in capsys.readouterr().err
