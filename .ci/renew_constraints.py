"""Writes the newest version of everything that `uv sync` installs into pyproject.toml, as constraints: see there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = ["pyproject.toml", "README.md", "LICENSE", "safefeedback/version.py"]  # what uv reads to resolve
BLOCK = r"(?ms)^%s = \[\n.*?^\]\n"
EXPORT = ["export", "--quiet", "--no-hashes", "--no-header", "--no-annotate"]
EXPORT += ["--no-emit-project", "--all-extras", "--all-groups"]
COMPILE = ["pip", "compile", "--quiet", "--universal", "--no-header", "--no-annotate", "-"]


def uv(words: list[str], folder: Path, given: str = "") -> list[str]:
    """The lines `name==version ; marker` that uv answers with."""
    answer = subprocess.run(["uv", *words], cwd=folder, input=given, capture_output=True, text=True, check=False)
    if answer.returncode:
        sys.exit(answer.stderr)
    return [line for line in answer.stdout.splitlines() if re.match(r"[\w.-]+==", line)]


def with_block(text: str, name: str, lines: list[str]) -> str:
    body = "".join(f'    "{line}",\n' for line in lines)
    return re.sub(BLOCK % name, f"{name} = [\n{body}]\n", text)


def main() -> None:
    path = ROOT / "pyproject.toml"
    text = path.read_text()
    names = ("constraint-dependencies", "build-constraint-dependencies")
    for name in names:
        text = with_block(text, name, [])
    build_needs = re.search(r'^requires = \["(.*)"\]$', text, re.M)
    assert build_needs is not None, "pyproject.toml says no [build-system] requires"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file in FILES:
            (folder / file).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
        (folder / "pyproject.toml").write_text(text)
        found = (uv(EXPORT, folder), uv(COMPILE, folder, build_needs[1].replace('", "', "\n")))
    for name, lines in zip(names, found, strict=True):
        text = with_block(text, name, lines)
    path.write_text(text)
    print(f"{len(found[0])} constraints, and {len(found[1])} for the build")


main()
