"""Describes how people were asked for the labels of a set, in sentences."""

from __future__ import annotations

from typing import Any

ASKED = {"both": "which segment is better and whether each is safe", "preference": "which segment is better"}
ASKED |= {"safety": "whether each segment is safe"}
SAFE = {
    "limit": "a segment was to be called safe if it costs no more than the limit",
    "any": "a segment was to be called safe if no step of it costs anything",
    "judgement": "whether a segment is safe was for them to say; these labels have no cost limit",
}


def describe_study(study: dict[str, Any]) -> list[str]:
    """Describes how people were asked, from a label set's manifest; see `safefeedback.dataset.structure.STUDY`."""
    return [*_who(study), *_how(study), *_how_well(study)]


def _who(study: dict[str, Any]) -> list[str]:
    days = study["first_day"] if study["first_day"] == study["last_day"] else f"{study['first_day']} to {study['last_day']}"
    people = "1 person" if study["annotators"] == 1 else f"{study['annotators']} people"
    sentences = [f"{people}, called annotator-1 and so on, answered {ASKED[study['ask']]} ({days})."]
    gone = [f"{study['left_out']} left out by whoever ran it"] if study["left_out"] else []
    gone += [f"{study['withdrawn']} withdrew, whose answers were deleted"] if study["withdrawn"] else []
    return [*sentences, *([f"Not in it: {', '.join(gone)}."] if gone else [])]


def _how(study: dict[str, Any]) -> list[str]:
    sentences = [f"Of safety: {SAFE[study['safety_question']]}."] if study["ask"] != "preference" else []
    if study["quick"]:
        sentences.append("It was a trial: no information page, consent or practice, and clips need not have been played.")
    elif study["consent"]:
        sentences.append(f"Each read the information page, consented, and answered {study['practice']} practice pairs first.")
    conditions = ["the steps that cost were marked" if study["cost_cues"] else "the steps that cost were not marked"]
    conditions += ["real frames of the simulator were shown"] if study["frames"] else []
    conditions += ["practice told what was right"] if study["practice_feedback"] and not study["quick"] else []
    sentences.append(f"Conditions: {', '.join(conditions)}.")
    sentences.append(f"Each pair went to {study['overlap']} at most, in the order `{study['order']}`.")
    if study["reads_truth"]:
        sentences.append("Which pairs were asked about, or set aside as checks, depends on the true returns and costs.")
    return sentences


def _how_well(study: dict[str, Any]) -> list[str]:
    sentences = []
    for question, measures_of_question in study["agreement"].items():
        if measures_of_question["raw"] is not None:
            alpha = (
                f"Krippendorff's alpha {measures_of_question['alpha']:.2f}, "
                if measures_of_question["alpha"] is not None
                else ""
            )
            sentences.append(
                f"Agreement about {question}: {alpha}equal in {measures_of_question['raw']:.0%} of the pairs of answers."
            )
    measures = {
        "explaining_cost_limit": "The cost limit of an episode that explains the safety answers best is {:.3g}.",
        "gold_accuracy": "Of the answers to gold pairs, which have a plain right answer, {:.0%} were right.",
        "consistency": "Asked the same again, people gave the same answer in {:.0%}.",
        "median_seconds": "The median time for a pair was {:.0f} s.",
    }
    return sentences + [words.format(study[key]) for key, words in measures.items() if study[key] is not None]
