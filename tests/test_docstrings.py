"""Docstrings name the arguments and attributes that are there: a rename leaves no old name behind."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECTION = r"{}:\n((?:    .*\n?|\n)+)"
ENTRY = re.compile(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*):", re.MULTILINE)


def described(node: ast.AST, section: str) -> set[str]:
    """The names that a section of a docstring explains."""
    found = re.search(SECTION.format(section), ast.get_docstring(node) or "")  # type: ignore[arg-type]
    return {name.strip(" *") for entry in ENTRY.findall(found[1]) for name in entry.split(",")} if found else set()


def names_of(node: ast.AST) -> set[str]:
    """Every argument, attribute and field that a function or class has or uses."""
    inside = list(ast.walk(node))
    names = {one.arg for one in inside if isinstance(one, ast.arg)}
    names |= {one.attr for one in inside if isinstance(one, ast.Attribute)}
    return names | {one.target.id for one in inside if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)}


@pytest.mark.parametrize("package", ["safefeedback", "presa"])
def test_docstrings_name_what_is_there(package: str) -> None:
    wrong, count = [], 0
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                arguments = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
                stated, there = described(node, "Args"), arguments
            elif isinstance(node, ast.ClassDef):
                stated, there = described(node, "Attributes"), names_of(node)
            else:
                continue
            count += len(stated)
            wrong += [f"{path.relative_to(ROOT)}, {node.name}: {name}" for name in sorted(stated - there)]
    assert not wrong and count > 100
