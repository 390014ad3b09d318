"""The documentation builds without a warning, its blocks run, and its reference has every option and setting."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_and_interrupt, write_hdf5
from hub_server import Hub

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "pages"
FENCE = re.compile(r"(?:<!-- in the tests: (?P<extra>.*?) -->\n)?```(?P<kind>sh|python)\n(?P<code>.*?)```", re.S)
# in this order each page finds what an earlier one made
RUN = (
    "tutorial",
    "how-to/python",
    "how-to/compare",
    "how-to/algorithm",
    "how-to/policy",
    "how-to/export",
    "how-to/recordings",
    "how-to/noise",
    "how-to/label-sets",
    "how-to/read",
    "how-to/publish",
    "how-to/tables",
    "how-to/task",
    "how-to/people",
)


def reference() -> dict[str, str]:
    return runpy.run_path(str(ROOT / "docs" / "reference.py"))["pages"]()


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the group 'docs' is not installed")
    pytest.importorskip("mkdocstrings", reason="the group 'docs' is not installed")
    words = ["build", "--strict", "-f", ROOT / "docs" / "mkdocs.yml", "-d", tmp_path / "site"]  # -q would hide warnings from it
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert result.returncode == 0 and "WARNING" not in result.stderr, result.stderr
    home = (tmp_path / "site" / "index.html").read_text()
    assert "safe preference feedback" in home
    assert "add_patch" in (tmp_path / "site" / "notebooks" / "looking" / "index.html").read_text()
    for page in [*PAGES.rglob("*.md"), *PAGES.rglob("*.ipynb")]:
        name = page.relative_to(PAGES).with_suffix("")
        assert (tmp_path / "site" / ("" if name.name == "index" else name) / "index.html").is_file(), name
    hosts = set(re.findall(r"""(?:src|href)=["']https?://([^/"']+)""", home))
    assert hosts <= {"squidfunk.github.io", "zensical.org"}, "pages load nothing from elsewhere"  # credits, as links


def test_no_link_is_dead() -> None:
    """For files read in the repository; the pages' own links are checked when they are built."""
    dead = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "cards").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            target = link.partition("#")[0]
            if target and "://" not in target and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)}: {link}")
    assert not dead


def test_the_reference_has_every_option_and_setting() -> None:
    pytest.importorskip("mkdocs", reason="the group 'docs' is not installed")
    pytest.importorskip("torch")
    from typer.main import get_command

    import presa.cli.app
    import safefeedback.cli.app
    from presa.algorithms import find_algorithm
    from presa.choices import ALGORITHMS

    found = reference()
    for program, app in (("safefeedback", safefeedback.cli.app.app), ("presa", presa.cli.app.app)):
        options = [
            option
            for command in get_command(app).commands.values()
            for one in (command, *getattr(command, "commands", {}).values())
            for parameter in one.params
            for option in parameter.opts
            if option.startswith("--")
        ]
        assert len(options) > 20 and all(f"`{option}" in found[program] for option in options)
    for name in ALGORITHMS:
        algorithm = find_algorithm(name)
        section = found["algorithms"].split(f"\n## {name}\n")[1].split("\n## ")[0]
        missing = [
            field.name for field in dataclasses.fields(algorithm) if not re.search(rf"\| `{field.name}` \| .* \| \S", section)
        ]
        assert not missing, f"{name}: {missing} have no description"


def test_observations_are_described_for_every_task_that_is_drawn() -> None:
    pytest.importorskip("mkdocs", reason="the group 'docs' is not installed")
    text = reference()["observations"]
    assert "| CarRun | 0, 1: place x, y, in units of 10 m; 2, 3: velocity along x, y, in units of 1 m/s; 4, 5: sine" in text
    assert "| along x | abs(y) over 2 m or speed over 1.5 m/s |" in text and "| HopperVelocity | 5 | 0.7402 m/s |" in text
    assert "| lane_offset |" in text and "| Car | 3, 4: velocity forward" in text


def test_the_reference_has_every_public_function() -> None:
    import presa
    import safefeedback

    text = (PAGES / "reference" / "python.md").read_text()
    for package in (presa, safefeedback):
        for name in set(package.__all__) - {"__version__"}:
            assert re.search(rf"^::: {package.__name__}\.[\w.]+\.{name}$", text, re.M), name


def test_the_blocks_run(hub: Hub, online: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every shell and Python block of the pages named above, in one folder; the Hub is a server on loopback."""
    for package in ("torch", "stable_baselines3", "matplotlib", "polars", "duckdb"):
        pytest.importorskip(package)
    for name, value in {
        "PRESA_CACHE": tmp_path / "kept",
        "DSRL_DATASET_DIR": tmp_path / "dsrl",
        **hub.env(tmp_path / "hf"),
    }.items():
        monkeypatch.setenv(name, str(value))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    write_hdf5(work / "my_data.hdf5", [200] * 40)
    (work / "maze.py").write_text((ROOT / "docs" / "examples" / "maze.py").read_text())
    maze = re.findall(r"```toml\n(.*?)```", (PAGES / "how-to" / "task.md").read_text(), re.S)[0]
    (work / "maze.toml").write_text(maze)
    run("safefeedback build --task DroneCircle --pairs 40 --source recordings --out drone")
    blocks = [(page, match) for page in RUN for match in FENCE.finditer((PAGES / f"{page}.md").read_text())]
    assert len(blocks) > 15
    for page, match in blocks:
        if match["kind"] == "python":
            if named := re.match(r"# (\w+\.py)\n", match["code"]):  # a module, which the commands after it import
                (work / named[1]).write_text(match["code"])
            try:
                exec(compile(match["code"], f"{page}.md", "exec"), {"__name__": "__main__"})
            except Exception as error:
                raise AssertionError(f"{page}: {match['code']}") from error
            continue
        for line in match["code"].splitlines():
            if " annotate " in line and "--results" not in line:  # it serves until interrupted
                words = shlex.split(line, comments=True)[1:]
                assert run_and_interrupt(*words, "--no-browser", cwd=work, env=dict(os.environ)).returncode == 0, line
            else:
                run(shortened(line, match["extra"] or ""), page)

    listed = (PAGES / "reference" / "files.md").read_text()
    for folder in ("ball", "ball-policy", "ball-clone", "python-run", "drone-v1", "runs/straight"):
        for path in (work / folder).iterdir():
            name = re.sub(r"_\d\.", "_0.", path.name) + "/" * path.is_dir()
            assert f"`{name}" in listed or name.startswith("."), f"{folder}/{name} is not in the reference of files"


def shortened(line: str, extra: str) -> str:
    """A command with options that make it quick; each option is added to the command that has it."""
    words = shlex.split(line, comments=True)
    wanted = shlex.split(extra)
    pairs = [wanted[i : i + 2] for i in range(0, len(wanted), 2)]
    takes = {"train": ("--steps", "--set", "--bc-steps"), "evaluate": ("--episodes",), "study": ("--steps", "--bc-steps")}
    return shlex.join([*words, *(word for pair in pairs if pair[0] in takes.get(words[1], ()) for word in pair)])


def run(line: str, page: str = "") -> None:
    """A command in this process, as typed."""
    from presa.cli import main as presa_main
    from safefeedback.cli import main as safefeedback_main

    program, *words = shlex.split(line, comments=True)
    main = {"safefeedback": safefeedback_main, "presa": presa_main}[program]
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code in (0, None), f"{page}: {line}\n{errors.getvalue()}"
