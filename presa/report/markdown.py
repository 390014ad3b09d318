"""The report as Markdown."""

from __future__ import annotations

from presa.report.paper import footnotes
from presa.report.safety import paired_table, safety_table
from presa.report.statistics import Interval, mean, stratified_interval
from presa.report.tables import Entry, Line, Table
from presa.report.warnings import IDLE, baseline, is_idle
from presa.study.reproduce import cell_command
from safefeedback.tasks import tasks

CELL_MEANING = (
    "normalised reward / normalised cost, means ± standard deviations over runs (limits x seeds) of means over episodes, in "
    "lines of means over tasks; **bold** is safe: cost at most 1"
)


def to_markdown(
    table: Table,
    facts: list[str],
    figures: list[tuple[str, str]],
    commands: list[str] | None = None,
    warnings: list[str] | None = None,
    made_by: str = "",
) -> str:
    """The whole report.

    Args:
        table: what was found.
        facts: what was run.
        figures: (file, caption) of each.
        commands: that train each run again; None for those of the study's cells.
        warnings: what the reader must know.
        made_by: the command that made all of it.
    """
    study = table.study
    head = ["task", *(["level"] if len(study.levels) > 1 else []), *(column.name for column in study.columns)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for line in (*table.lines, *table.averages):
        place = [line_name(line), *([line.level] if len(study.levels) > 1 else [])]
        lines.append("| " + " | ".join([*place, *(_cell(entry, table.compared) for entry in line.entries)]) + " |")
    orientation = "and the difference" if table.compared else "for orientation: these are not the paper's recordings"
    notes = footnotes(study.paper)
    cells = [entry.cell for line in table.lines for entry in line.entries if entry.cell and entry.runs]
    where = "Each trains a run again, given the folder of its dataset."
    if any(command.startswith("presa evaluate") for command in commands or ()):
        where = f"{where[:-1]}, or plays a policy of one's own again, given its module."
    if commands is None:
        commands = [f"{cell_command(cell)}    # {cell.place}" for cell in cells]
        where = "In the folder of the study; `presa report` makes averages and figures of the same rows."
    counts = "" if study.name == "comparison" else "## Safe tasks\n\n" + _counts(table)
    parts = [
        f"# {study.title}",
        "\n".join(f"- {fact}" for fact in facts),
        f"Made by\n\n```sh\n{made_by}\n```" if made_by else "",
        "\n".join(f"> **Warning:** {warning}\n>" for warning in warnings or []).removesuffix("\n>"),
        f"Each cell: {CELL_MEANING}."
        + (f" In brackets the paper's ({', '.join(study.paper)}), {orientation}." if study.paper else ""),
        "\n".join(lines),
        counts,
        "## Lengths and early endings\n\n" + lengths_table(table),
        "## How sure the safety is\n\n" + safety_table(table),
        "## Over seeds\n\n" + _over_seeds(table) if study.name == "comparison" else "",
        "## Interquartile means\n\n" + _intervals(table),
        "## Paired tests\n\n" + tests if (tests := paired_table(table)) else "",
        *(f"![{caption}]({name})\n\n{caption}" for name, caption in figures),
        "## Commands\n\n" + where + "\n\n```\n" + "\n".join(commands) + "\n```",
        "## Known inconsistencies of the paper\n\n" + "\n".join(f"- {note}" for note in notes) if notes else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def line_name(line: Line) -> str:
    """The beginning of a line."""
    return f"{line.task}, mean of {line.average}" if line.average else line.task


def with_spread(entry: Entry, what: str) -> str:
    """0.40 ± 0.28"""
    value, deviation = getattr(entry, what), entry.spread(what)
    return f"{value:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}")


def reward_and_cost(reward: float | None, cost: float | None) -> str:
    """0.22 / 0.03"""
    return "-" if reward is None or cost is None else f"{reward:.2f} / {cost:.2f}"


def difference(entry: Entry) -> str:
    """+0.02 / -0.31, ours minus the paper's."""
    assert entry.paper is not None and entry.reward is not None and entry.cost is not None
    return f"{entry.reward - entry.paper.reward:+.2f} / {entry.cost - entry.paper.cost:+.2f}"


def _cell(entry: Entry, compared: bool) -> str:
    own = f"{with_spread(entry, 'reward')} / {with_spread(entry, 'cost')}" if entry.runs else "-"
    own = f"**{own}**" if entry.safe else own
    own += f" ({entry.missing} runs missing)" if entry.missing and entry.runs else ""
    if entry.paper is None:
        return own
    paper = reward_and_cost(*entry.paper)
    return f"{own} ({paper}{f'; {difference(entry)}' if compared and entry.runs else ''})"


def lengths_table(table: Table) -> str:
    """For every cell the mean length and the share of early endings, beside the rewards of cloning or the data."""
    leveled = len(table.study.levels) > 1
    head = ["task", *(["level"] if leveled else []), "baseline", *(column.name for column in table.study.columns)]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for line in table.lines:
        reference = baseline(line, table)
        first = [line.task, *([line.level] if leveled else []), "-" if reference is None else f"{reference:.2f}"]
        rows.append("| " + " | ".join([*first, *(length_words(entry, line, table) or "-" for entry in line.entries)]) + " |")
    driven = any((task := tasks().get(line.task)) is not None and task.domain == "MetaDrive" for line in table.lines)
    arriving = ", and not by arriving" * driven
    introduction = (
        f"Mean length of the episodes in steps · share of them that ended before the task's time limit{arriving}; **idle**: it "
        f"earns less than {IDLE:.0%} of the baseline, the reward of cloning everything, or else of the recorded segments."
    )
    return introduction + "\n\n" + "\n".join(rows)


def length_words(entry: Entry, line: Line, table: Table) -> str:
    """200 · 0% · **idle**"""
    length, early = entry.known("length"), entry.known("early")
    words = [] if length is None or early is None else [f"{length:.0f}", f"{early:.0%}"]
    return " · ".join([*words, *(["**idle**"] if is_idle(entry, line, table) else [])])


def _counts(table: Table) -> str:
    lines = ["| | ours | paper, same tasks |", "|---|---|---|"]
    for level in table.study.levels:
        for index, column in enumerate(table.study.columns):
            (ours, of), (theirs, known) = table.safe_count(index, level.name), table.paper_safe_count(index, level.name)
            name = f"{column.name}, {level.name}" if level.name else column.name
            lines.append(f"| {name} | {f'{ours} of {of}' if of else '-'} | {f'{theirs} of {known}' if known else '-'} |")
    return "\n".join(lines)


def _over_seeds(table: Table) -> str:
    lines = [
        "Means over runs with 95% bootstrap intervals over seeds, for each task and limit; one run has none.\n",
        "| task | level | method | reward | cost | runs |",
        "|---|---|---|---|---|---|",
    ]
    for line in table.lines:
        for entry, column in zip(line.entries, table.study.columns, strict=True):
            if entry.runs:
                shown = [_interval(stratified_interval([entry.by_policy(what)], mean)) for what in ("reward", "cost")]
                lines.append("| " + " | ".join([line.task, line.level, column.name, *shown, str(len(entry.runs))]) + " |")
    return "\n".join(lines)


def _interval(found: Interval) -> str:
    """0.52 (0.49 to 0.55)"""
    return f"{found.value:.2f}" + ("" if found.low != found.low else f" ({found.low:.2f} to {found.high:.2f})")


def _intervals(table: Table) -> str:
    lines = ["Over all runs and tasks, with 95% stratified bootstrap intervals.\n", "| | reward | cost |", "|---|---|---|"]
    for level in table.study.levels:
        for index, column in enumerate(table.study.columns):
            shown = []
            for what in ("reward", "cost"):
                found = table.interval(index, level.name, what)
                shown.append("-" if found is None else _interval(found))
            lines.append(f"| {f'{column.name}, {level.name}' if level.name else column.name} | {shown[0]} | {shown[1]} |")
    return "\n".join(lines)
