"""Describes the history of a dataset in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def describe_history(history: Sequence[dict[str, Any]]) -> list[str]:
    """One sentence for each thing that was done to the data, with how much it discarded or altered."""
    return [_SENTENCES[entry["stage"]](entry) for entry in history]


def contradictions(safety: int, preferences: int) -> str:
    """The number of published labels that contradict the truth, for any reason."""
    return f"{safety:,} safety labels, {preferences:,} preferences"


def _source(entry: dict[str, Any]) -> str:
    converted = "".join(f"; {text}" for text in entry["converted"])
    return (
        f"{entry['steps']:,} steps in {entry['episodes']:,} episodes read; {entry['steps_after_last_episode']:,} steps after "
        f"the last episode's end and {entry['episodes_too_short']:,} episodes shorter than a segment left out{converted}"
    )


def _sample(entry: dict[str, Any]) -> str:
    from_which = ""
    if "coverage" in entry:
        from_which = f" with `{entry['coverage']}`, which left out {entry['episodes_left_out']:,} episodes"
    drawn = f"{_drawn_by(entry['sampler'])}{from_which}"
    return f"{entry['pairs']:,} pairs {drawn}, {entry['pairs_test']:,} of them for the test split"


def _drawn_by(sampler: str) -> str:
    return "given by a file" if sampler == "file" else f"drawn by the sampler `{sampler}`"


def _label(entry: dict[str, Any]) -> str:
    return (
        f"labelled: {entry['safe']:,} of {entry['segments']:,} segments safe (cost at most {entry['segment_cost_limit']:g}), "
        f"{entry['ties']:,} preferences tied"
    )


def _noise(entry: dict[str, Any]) -> str:
    return f"noise flipped {entry['safety_flips']:,} safety labels and {entry['preference_flips']:,} preferences"


def _teach(entry: dict[str, Any]) -> str:
    return (
        f"preferences by the teacher `{entry['teacher']}`: {entry['mistaken']:,} mistakes, {entry['skipped']:,} pairs skipped, "
        f"{entry['equal']:,} called equal"
    )


def _annotate(entry: dict[str, Any]) -> str:
    return (
        f"safety labels by the annotators `{entry['safety_noise']}`: {entry['misses']:,} misses (unsafe called safe), "
        f"{entry['false_alarms']:,} false alarms, {entry['unanswered']:,} unanswered"
    )


def _answers(entry: dict[str, Any]) -> str:
    return (
        f"{entry['answers']:,} answers of {entry['annotators']:,} annotators about {entry['pairs']:,} pairs imported, one "
        f"label from them by `{entry['consensus']}`: {entry['unanswered_preferences']:,} preferences and "
        f"{entry['unanswered_safety']:,} safety labels stay without an answer"
    )


def _filter(entry: dict[str, Any]) -> str:
    return (
        f"filter `{entry['filter']}` removed {entry['removed']:,} of {entry['pairs_before']:,} pairs "
        f"(alone it would remove {entry['removed_alone']:,})"
    )


_SENTENCES = {
    "source": _source,
    "sample": _sample,
    "label": _label,
    "teach": _teach,
    "annotate": _annotate,
    "answers": _answers,
    "noise": _noise,
    "filter": _filter,
}
