"""The lines that commands print work unchanged: the Python that loads a dataset, and commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import datasets
import datasets.packaged_modules
import pytest

import safefeedback
from safefeedback.cli import main
from safefeedback.dataset.loading import FORMAT_NAMES, load_line
from safefeedback.errors import command_line


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def run(capsys: pytest.CaptureFixture, *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    return ended.value.code or 0, printed.out, printed.err  # type: ignore[return-value]


def printed_line(out: str) -> str:
    return out.partition("load it with: ")[2].splitlines()[0]


@pytest.mark.parametrize(
    ("place", "out", "loads"),
    [
        ("plain", "d", "load_dataset"),
        ("plain", "json", "load_dataset"),
        ("plain", "~", "load_dataset"),
        ("plain", "~nobody", "load_dataset"),
        ("plain", "file:", "load_dataset"),
        ('it\'s "mine"', "bäll", "load_dataset"),
        ("[job-1]", "d", "read"),
        ("a::b", "d", "read"),
        ("$HOME", "d", "read"),
    ],
)
def test_the_printed_line_loads_what_was_built(
    place: str, out: str, loads: str, ball_file: Path, capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / place).mkdir()
    monkeypatch.chdir(tmp_path / place)
    code, shown, errors = run(capsys, *f"build --task BallCircle --pairs 20 --source {ball_file} --out".split(), out)
    line = printed_line(shown)
    assert code == 0 and line.partition("(")[0].endswith(loads), errors
    found = eval(line.partition("   ")[0])
    assert len(found["train"] if loads == "load_dataset" else found) == 20


def test_label_sets_load_from_within_their_dataset(ball_file: Path, capsys, tmp_path: Path, monkeypatch) -> None:
    """`load_dataset(".")` fails."""
    run(capsys, *f"build --task BallCircle --pairs 20 --source {ball_file} --out".split(), tmp_path / "two words")
    monkeypatch.chdir(tmp_path / "two words")
    code, shown, _ = run(capsys, "relabel", ".", "--noise", "0.5")
    assert code == 0 and len(eval(printed_line(shown))["train"]) == 20
    assert "not the truth: 20 safety labels, 0 preferences" in shown
    assert "train with: presa train . --labels limit20-noise50" in shown


@pytest.mark.parametrize("name", ["a[0]", "a*", "what?", "data::x", "$HOME", "${USER}-data"])
def test_names_that_load_dataset_reads_otherwise_are_refused(name: str, ball_file: Path, capsys, tmp_path: Path) -> None:
    code, _, errors = run(capsys, *f"build --task BallCircle --source {ball_file} --out".split(), tmp_path / name)
    assert code == 2 and "which load_dataset takes for a" in errors and errors.count("\n") == 1
    code, _, errors = run(capsys, "build", "--task", "bullet", "--source", "recordings", "--out", tmp_path / name)
    assert code == 2 and "which load_dataset takes for a" in errors
    assert not (tmp_path / name).exists()


def test_every_format_of_load_dataset_is_known() -> None:
    assert set(datasets.packaged_modules._PACKAGED_DATASETS_MODULES) <= set(FORMAT_NAMES)
    assert load_line(Path("json")) == f"datasets.load_dataset({str(Path.cwd() / 'json')!r})"
    assert load_line(Path("here/json"), "a") == "datasets.load_dataset('here/json', 'a')"


def test_commands_are_quoted() -> None:
    assert shlex.split(command_line("presa", "evaluate", Path("run 'one'"))) == ["presa", "evaluate", "run 'one'"]
    assert command_line("presa", "train", "user/data@v1.0.0", "--set", "hidden=16,16") == (
        "presa train user/data@v1.0.0 --set hidden=16,16"
    )


def test_a_link_to_a_folder_is_followed(ball_file: Path, capsys, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "data")
    words = f"build --task BallCircle --pairs 20 --source {ball_file} --out {tmp_path / 'link'}".split()
    assert run(capsys, *words)[0] == 0 and (tmp_path / "disk" / "data" / "recipe.json").is_file()
    code, _, errors = run(capsys, *words)
    assert code == 2 and "link exists already: add --overwrite" in errors
    assert run(capsys, *words, "--overwrite", "--seed", 1)[0] == 0
    assert (tmp_path / "link").is_symlink() and safefeedback.read(tmp_path / "disk" / "data").recipe["recipe"]["seed"] == 1
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["data"]
