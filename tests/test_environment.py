"""The repository's environment is written down to the version: for every Python, everything it asks for has one version."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
CONSTRAINTS = [Requirement(line) for line in PROJECT["tool"]["uv"]["constraint-dependencies"]]
ASKED = [
    Requirement(line)
    for lines in (
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
        PROJECT["tool"]["uv"]["override-dependencies"],
    )
    for line in lines
    if isinstance(line, str)  # another group's name is a table, and its lines are asked for already
]


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_every_dependency_has_one_version(python: str) -> None:
    """`uv run --no-project .ci/renew_constraints.py` repairs a failure here."""
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.7", "extra": ""}

    def applies(requirement: Requirement) -> bool:
        return requirement.marker is None or requirement.marker.evaluate(environment)

    versions: dict[str, list[str]] = {}
    for constraint in filter(applies, CONSTRAINTS):
        versions.setdefault(_plain(constraint.name), []).append(str(constraint.specifier).removeprefix("=="))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
    for asked in filter(applies, ASKED):
        if asked.name != PROJECT["project"]["name"]:
            (version,) = versions.get(_plain(asked.name), [""])
            assert version and asked.specifier.contains(version), f"{asked} has {version or 'no version'}"


def test_constraints_are_names_and_versions() -> None:
    """No address, no range, and the build's tools as well."""
    uv = PROJECT["tool"]["uv"]
    for line in uv["constraint-dependencies"] + uv["build-constraint-dependencies"]:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9a-z.+]+( ; [^:/]+)?", line), line
    assert "hatchling" in {Requirement(line).name for line in uv["build-constraint-dependencies"]}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
