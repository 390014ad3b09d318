"""The table as LaTeX, for a paper; it needs the package booktabs."""

from __future__ import annotations

from presa.report.markdown import name_of
from presa.report.tables import Entry, Table

SPECIAL = str.maketrans({"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#"})


def to_latex(table: Table) -> str:
    """A tabular with reward and cost of ours, and the paper's in grey below each line that has any."""
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
        place = [name_of(line).translate(SPECIAL), *([line.level] * levels)]
        out.append(" & ".join([*place, *(_ours(entry) for entry in line.entries)]) + r" \\")
        if any(entry.paper for entry in line.entries):
            theirs = " & ".join(
                [r"\textcolor{gray}{\quad paper}", *([""] * levels), *(_paper(entry) for entry in line.entries)]
            )
            out.append(theirs + r" \\")
    return "\n".join([*out, r"\bottomrule", r"\end{tabular}", ""])


def _ours(entry: Entry) -> str:
    if entry.reward is None or entry.cost is None:
        return "-- & --"
    shown = (f"{entry.reward:.2f}", f"{entry.cost:.2f}")
    return " & ".join(rf"\textbf{{{text}}}" if entry.safe else text for text in shown)


def _paper(entry: Entry) -> str:
    if entry.paper is None:
        return " & "
    return rf"\textcolor{{gray}}{{{entry.paper.reward:.2f}}} & \textcolor{{gray}}{{{entry.paper.cost:.2f}}}"
