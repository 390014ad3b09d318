"""A hook of MkDocs that makes the reference pages from the code, so that nothing in them is typed twice."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click
from typer.main import get_command


def on_files(files: Files, config: Any) -> Files:
    """Adds the generated pages to those that are written by hand."""
    for name, text in pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.append(File.generated(config, f"{file.src_uri.removesuffix('.ipynb')}.md", content=notebook(file)))
    return files


def notebook(file: File) -> str:
    """A notebook as a page: its text and code, and how to open it."""
    name = file.src_uri.rpartition("/")[2]
    title, *rest = [
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for cell in json.loads(file.content_string)["cells"]
        if (text := "".join(cell["source"]))
    ]
    opened = f"uv run --with jupyterlab jupyter lab docs/pages/{file.src_uri}"
    about = f"[{name}]({name}) is this page as a notebook. In a clone, with Jupyter fetched for the occasion: `{opened}`"
    return "\n\n".join(["---\nsearch:\n  boost: 0.5\n---", title, about, *rest]) + "\n"  # pages that explain come first


def pages() -> dict[str, str]:
    """The Markdown of every generated page, by its name."""
    return {
        "safefeedback": commands("safefeedback"),
        "presa": commands("presa"),
        "algorithms": algorithms(),
        "variants": variants(),
        "columns": columns(),
        "benchmark": frozen(),
        "observations": observations(),
    }


def commands(program: str) -> str:
    """Every command of a program with its arguments and options, as typer tells them."""
    import importlib

    import typer

    command = get_command(importlib.import_module(f"{program}.cli.app").app)
    with typer.Context(command, info_name=program) as context:
        return get_docs_for_click(obj=command, ctx=context, name=program)


def algorithms() -> str:
    """Every algorithm: its class's docstring, with the settings that it inherits, and the presets."""
    from presa.algorithms import find_algorithm
    from presa.choices import ALGORITHMS, PRESETS

    parts = [
        "# Algorithms and their settings\n\n`presa train DATA --algorithm NAME --set SETTING=VALUE`. Every setting is a field "
        "of the algorithm's class; `--preset` sets several at once, and an explicit value always wins."
    ]
    for name in ALGORITHMS:
        algorithm = find_algorithm(name)
        described = settings(algorithm)
        rows = [
            f"| `{field.name}` | `{field.default!r}` | {described.get(field.name, '')} |"
            for field in dataclasses.fields(algorithm)
        ]
        parts.append(f"## {name}\n\n{summary(algorithm)}\n\n| setting | default | |\n|---|---|---|\n" + "\n".join(rows))
    parts.append(
        "## Presets\n\n"
        + "\n\n".join(
            f"### {name}\n\n| setting | value |\n|---|---|\n" + "\n".join(f"| `{k}` | `{v!r}` |" for k, v in values.items())
            for name, values in PRESETS.items()
        )
    )
    return "\n\n".join(parts) + "\n"


def frozen() -> str:
    """The frozen datasets of the benchmark's version 1."""
    from safefeedback.dataset.benchmark import benchmark

    found = benchmark()
    parts = [
        f"# The benchmark's frozen pairs\n\nVersion {found.version}; [the benchmark](../benchmark.md) says how they are used. "
        "`safefeedback build` prints the content hash, and `safefeedback verify` makes every window and label again."
    ]
    for task, content in found.content.items():
        rows = f"| recordings, sha256 | `{found.recordings[task]}` |\n| content, sha256 | `{content}` |"
        parts.append(f"## {task}\n\n    {found.command(task)}\n\n| | |\n|---|---|\n{rows}")
    return "\n\n".join(parts) + "\n"


