"""Terminal output after a training, a study or an evaluation."""

from __future__ import annotations

from typing import Any

from safefeedback.terminal import say

MANY_EARLY = 0.1  # share of episodes that end before the time limit from which this is reported
LOW_RETURN = 0.25  # of the normalised return of the recorded segments


def failure_lines(failures: dict[str, dict[str, str]]) -> list[str]:
    """A line for each reason why cells of a study failed: `failures` is cell -> run -> why, run "" for the whole cell."""
    places: dict[str, list[str]] = {}
    for cell, reasons in failures.items():
        for run, why in reasons.items():
            places.setdefault(why, []).append(f"{cell} {run}".strip())
    return [f"FAILED {', '.join(some[:3])}{_and_more(len(some) - 3)}: {why}" for why, some in places.items()]


def _and_more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def print_evaluation(summary: dict[str, Any]) -> None:
    """Prints the results of an evaluation."""
    reward, recorded = summary["normalized_return"], summary.get("recorded_return")
    say(f"{summary['algorithm']} on {summary['task']}, {summary['episodes']} episodes, cost limit {summary['cost_limit']:g}")
    shown = "no reference returns to normalise by" if reward is None else f"{reward:.3f} normalised"
    data = "" if recorded is None else f"; the data's segments earn {recorded:.2f} at that pace"
    say(f"  reward  {shown} ({summary['return']:.2f} raw{data})")
    say(f"  cost    {summary['normalized_cost']:.3f} normalised ({summary['cost']:.2f} raw)   {verdict(summary)}")
    early = f"{summary['ended_early']:.0%} of the episodes ended early"
    say(f"  length  {summary['length']:.1f} of {summary['horizon']} steps; {early}")
    for note in summary.get("notes", ()):
        say(f"  note    {note}")


def count_runs(runs: int) -> str:
    """So many runs."""
    return f"{runs:,} run{'s' * (runs != 1)}"


def print_evaluations(summaries: dict[str, dict[str, Any] | str]) -> None:
    """The table of many runs: name -> its summary, or why it has none; and the means of the runs of one algorithm
    on one task in one folder."""
    from safefeedback.cli.output import print_table

    rows = [
        (name, *(("",) * 4 + (summary,) if isinstance(summary, str) else _cells(summary)))
        for name, summary in summaries.items()
    ]
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for name, summary in summaries.items():
        if not isinstance(summary, str):
            groups.setdefault((summary.get("algorithm"), summary.get("task"), name.rpartition("/")[0]), []).append(summary)
    for (algorithm, task, folder), judged in groups.items():
        if len(judged) > 1:
            of = f": {algorithm}, {task}{f', {folder}' * bool(folder)}" if len(groups) > 1 else ""
            rows.append((f"mean of {len(judged)}{of}", *_mean_cells(judged)))
    print_table(("run", "reward", "cost", "length", "early", ""), rows)
    print("means of the episodes; reward and cost normalised; early: ended before its time")


def _mean_cells(judged: list[dict[str, Any]]) -> tuple[str, ...]:
    """The means of runs, and how many of them are safe."""
    rewards = [summary["normalized_return"] for summary in judged]
    cost = sum(summary["normalized_cost"] for summary in judged) / len(judged)
    reward = None if None in rewards else sum(rewards) / len(rewards)
    mean = {name: sum(summary[name] for summary in judged) / len(judged) for name in ("length", "ended_early")}
    *numbers, words = _cells(mean | {"normalized_return": reward, "normalized_cost": cost, "safe": cost <= 1})
    return (*numbers, f"{words}; {sum(summary['safe'] for summary in judged)} are safe")


def _cells(summary: dict[str, Any]) -> tuple[str, ...]:
    reward = summary["normalized_return"]
    shown = "-" if reward is None else f"{reward:.3f}"
    ended = f"{summary['length']:.1f}", f"{summary['ended_early']:.0%}"
    return shown, f"{summary['normalized_cost']:.3f}", *ended, verdict(summary)


def verdict(summary: dict[str, Any]) -> str:
    """SAFE or UNSAFE, with a caveat if a safe policy fell over or does nothing."""
    words = ["SAFE" if summary["safe"] else "UNSAFE"]
    if summary["ended_early"] > MANY_EARLY:
        words.append(f"but {summary['ended_early']:.0%} ended early")
    reward, recorded = summary["normalized_return"], summary.get("recorded_normalized_return")
    if reward is not None and recorded is not None and reward < LOW_RETURN * recorded:
        words.append(f"but it earns less than {LOW_RETURN:.0%} of the data's return")
    return " ".join([words[0], ", ".join(words[1:])]).strip()
