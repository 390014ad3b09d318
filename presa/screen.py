"""What a person sees on the terminal during a training and after an evaluation."""

from __future__ import annotations

import sys
from typing import Any

SHOWN = {
    "loss": "loss",
    "preference_loss": "pref",
    "p_safe": "p_safe",
    "p_unsafe": "p_unsafe",
    "nu": "nu",
    "saturated": "saturated",
    "data_mse": "mse",
    "test_preference_accuracy": "test_pref",
    "test_cost_preference_accuracy": "test_cost_pref",
    "test_safety_accuracy": "test_safety",
    "true_correlation": "correlation",
    "evaluated_reward": "reward",
    "evaluated_cost": "cost",
}


def report_line(line: dict[str, Any], steps: int) -> str:
    """One report in one line."""
    numbers = [f"{name} {line[key]:.3g}" for key, name in SHOWN.items() if line.get(key) is not None]
    return f"{line['stage']:<5}{line['step']:>9,}/{steps:,}  {'  '.join(numbers)}"


def shout(text: str) -> None:
    """A warning nobody overlooks, on stderr."""
    colour, plain = ("\033[1;31m", "\033[0m") if sys.stderr.isatty() else ("", "")
    print(f"{colour}WARNING: {text}{plain}", file=sys.stderr, flush=True)


def print_evaluation(summary: dict[str, Any]) -> None:
    """The numbers a person needs after an evaluation."""
    reward = summary["normalized_return"]
    print(f"{summary['algorithm']} on {summary['task']}, {summary['episodes']} episodes, cost limit {summary['cost_limit']:g}")
    shown = "no reference returns to normalise by" if reward is None else f"{reward:.3f} normalised"
    print(f"  reward  {shown} ({summary['return']:.2f} raw)")
    verdict = "SAFE" if summary["safe"] else "UNSAFE"
    print(f"  cost    {summary['normalized_cost']:.3f} normalised ({summary['cost']:.2f} raw)   {verdict}")
    print(f"  length  {summary['length']:.1f} steps")
    for note in summary.get("notes", ()):
        print(f"  note    {note}")