def observations() -> str:
    """What the numbers of an observation are, and where costs are simple what costs, as the package itself decodes them."""
    from safefeedback.plots import driving, geometry

    bullet = []
    for task, arena in geometry.BULLET.items():
        body = geometry.BODIES[task.removesuffix("Circle").removesuffix("Run")]
        known = [f"0, 1: place x, y, in units of {body.metres:g} m"]
        known += [f"{body.altitude}: height above ground, likewise"] if body.altitude is not None else []
        known += [f"{body.velocity}, {body.velocity + 1}: velocity along x, y, in units of {body.metres_per_second:.3g} m/s"]
        known += [f"{body.yaw}, {body.yaw + 1}: sine and cosine of the direction"] if body.yaw is not None else []
        known += [f"{body.quaternion} to {body.quaternion + 3}: quaternion x, y, z, w"] if body.quaternion is not None else []
        costs = [f"abs({axis}) over {limit:g} m" for axis in "xy" if (limit := getattr(arena, f"{axis}_limit")) is not None]
        costs += [f"speed over {arena.speed_limit:g} m/s"] if arena.speed_limit is not None else []
        earns = f"clockwise along the circle of radius {arena.circle:g} m" if arena.circle else "along x"
        bullet.append(f"| {task} | {'; '.join(known)} | {earns} | {' or '.join(costs)} |")
    lidar = geometry.LIDAR_BINS
    gym = [
        f"| {body} | 3, 4: velocity forward and to the left, in m/s; 9, 10: magnetometer; from {first} on: lidars |"
        for body, first in geometry.SENSORS.items()
    ]
    lidars = [f"| ...{name}1, ...{name}2 | {', '.join(sees)} |" for name, sees in geometry.LIDARS.items()]
    velocity = [
        f"| {task} | {', '.join(map(str, indices))} | {limit:g} m/s |" for task, (indices, limit) in geometry.VELOCITY.items()
    ]
    car = [f"| {name} | {text} |" for name, text in settings(driving.DrivingState).items()]
    return f"""# Observations and costs

What the numbers of an observation mean, for a policy that is written by hand. Tests compare it with the running simulators.
Numbers that are not named here (joints, contacts, other sensors) are in the simulator's own order. Actions lie in [-1, 1].

## BulletGym

A step costs 1 as the last column says; a Circle task pays for going round fast, a Run task for going ahead fast.

| task | index: what | pays | a step costs 1 at |
|---|---|---|---|
{chr(10).join(bullet)}

## SafetyGym

Bodies of the navigation tasks:

| body | index: what |
|---|---|
{chr(10).join(gym)}

Each lidar has {lidar} readings from 0 (nothing in reach) to 1 (touching); reading i looks i/{lidar} of a turn to the left:

| task | lidars, in this order |
|---|---|
{chr(10).join(lidars)}

In the velocity tasks a step costs 1 if the speed is over the limit:

| task | index of the velocity | limit |
|---|---|---|
{chr(10).join(velocity)}

## MetaDrive

`safefeedback.plots.driving.decode_driving(observations)` gives, of observations [..., {driving.DIMS}]:

| name | what |
|---|---|
{chr(10).join(car)}

Each kilometre an hour above {driving.FREE_SPEED:g} costs 0.01 a step; a crash costs 1, and so does leaving the road.
"""


