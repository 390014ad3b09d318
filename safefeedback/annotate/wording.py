"""The text that annotators read: the task's aim, the limit, the questions, the instructions and the study's information
page."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from safefeedback.annotate.study import Study
from safefeedback.errors import InputError
from safefeedback.feedback.labels import segment_cost_limit
from safefeedback.files import write_text
from safefeedback.plots import geometry
from safefeedback.tasks import Task

Section = dict[str, Any]  # heading, paragraphs
CLOCKWISE = "Go round the green circle clockwise, close to its line, and as fast as possible."
COUNTER = "Go round the green circle counter-clockwise, close to its line, and as fast as possible."
AIMS = {
    **{f"{body}Circle": CLOCKWISE for body in geometry.BODIES},
    **{f"{body}Run": "Run forward, to the right, as far as possible." for body in geometry.BODIES},
    **{f"{body}Circle{level}": COUNTER for body in geometry.SENSORS for level in "12"},
    **{f"{body}Goal{level}": "Reach the green goals, one after the other." for body in geometry.SENSORS for level in "12"},
    **{f"{body}Button{level}": "Press the button that is the goal." for body in geometry.SENSORS for level in "12"},
    **{f"{body}Push{level}": "Push the box into the goal." for body in geometry.SENSORS for level in "12"},
}
CONSENT = "I have read this page, I am 18 or older, and I take part of my own free will."
BLANK = re.compile(r"\[[^\]]*\]")
TEMPLATE = """# Information for those who answer

Text in square brackets is to be filled in. A paragraph that keeps a bracket is shown to nobody, and no link for others
is given out while there is one.

## Aim of the study

[Who runs this study, and what the answers are for.]

## What you are asked to do

You will see pairs of short recordings of a simulated robot, side by side, and answer a few questions about each pair. Every
answer takes one key or one click. There is no right speed; a break is offered every 50 pairs, and a session ends after 45
minutes.

## Time and pay

[How long it takes in all, and what you are paid.]

## Your answers

Your answers, the time they took and how often you played a recording are stored. They may be published without your name
and with no time but the day. You can stop at any moment, and withdraw: then your answers are deleted.

## Whom to ask

[A name and an address for questions and complaints.]

## Ethics

[The approval, with its number, or why the study is exempt.]
"""


def _costs(task: Task) -> tuple[str, str] | None:
    """What costs 1 a step, and what such a step is; None where the drawing does not show it."""
    world = geometry.arena(task.name, task.observation_dim)
    if task.name in geometry.VELOCITY:
        return f"Going faster than {geometry.VELOCITY[task.name][1]:.2g} m/s", "too fast"
    if world is None:
        return None
    if world.speed_limit is None:
        return "Crossing a line", "over the line"
    return f"Crossing a line or going faster than {world.speed_limit:g} m/s", "over the line or too fast"


def safety_criterion(study: Study, task: Task, length: int, horizon: int) -> str:
    """The definition of safe in the question."""
    known, limit = _costs(task), segment_cost_limit(study.cost_limit or 0.0, length, horizon)
    if study.safety_question == "any":
        return f"no step {known[1]}" if known else "nothing dangerous touched"
    return f"at most {math.floor(limit)} of {length} steps {known[1]}" if known else f"a cost of at most {limit:.3g}"


def limit_sentence(study: Study, task: Task, length: int, horizon: int) -> str:
    """What costs, and how much of it is safe."""
    violation = (_costs(task) or ("Coming too close to what is dangerous",))[0]
    limit = segment_cost_limit(study.cost_limit or 0.0, length, horizon)
    if study.safety_question == "judgement":
        return f"{violation} is bad; whether a recording is safe is for you to say."
    if study.safety_question == "any":
        return f"{violation} is unsafe, even for one step."
    return f"{violation} costs 1 a step; safe is at most {math.floor(limit)} of {length} steps."


def questions(study: Study, task: Task, length: int, horizon: int, safety_first: bool) -> list[dict[str, Any]]:
    """The questions in a person's order, with the values and labels of their answers."""
    criterion = safety_criterion(study, task, length, horizon)
    words = "Would you call the {} one safe?" if study.safety_question == "judgement" else f"Is the {{}} one safe: {criterion}?"
    preference = {
        "key": "preference",
        "text": "Which does the task better, safety aside?",
        "answers": [
            {"value": "left", "label": "Left is better"},
            {"value": "right", "label": "Right is better"},
            {"value": "equal", "label": "About equal"},
            {"value": "cannot-tell", "label": "Can't tell which is better"},
        ],
    }
    safety = [
        {
            "key": f"safe_{side}",
            "text": words.format(side),
            "answers": [
                {"value": "safe", "label": f"{side.capitalize()} is safe"},
                {"value": "unsafe", "label": f"{side.capitalize()} is unsafe"},
                {"value": "cannot-tell", "label": f"Can't tell if {side} is safe"},
            ],
        }
        for side in ("left", "right")
    ]
    by_kind = {"preference": [[preference]], "safety": [safety], "both": [[preference], safety]}[study.ask]
    return [question for block in (reversed(by_kind) if safety_first else by_kind) for question in block]


def instructions(study: Study, aim: str, limit: str) -> list[Section]:
    """How to answer, section by section."""
    played = "" if study.quick else " Play both recordings at least once before you answer."
    sections = [
        {"heading": "The task", "paragraphs": [aim, limit]},
        {"heading": "The screen", "paragraphs": [f"Two recordings run side by side on one clock.{played}"]},
    ]
    if study.ask != "safety":
        sections.append(
            {
                "heading": "Which is better",
                "paragraphs": [
                    "Say which one does the task better, as if safety did not matter. Take 'About equal' where you see no "
                    "difference, and 'Can't tell' where the drawing does not show enough."
                ],
            }
        )
    if study.ask != "preference":
        sections.append(
            {
                "heading": "Which is safe",
                "paragraphs": ["Judge each one by itself, as if its task did not matter. Both can be safe, or neither.", limit],
            }
        )
    return sections


def aim_of(task: Task) -> str:
    """The aim of the task, in a sentence."""
    if task.name in AIMS:
        return AIMS[task.name]
    if task.name in geometry.VELOCITY:
        return "Move forward as far as possible."
    return f"Do the task {task.name} as well as possible."


def write_template(path: Path) -> None:
    """Writes the information page to be filled in, where there is none."""
    if not path.exists():
        write_text(path, TEMPLATE)


def read_information(path: Path) -> tuple[list[Section], int]:
    """The sections of an information page, and how many of its paragraphs are still to be filled in, which are left out.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the information page {path} cannot be read: {error}") from None
    return parse_information(text)


def parse_information(text: str) -> tuple[list[Section], int]:
    """The same, of the page's text."""
    sections: list[Section] = []
    blanks = 0
    for part in re.split(r"^##\s+", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        paragraphs = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", body) if paragraph.strip()]
        kept = [paragraph for paragraph in paragraphs if not BLANK.search(paragraph)]
        blanks += len(paragraphs) - len(kept)
        if kept:
            sections.append({"heading": heading.strip(), "paragraphs": kept})
    return sections, blanks
