"""Imports and their errors: packages of an extra, and the user's own code by its name."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

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
    "tensorboard": "train",
    "wandb": "trackers",
    "trackio": "trackers",
    "PIL": "plots",
    "av": "video",
    "starlette": "annotate",
    "uvicorn": "annotate",
    "ray": "ray",
}
OLD_PYTHON = ("sim", "collect")  # whose wheels end with Python 3.11
METADRIVE = (  # what pip is told instead of the extra, since it cannot leave out a package's own pins: see pyproject.toml
    "metadrive-simulator==0.2.6.0",
    "panda3d==1.10.16 panda3d-gltf panda3d-simplepbr gymnasium==0.28.1 pygame seaborn tqdm",
)


def install_command(extra: str) -> str:
    """The command that adds an extra to this installation: of a clone, by uv; of a package, by what installed it."""
    note = " (Python 3.10 or 3.11)" if extra in OLD_PYTHON else ""
    origin, tool = _installation()
    if origin.get("dir_info", {}).get("editable"):
        return f"uv sync --extra {extra}{note}"
    if extra == "metadrive":
        return f"{tool} install --no-deps {METADRIVE[0]} && {tool} install {METADRIVE[1]}"
    place = f" @ {origin['url']}" if "url" in origin else ""
    return f'{tool} install "safefeedback[{extra}]{place}"{note}'


def install_package_command(requirement: str) -> str:
    """The command that adds a package that no extra brings, such as "imageio[ffmpeg]", to this installation."""
    return f'{_installation()[1]} install "{requirement}"'


def _installation() -> tuple[dict[str, Any], str]:
    """Where this package came from (PEP 610), and which tool installed it: "uv pip" or "pip"."""
    from importlib.metadata import PackageNotFoundError, distribution  # which brings all of `email`

    try:
        package = distribution("safefeedback")
        origin = json.loads(package.read_text("direct_url.json") or "{}")
        return origin, "uv pip" if (package.read_text("INSTALLER") or "").strip() == "uv" else "pip"
    except (PackageNotFoundError, ValueError):
        return {"dir_info": {"editable": True}}, "uv pip"


def require_packages(purpose: str, *packages: str) -> None:
    """Raises InputError, with the way to install it, if a package that something needs is not there."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise InputError(f"{purpose} needs {' and '.join(missing)}: {install_command(PACKAGES[missing[0]])}")


def missing_extra(error: ImportError) -> str | None:
    """The error message if an import failed because an extra is not installed; None if that is not the reason."""
    package = (error.name or "").partition(".")[0]
    return f"this needs {package}: {install_command(PACKAGES[package])}" if package in PACKAGES else None


def is_module(name: str) -> bool:
    """Whether the text reads package.module."""
    return all(word.isidentifier() for word in name.split("."))


def is_object(name: str) -> bool:
    """Whether the text reads package.module:name."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and is_module(module) and attribute.isidentifier()


def has_module(name: str) -> bool:
    """Whether the module's package can be found; modules in the working folder are found as well. Imports nothing."""
    _allow_local_imports()
    return find_spec(name.partition(".")[0]) is not None


def load_module(name: str) -> ModuleType:
    """The module of that name; modules in the working folder are found as well.

    Raises:
        InputError: if it, or a module that it needs, is not there, or its own code fails.
    """
    _allow_local_imports()
    with failures_of(name, everywhere=True):
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            raise InputError(f"{name} cannot be imported: {error}") from None


def load_object(name: str) -> Any:
    """What `package.module:name` names.

    Raises:
        InputError: if there is no such module or name.
    """
    if not is_object(name):
        raise InputError(f"'{name}' does not name anything: it must read package.module:name")
    module, _, attribute = name.partition(":")
    loaded = load_module(module)
    try:
        return getattr(loaded, attribute)
    except AttributeError:
        raise InputError(f"the module {module} has no '{attribute}'") from None


@contextmanager
def failures_of(name: str, everywhere: bool = False) -> Iterator[None]:
    """Says in one line what failed in the user's code `package.module:name`, and where in its file.

    Raises:
        InputError: in place of an exception that comes from that file, or with `everywhere` of any other; sys.exit() counts
            where that file calls it.
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        file, every = str(module_file(name.partition(":")[0])), traceback.extract_tb(error.__traceback__)
        frames = [frame for frame in every if frame.filename == file]
        theirs = bool(frames) or everywhere
        if isinstance(error, SystemExit):  # which a signal's handler may raise as well
            theirs = bool(frames) and frames[-1] is every[-1]
        if not theirs:
            raise
        where = f" ({Path(file).name}, line {frames[-1].lineno})" if frames else ""
        words = " ".join([f"{type(error).__name__}{':' * bool(str(error))}", *str(error).split()])
        raise InputError(f"{name} failed: {words}{where}") from error


def module_file(module: str) -> Path | None:
    """The module's file, whether it is imported or not; None if there is none. Imports nothing."""
    _allow_local_imports()
    if (known := getattr(sys.modules.get(module), "__file__", None)) is not None:
        return Path(known)
    first, *below = module.split(".")
    try:
        spec = find_spec(first)
    except ValueError:  # a module that was made by hand
        return None
    origin = Path(spec.origin) if spec is not None and spec.origin is not None else None
    for name in below:
        if origin is None:
            return None
        folder = origin.parent / name
        origin = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    return origin if origin is not None and origin.is_file() else None


def _allow_local_imports() -> None:
    if "" not in sys.path:
        sys.path.insert(0, "")