def columns() -> str:
    """The columns of every table, with type and meaning."""
    from safefeedback.dataset import columns as tables

    parts = [
        "---\nsearch:\n  boost: 2\n---\n\n# Columns\n\nOf the tables in [a dataset's folder](files.md). L is the steps of a "
        "segment, O and A the numbers of an observation and of an action. `load_dataset(name)` gives `pairs`, "
        '`load_dataset(name, "oracle")` another one of them.'
    ]
    for title, about, known in (
        ("pairs", "What a method may learn from.", tables.PAIRS),
        ("oracle", "The truth about the same rows.", tables.ORACLE),
        (
            "oracle, with some teachers and annotators",
            "What they did to each label; of one recipe only those that it makes.",
            tables.MARKS,
        ),
        (
            "scalars",
            "Two rows a pair. This is the oracle's side too: no method that learns from feedback may read it.",
            tables.SCALARS,
        ),
        (
            "labels/SET",
            "A label set, joined to `pairs` by `pair_id`; its own truth, in `SET-oracle`, has the columns of `oracle`.",
            {**tables.PAIR_ID, **tables.LABELS},
        ),
        (
            "labels/SET/answers",
            "Every single answer of people. What follows `is_safe_1` is there if it was recorded.",
            tables.ANSWERS,
        ),
    ):
        rows = []
        for name, (kind, meaning) in known.items():
            names = ", ".join(f"`{name.replace('_0', f'_{side}')}`" for side in (0, 1)) if "_0" in name else f"`{name}`"
            rows.append(f"| {names} | {kind} | {meaning} |")
        parts.append(f"## {title}\n\n{about}\n\n| column | type | meaning |\n|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def variants() -> str:
    """Every sampler, coverage, teacher, annotator, filter, kind of source, simulator domain and export format by name."""
    from importlib import import_module

    from safefeedback.dataset.export import FORMATS
    from safefeedback.feedback.annotators import ANNOTATORS
    from safefeedback.feedback.coverage import COVERAGE
    from safefeedback.feedback.filters import FILTERS
    from safefeedback.feedback.sampling import SAMPLERS
    from safefeedback.feedback.teachers import TEACHERS
    from safefeedback.simulators import SIMULATORS
    from safefeedback.sources.kinds import KINDS

    kinds = {
        "Samplers": ("--sampler", SAMPLERS),
        "Coverage": ("--coverage", COVERAGE),
        "Teachers": ("--teacher", TEACHERS),
        "Annotators": ("--safety-noise", ANNOTATORS),
        "Filters": ("--filter", FILTERS),
    }
    parts = [
        "# Samplers, teachers and other choices\n\nThe first five are given as `NAME` or `NAME:SETTING=VALUE,SETTING=VALUE`."
    ]
    for title, (option, known) in kinds.items():
        described = {name: text for one in known.values() if fields_of(one) for name, text in settings(type(one)).items()}
        alike = len({type(one) for one in known.values()}) == 1 and dataclasses.is_dataclass(next(iter(known.values())))
        about = "\n\nAll have the same settings. The first line shows the defaults, the others what differs:" if alike else ""
        rows = []
        for name, one in known.items():
            first = next(iter(known.values())) if alike else None
            shown = ", ".join(
                f"{field.name}={getattr(one, field.name)}"
                for field in fields_of(one)
                if first in (None, one) or getattr(one, field.name) != getattr(first, field.name)
            )
            rows.append(f"| `{name}` | {f'`{shown}`' if shown else ''} |" + (f" {summary(one)} |" if not alike else ""))
        head = "| name | settings |\n|---|---|\n" if alike else "| name | settings | |\n|---|---|---|\n"
        parts.append(f"## {title}\n\n`{option}`{about}\n\n{head}" + "\n".join(rows))
        if described:
            parts.append("| setting | |\n|---|---|\n" + "\n".join(f"| `{name}` | {text} |" for name, text in described.items()))
    listed = {
        ("Kinds of source", "--source"): {
            f"{name}:NAME" if kind.module else "a path" if name == "file" else name: kind.description
            for name, kind in KINDS.items()
        },
        ("Simulator domains", "--domain"): {name: summary(import_module(module)) for name, module in SIMULATORS.items()},
        ("Export formats", "--format"): {name: one.description for name, one in FORMATS.items()},
    }
    for (title, option), lines in listed.items():
        rows = [f"| `{name}` | {text} |" for name, text in lines.items()]
        parts.append(f"## {title}\n\n`{option}`\n\n| name | |\n|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def fields_of(one: Any) -> tuple[dataclasses.Field, ...]:
    """The settings of a variant that is a dataclass; none of a function."""
    return dataclasses.fields(one) if dataclasses.is_dataclass(one) else ()


def summary(one: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    text = (one.__doc__ or type(one).__doc__ or "").strip().split("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


def settings(algorithm: type) -> dict[str, str]:
    """What the docstrings of a class and its bases say of each attribute, by name; the class itself comes first."""
    import inspect

    found: dict[str, str] = {}
    for base in algorithm.__mro__:
        lines = inspect.cleandoc(base.__dict__.get("__doc__") or "").splitlines()
        if "Attributes:" not in lines:
            continue
        names, text = [], []
        for line in [*lines[lines.index("Attributes:") + 1 :], ""]:
            entry = line.startswith("    ") and not line.startswith("     ") and ": " in line
            if entry or not line.strip():
                for name in names:
                    found.setdefault(name, " ".join(text).replace("|", "\\|"))
                if not line.strip():
                    break
                head, _, rest = line.strip().partition(": ")
                names, text = [name.strip() for name in head.split(",")], [rest]
            else:
                text.append(line.strip())
    return found
