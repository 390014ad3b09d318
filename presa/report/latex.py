"""The table as LaTeX, for a paper; it needs the package booktabs."""

from __future__ import annotations

from presa.report.markdown import line_name
from presa.report.paper import footnotes
from presa.report.tables import Entry, Table
from presa.study.reproduce import cell_command

SPECIAL = str.maketrans({"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#"})


def to_latex(table: Table, facts: list[str]) -> str:
    """A tabular with reward and cost of ours, and the paper's in grey below each line that has any.

    What was run (`facts`), what the grey numbers are worth, each cell's command and the notes on the paper are comments.
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
            theirs = " & ".join(
                [r"\textcolor{gray}{\quad paper}", *([""] * levels), *(_paper(entry) for entry in line.entries)]
            )
            out.append(theirs + r" \\")
    cells = [entry.cell for line in table.lines for entry in line.entries if entry.cell and entry.runs]
    grey = "in grey: the paper's" + ("" if table.compared else ", for orientation only: these are not the paper's recordings")
    notes = [
        *([grey] if study.paper else []),
        *footnotes(study.paper),
        *(f"{cell.place}: {cell_command(cell)}" for cell in cells),
    ]
    out += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*(f"% {fact}" for fact in facts), *out, *(f"% {note}" for note in notes), ""])


def _ours(entry: Entry) -> str:
    if entry.reward is None or entry.cost is None:
        return "-- & --"
    shown = (f"{entry.reward:.2f}", f"{entry.cost:.2f}")
    return " & ".join(rf"\textbf{{{text}}}" if entry.safe else text for text in shown)


def _paper(entry: Entry) -> str:
    if entry.paper is None:
        return " & "
    return rf"\textcolor{{gray}}{{{entry.paper.reward:.2f}}} & \textcolor{{gray}}{{{entry.paper.cost:.2f}}}"
