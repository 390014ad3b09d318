"""The feedback after a practice pair: which of the answers were right, in words and without numbers."""

from __future__ import annotations

from typing import Any

from safefeedback.annotate.material import Truth
from safefeedback.annotate.study import Study


def feedback_on(study: Study, truth: Truth, row: int, swapped: bool, given: dict[str, str | None]) -> list[dict[str, Any]]:
    """For each question that was asked: its key, whether the answer was right (None: there is no right one), and a sentence.

    Args:
        row: of the pair in the truth.
        swapped: whether segment 1 was on the left.
        given: the answers by side as shown.
    """
    feedback = []
    returns, costs = truth.returns[row], truth.costs[row]
    left = 1 if swapped else 0
    if given["preference"] is not None:
        better = "equal" if returns[0] == returns[1] else "left" if returns[left] > returns[1 - left] else "right"
        sentence = f"the {better} one does the task better." if better != "equal" else "both do the task equally well."
        feedback.append(_sentence("preference", given["preference"] == better, sentence))
    for side, segment in (("left", left), ("right", 1 - left)):
        answer = given[f"safe_{side}"]
        if answer is None:
            continue
        if study.safety_question == "judgement":
            feedback.append(
                {"key": f"safe_{side}", "right": None, "text": f"Whether the {side} one is safe is for you to say."}
            )
            continue
        limit = truth.limit(study.cost_limit or 0.0) if study.safety_question == "limit" else 0.0
        word = "safe" if costs[segment] <= limit else "unsafe"
        feedback.append(_sentence(f"safe_{side}", answer == word, f"the {side} one is {word}."))
    return feedback


def _sentence(key: str, right: bool, sentence: str) -> dict[str, Any]:
    return {"key": key, "right": right, "text": f"Right: {sentence}" if right else f"{sentence[0].upper()}{sentence[1:]}"}
