"""What is optional: which extra brings a package, and how to install it here."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from safefeedback.errors import InputError

PACKAGES = {
    "torch": "train",
    "safetensors": "train",
    "matplotlib": "plots",
    "gymnasium": "sim",
    "bullet_safety_gym": "sim",
    "safety_gymnasium": "sim",
    "pybullet": "sim",
    "mujoco": "sim",
    "metadrive": "metadrive",
    "stable_baselines3": "collect",
    "filelock": "train",
    "jinja2": "train",
    "ray": "ray",
}
OLD_PYTHON = ("sim", "collect")  # whose wheels end with Python 3.11


def install(extra: str) -> str:
    """The command that adds an extra to this installation: of a clone, by uv; of a package, by what installed it."""
    note = " (Python 3.10 or 3.11)" if extra in OLD_PYTHON else ""
    try:
        ours = distribution("safefeedback")
        origin = json.loads(ours.read_text("direct_url.json") or "{}")
        by_uv = (ours.read_text("INSTALLER") or "").strip() == "uv"
    except (PackageNotFoundError, ValueError):
        origin, by_uv = {"dir_info": {"editable": True}}, True
    if origin.get("dir_info", {}).get("editable"):
        return f"uv sync --extra {extra}{note}"
    place = f" @ {origin['url']}" if "url" in origin else ""
    return f'{"uv pip" if by_uv else "pip"} install "safefeedback[{extra}]{place}"{note}'


def need(what: str, *packages: str) -> None:
    """Raises InputError, with the way to install it, if a package that something needs is not there."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise InputError(f"{what} needs {' and '.join(missing)}: {install(PACKAGES[missing[0]])}")


def lacking(error: ImportError) -> str | None:
    """What to say where an import failed because an extra is not installed; None if that is not why."""
    package = (error.name or "").partition(".")[0]
    return f"this needs {package}: {install(PACKAGES[package])}" if package in PACKAGES else None
