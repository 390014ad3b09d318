"""The report as one self-contained page: figures are inside it, and every number links to its runs."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from presa.report.markdown import difference, line_name, with_spread
from presa.report.paper import footnotes
from presa.report.tables import Entry, Line, Table
from presa.report.warnings import is_idle
from presa.study.reproduce import cell_command

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def to_page(
    table: Table,
    facts: list[str],
    figures: list[tuple[str, Figure, str]],
    warnings: list[str] | None = None,
    made_by: str = "",
) -> str:
    """The page; `facts` say what was run, `made_by` by which command, `figures` are (name, figure, caption)."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template("page.html.jinja").render(
        study=table.study,
        facts=facts,
        warnings=warnings or [],
        made_by=made_by,
        compared=table.compared,
        leveled=len(table.study.levels) > 1,
        lines=[_line(table, line) for line in (*table.lines, *table.averages)],
        counts=_counts(table),
        figures=[(svg(figure), caption) for _, figure, caption in figures],
        notes=footnotes(table.study.paper),
    )


def svg(figure: Figure) -> str:
    """A figure as SVG to stand in a page, with the same bytes for the same figure."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "presa", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return re.sub(r"^.*?(?=<svg)", "", text.getvalue(), flags=re.DOTALL)


def _line(table: Table, line: Line) -> dict[str, Any]:
    entries = [_entry(table, line, entry, column.name) for entry, column in zip(line.entries, table.study.columns, strict=True)]
    return {"name": line_name(line), "level": line.level, "average": line.average, "entries": entries}


def _entry(table: Table, line: Line, entry: Entry, column: str) -> dict[str, Any]:
    return {
        "column": column,
        "reward": entry.reward,
        "cost": entry.cost,
        "shown": [with_spread(entry, what) for what in ("reward", "cost")] if entry.runs else [],
        "length": entry.known("length"),
        "early": entry.known("early"),
        "idle": not line.average and is_idle(entry, line, table),
        "safe": entry.safe,
        "missing": entry.missing,
        "paper": entry.paper,
        "difference": difference(entry) if table.compared and entry.paper and entry.runs else None,
        "runs": entry.runs if entry.cell else (),
        "command": cell_command(entry.cell) if entry.cell else None,
    }


def _counts(table: Table) -> list[dict[str, Any]]:
    """For each column and level how many tasks are safe, and the interquartile means."""
    return [
        {
            "name": f"{column.name}, {level.name}" if level.name else column.name,
            "ours": table.safe_count(index, level.name),
            "paper": table.paper_safe_count(index, level.name),
            "reward": table.interval(index, level.name, "reward"),
            "cost": table.interval(index, level.name, "cost"),
        }
        for level in table.study.levels
        for index, column in enumerate(table.study.columns)
    ]
