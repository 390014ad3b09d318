"""The columns of every table of a dataset, by table: their type and what they mean.

The reference and Croissant's metadata are made of them. L is the steps of a segment, O and A the numbers of an observation and
of an action. A segment's column has a twin for the other segment, with _1 for _0.
"""

from __future__ import annotations

Columns = dict[str, tuple[str, str]]

LABELS: Columns = {
    "preference": (
        "float32",
        "index of the better segment: 0.0 segment 0, 1.0 segment 1, 0.5 a tie, values between are soft, null is unanswered",
    ),
    "is_safe_0": ("bool", "whether the segment is safe; null is unanswered"),
}
PAIR_ID: Columns = {"pair_id": ("int64", "index of the draw; filters leave gaps, and ids are never reused")}
PAIRS: Columns = {
    **PAIR_ID,
    "episode_0": ("int32", "the episode of the segment: every episode of the source counted from 0, in order"),
    "start_0": ("int32", "first step of the segment, counted from its episode's first"),
    "episode_length_0": ("int32", "how many steps the segment's episode has; absent in older datasets"),
    "observations_0": ("float32, a list of L x O", "the segment's observations, flat, row-major"),
    "actions_0": ("float32, a list of L x A", "the actions as recorded, flat, row-major; they may exceed the action bounds"),
    **LABELS,
}
ORACLE: Columns = {
    **PAIR_ID,
    "return_0": ("float64", "true return of the segment: the sum of its rewards"),
    "cost_0": ("float64", "true cost of the segment"),
    "clean_preference": ("float32", "the true preference, before any teacher or noise"),
    "clean_is_safe_0": ("bool", "the true safety label, before any annotator or noise"),
    "preference_flipped": ("bool", "whether noise flipped the preference"),
    "is_safe_0_flipped": ("bool", "whether noise flipped the safety label"),
}
MARKS: Columns = {  # further columns of oracle, of some teachers and annotators
    "preference_probability": (
        "float32",
        "of a teacher: the probability that segment 1 is preferred, before halo and mistakes",
    ),
    "preference_mistaken": ("bool", "of a teacher: whether it made a mistake"),
    "preference_skipped": ("bool", "of a teacher: whether it gave no answer, as both segments earn too little"),
    "preference_equal": ("bool", "of a teacher: whether it called a tie, as the returns lie close"),
    "preference_halo": ("bool", "of the teacher halo: whether it preferred the safe segment"),
    "is_safe_0_votes": ("float32, a list", "of the annotator panel: what each member answered; NaN is unanswered"),
    "is_safe_0_error_probability": ("float32", "of the annotators rates and boundary: the probability of a wrong label"),
}
SCALARS: Columns = {
    "pair_id": ("int64", "index of the draw"),
    "segment": ("int8", "which of the pair's two segments: 0 or 1"),
    "episode": ("int32", "the episode of the segment, counted from 0"),
    "start": ("int32", "first step of the segment in its episode"),
    "length": ("int32", "how many steps the segment has"),
    "return": ("float64", "true return of the segment"),
    "cost": ("float64", "true cost of the segment"),
    "preferred": ("float32", "1.0 where the segment is the better one, 0.5 in a tie; null is unanswered"),
    "preference_flipped": ("bool", "whether noise flipped the pair's preference"),
    "is_safe": ("bool", "the published safety label; null is unanswered"),
    "is_safe_flipped": ("bool", "whether noise flipped the segment's safety label"),
}
ANSWERS: Columns = {
    "pair_id": ("int64", "the pair that was shown"),
    "annotator": ("string", "who answered"),
    **LABELS,
    "preference_cannot_tell": ("bool", "whether the annotator could not tell which segment is better"),
    "is_safe_0_cannot_tell": ("bool", "the same of the segment's safety"),
    "segment_1_left": ("bool", "whether segment 1 was shown on the left"),
    "position": ("int32", "how many pairs the annotator had seen before"),
    "order": ("string", "the order in which pairs were assigned"),
    "probability": ("float32", "the probability with which this pair was assigned, where the order draws"),
    "seconds": ("float32", "how long the answer took"),
    "day": ("string", "the day of the answer"),
    "quick": ("bool", "whether it was given in a trial (`annotate --quick`), without the information page"),
}


def both_sides(columns: Columns) -> Columns:
    """The columns in the order in which they are stored, those of segment 1 after those of segment 0."""
    sides: Columns = {}
    for name, described in columns.items():
        sides |= {name.replace("_0", f"_{side}"): described for side in (0, 1)} if "_0" in name else {name: described}
    return sides
