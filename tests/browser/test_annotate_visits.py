"""A whole visit to a study: information, consent, instructions, practice, pairs, a break, withdrawal."""

# ruff: noqa: F811 (fixtures are imported and are arguments)

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from fixtures import accessible, ball, chromium, tabs, whole  # noqa: F401
from person import Person
from server import Server

AT_THE_END = "() => document.getElementById('scrub').value === document.getElementById('scrub').max"
FAST = "for (let i = 0; i < 3; i++) document.getElementById('faster').click()"
THREE = ("Left is better", "Left is safe", "Right is unsafe")


def watch(tab: Any) -> None:
    """Plays both clips to their end, quickly."""
    tab.evaluate(FAST)
    tab.wait_for_function(
        "() => Number(document.getElementById('scrub').value) === Number(document.getElementById('scrub').max)"
    )


def begin(tab: Any, server: Server, name: str, check: Callable[[Any, str], None] = lambda tab, screen: None) -> None:
    """Goes from the link to the first practice pair; `check` is called on every screen."""
    tab.goto(f"{server.url}/")
    tab.get_by_role("heading", name="Who are you?").wait_for()
    check(tab, "name")
    tab.get_by_label("Your name").fill(name)
    tab.get_by_role("button", name="Begin").click()
    tab.get_by_role("heading", name="Before you begin").wait_for()
    assert tab.get_by_role("button", name="I agree").is_disabled()
    check(tab, "information")
    tab.get_by_role("checkbox").check()
    tab.get_by_role("button", name="I agree").click()
    tab.get_by_role("heading", name="How to answer").wait_for()
    check(tab, "instructions")
    tab.keyboard.press("Enter")
    tab.locator("#trial").wait_for()


def test_an_open_question_and_clips_that_were_not_watched_hold_the_person_back(tabs: Callable[..., Any], whole: Server) -> None:
    tab = tabs(reduced_motion="reduce")  # nothing starts playing by itself
    begin(tab, whole, "held")
    person = Person(tab, {})
    item = person.await_pair()
    person.press("Left is better", "Next")
    assert tab.inner_text("#hint").startswith("Not answered yet: ")
    assert tab.inner_text("#play").startswith("Play")
    person.press("Left is safe", "Right is safe", "Next")
    assert tab.inner_text("#hint") == "Please watch both clips to the end before you go on." and person.item == item


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_screen_from_the_link_to_withdrawal_has_no_violation_of_accessibility(
    tabs: Callable[..., Any], whole: Server, scheme: str
) -> None:
    tab = tabs(color_scheme=scheme)
    begin(tab, whole, f"visit-{scheme}", accessible)
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")
    person = Person(tab, {})
    for index in range(2):
        item = person.await_pair()
        assert tab.inner_text("#pair-title") == "Practice pair"
        watch(tab) if index == 0 else tab.wait_for_function(AT_THE_END)
        person.press(*THREE, "Next")
        tab.locator("#feedback p").first.wait_for()
        assert tab.locator("#feedback p").count() == 3
        accessible(tab, "feedback")
        person.press("Next")
    person.await_pair(but=item)
    assert tab.inner_text("#pair-title").startswith("Pair 1 of ")
    accessible(tab, "pair")
    person.press(*THREE)
    tab.get_by_role("button", name="Numbers").click()
    accessible(tab, "answered, with numbers")
    tab.wait_for_function(AT_THE_END)
    person.answer()
    assert whole.progress(f"visit-{scheme}")["answered"] == 1
    tab.get_by_role("button", name="Menu").click()
    accessible(tab, "menu")
    tab.get_by_role("button", name="Take a break").click()
    accessible(tab, "break")
    tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Menu").click()
    tab.get_by_role("button", name="Withdraw from the study").click()
    accessible(tab, "withdraw")
    tab.keyboard.press("Escape")  # keeps them
    assert whole.progress(f"visit-{scheme}")["answered"] == 1
    tab.get_by_role("button", name="Menu").click()
    tab.get_by_role("button", name="Withdraw from the study").click()
    tab.get_by_role("button", name="Delete my answers").click()
    tab.get_by_role("heading", name="You have withdrawn").wait_for()
    accessible(tab, "withdrawn")


def test_who_does_not_agree_leaves_nothing(tabs: Callable[..., Any], whole: Server) -> None:
    tab = tabs()
    tab.goto(whole.link("refuses"))
    tab.get_by_role("button", name="I do not agree").click()
    tab.get_by_role("heading", name="You do not take part").wait_for()
    assert tab.locator("#trial").is_hidden()
