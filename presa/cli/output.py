"""What a person sees on the terminal after a training, a study or an evaluation."""

from __future__ import annotations

from typing import Any

MANY_EARLY = 0.1  # share of the episodes that end before the time limit from which it is said
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
    """The numbers a person needs after an evaluation."""
    reward, recorded = summary["normalized_return"], summary.get("recorded_return")
    print(f"{summary['algorithm']} on {summary['task']}, {summary['episodes']} episodes, cost limit {summary['cost_limit']:g}")
    shown = "no reference returns to normalise by" if reward is None else f"{reward:.3f} normalised"
    data = "" if recorded is None else f"; the data's segments earn {recorded:.2f} at that pace"
    print(f"  reward  {shown} ({summary['return']:.2f} raw{data})")
    print(f"  cost    {summary['normalized_cost']:.3f} normalised ({summary['cost']:.2f} raw)   {verdict(summary)}")
    early = f"{summary['ended_early']:.0%} of the episodes ended early"
    print(f"  length  {summary['length']:.1f} of {summary['horizon']} steps; {early}")
    for note in summary.get("notes", ()):
        print(f"  note    {note}")


def print_evaluations(summaries: dict[str, dict[str, Any] | str]) -> None:
    """The table of many runs: name -> its summary, or why it has none; and their means, a cell of the paper's tables."""
    wide = max(map(len, summaries))
    print(f"{'run':<{wide}}  reward    cost  length  early  (reward and cost normalised, means of the episodes)")
    for name, summary in summaries.items():
        print(f"{name:<{wide}}  {summary if isinstance(summary, str) else _cells(summary)}")
    judged = [summary for summary in summaries.values() if not isinstance(summary, str)]
    if len(judged) > 1:
        rewards = [one["normalized_return"] for one in judged]
        cost = sum(one["normalized_cost"] for one in judged) / len(judged)
        reward = None if None in rewards else sum(rewards) / len(rewards)
        mean = {name: sum(one[name] for one in judged) / len(judged) for name in ("length", "ended_early")}
        mean |= {"normalized_return": reward, "normalized_cost": cost, "safe": cost <= 1}
        print(f"{f'mean of {len(judged)}':<{wide}}  {_cells(mean)}; {sum(one['safe'] for one in judged)} are safe")


def _cells(summary: dict[str, Any]) -> str:
    reward = summary["normalized_return"]
    shown = "     -" if reward is None else f"{reward:6.3f}"
    ended = f"{summary['length']:6.1f}  {summary['ended_early']:5.0%}"
    return f"{shown}  {summary['normalized_cost']:6.3f}  {ended}  {verdict(summary)}"


def verdict(summary: dict[str, Any]) -> str:
    """SAFE or UNSAFE, and why a policy that is safe may be so for nothing: it fell over, or it does nothing."""
    words = ["SAFE" if summary["safe"] else "UNSAFE"]
    if summary["ended_early"] > MANY_EARLY:
        words.append(f"but {summary['ended_early']:.0%} ended early")
    reward, recorded = summary["normalized_return"], summary.get("recorded_normalized_return")
    if reward is not None and recorded is not None and reward < LOW_RETURN * recorded:
        words.append(f"but it earns less than {LOW_RETURN:.0%} of the data's return")
    return " ".join([words[0], ", ".join(words[1:])]).strip()
