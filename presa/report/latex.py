"""The table as LaTeX, for a paper; it needs the package booktabs."""

from __future__ import annotations

from presa.report.markdown import line_name
from presa.report.paper import footnotes
from presa.report.tables import Entry, Table
from presa.study.reproduce import cell_command

SPECIAL = str.maketrans({"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#"})


def to_latex(table: Table, facts: list[str], warnings: list[str] | None = None, made_by: str = "") -> str:
    """A tabular with reward and cost of ours with their standard deviations over runs, and the paper's in grey below each line
    that has any; a second one with the lengths of the episodes and the share that ended early.

    What was run (`facts`, `made_by`), the `warnings`, what the grey numbers are worth, each cell's command and the notes on the
    paper are comments.
    """
    study = table.study
    levels = len(study.levels) > 1
    out = [
        r"% needs \usepackage{booktabs,xcolor}",
        r"\begin{tabular}{l" + "l" * levels + "rr" * len(study.columns) + "}",
        r"\toprule",
    ]
    heads = [r"\multicolumn{2}{c}{" + column.name.translate(SPECIAL) + "}" for column in study.columns]
    out.append(" & ".join(["", *([""] * levels), *heads]) + r" \\")
    out.append(" & ".join(["Task", *(["Level"] * levels), *["reward", "cost"] * len(study.columns)]) + r" \\")
    out.append(r"\midrule")
    for line in (*table.lines, *table.averages):
        place = [line_name(line).translate(SPECIAL), *([line.level] * levels)]
        out.append(" & ".join([*place, *(_ours(entry) for entry in line.entries)]) + r" \\")
        if any(entry.paper for entry in line.entries):
            paper = " & ".join([r"\textcolor{gray}{\quad paper}", *([""] * levels), *(_paper(entry) for entry in line.entries)])
            out.append(paper + r" \\")
    cells = [entry.cell for line in table.lines for entry in line.entries if entry.cell and entry.runs]
    grey = "in grey: the paper's" + ("" if table.compared else ", for orientation only: these are not the paper's recordings")
    notes = [
        *([grey] if study.paper else []),
        *footnotes(study.paper),
        *(f"{cell.place}: {cell_command(cell)}" for cell in cells),
    ]
    out += [r"\bottomrule", r"\end{tabular}"]
    header = [*facts, *([f"Made by: {made_by}"] if made_by else []), *(f"WARNING: {warning}" for warning in warnings or [])]
    return "\n".join([*(f"% {fact}" for fact in header), *out, "", *_lengths(table), *(f"% {note}" for note in notes), ""])


def _lengths(table: Table) -> list[str]:
    """The same cells' mean lengths, and shares of early endings."""
    levels = len(table.study.levels) > 1
    heads = [r"\multicolumn{2}{c}{" + column.name.translate(SPECIAL) + "}" for column in table.study.columns]
    out = [r"\begin{tabular}{l" + "l" * levels + "rr" * len(table.study.columns) + "}", r"\toprule"]
    out.append(" & ".join(["", *([""] * levels), *heads]) + r" \\")
    out.append(" & ".join(["Task", *(["Level"] * levels), *["length", "early"] * len(table.study.columns)]) + r" \\")
    out.append(r"\midrule")
    for line in table.lines:
        place = [line_name(line).translate(SPECIAL), *([line.level] * levels)]
        cells = []
        for entry in line.entries:
            length, early = entry.known("length"), entry.known("early")
            cells.append("-- & --" if length is None or early is None else rf"{length:.0f} & {100 * early:.0f}\%")
        out.append(" & ".join([*place, *cells]) + r" \\")
    return [*out, r"\bottomrule", r"\end{tabular}"]


def _ours(entry: Entry) -> str:
    if entry.reward is None or entry.cost is None:
        return "-- & --"
    shown = []
    for what in ("reward", "cost"):
        value, deviation = f"{getattr(entry, what):.2f}", entry.spread(what)
        shown.append(
            (rf"\textbf{{{value}}}" if entry.safe else value) + ("" if deviation is None else rf" $\pm$ {deviation:.2f}")
        )
    return " & ".join(shown)


def _paper(entry: Entry) -> str:
    if entry.paper is None:
        return " & "
    return rf"\textcolor{{gray}}{{{entry.paper.reward:.2f}}} & \textcolor{{gray}}{{{entry.paper.cost:.2f}}}"
