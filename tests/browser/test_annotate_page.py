"""The page of `safefeedback annotate` in a real browser, against the real server."""

# ruff: noqa: F811 (fixtures are imported and are arguments)

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import accessible, ball, chromium, quick, served, tabs  # noqa: F401
from person import WAIT, Person, judge_circle
from server import Server

from safefeedback import Recipe, build_dataset, find_task, read
from safefeedback.plots.driving import decode_driving

NOW = "document.getElementById('waiting-now').click()"
THREE = ("Left is better", "Left is safe", "Right is unsafe")


def test_the_controls_are_called_what_scripts_rely_on(tabs: Callable[..., Any], quick: Server) -> None:
    tab = tabs()
    person = Person.at(tab, quick.link("names"))
    names = ["Left is better", "Right is better", "About equal", "Can't tell which is better"]
    names += [f"{side} is {word}" for side in ("Left", "Right") for word in ("safe", "unsafe")]
    names += ["Can't tell if left is safe", "Can't tell if right is safe", "Next", "Undo", "Pause"]
    for name in names:
        button = tab.get_by_role("button", name=name, exact=True)
        assert button.is_visible() and person.keys[name] == button.locator("kbd").inner_text()
    tab.get_by_role("button", name="Pause", exact=True).click()
    assert tab.get_by_role("button", name="Play", exact=True).is_visible()
    assert len(set(person.keys.values())) == len(person.keys)  # no key twice
    assert "name=" not in tab.url  # neither names nor tokens stay in the address
    assert tab.evaluate("document.documentElement.scrollHeight") <= 720


def test_what_is_drawn_is_the_pair_with_its_segments_where_it_says(tabs: Callable[..., Any], quick: Server, ball: Path) -> None:
    data = read(ball)
    row_of = {int(pair): row for row, pair in enumerate(data.pair_id)}
    person = Person.at(tabs(), quick.link("drawn"))
    for _ in range(6):
        seen = person.see()
        shown = data.observations[row_of[person.pair_id]]
        for side in (0, 1):
            segment = 1 - side if person.swapped else side
            np.testing.assert_allclose(seen[side]["x (m)"], 10 * shown[segment, :, 0], atol=6e-4)
            np.testing.assert_allclose(seen[side]["Speed (m/s)"], 5 * np.hypot(*shown[segment, :, 2:4].T), atol=6e-4)
        person.answer(*THREE)
    said = person.tab.get_attribute("#left", "aria-label")
    assert said.startswith("Left clip, step ") and "Speed" in said


def test_a_pair_needs_few_bytes(tabs: Callable[..., Any], quick: Server) -> None:
    tab, sizes = tabs(), []
    tab.on("response", lambda answer: sizes.append(len(answer.body())) if "/api/pair/" in answer.url else None)
    Person.at(tab, quick.link("bytes"))
    assert sizes and max(sizes) <= 40_000


def test_a_pair_of_metadrive_is_sent_packed_and_shown_as_it_is(tabs: Callable[..., Any], tmp_path: Path) -> None:
    """64 steps x 259 readings per segment: those that are drawn arrive as float16."""
    folder, _ = build_dataset(Recipe(find_task("easysparse"), pairs=2), "recordings", tmp_path / "drive")
    data, sizes = read(folder), []
    for server in served(folder, "--name", "drive", "--quick"):
        tab = tabs()
        tab.on("response", lambda answer: sizes.append(len(answer.body())) if "/api/pair/" in answer.url else None)
        person = Person.at(tab, server.link("packed"))
        shown = data.observations[data.pair_id.tolist().index(person.pair_id)]
        for side, seen in enumerate(person.see()):
            car = decode_driving(shown[1 - side if person.swapped else side])
            np.testing.assert_allclose(seen["Speed (km/h)"], np.maximum(car.speed, 0), atol=0.02)
            np.testing.assert_allclose(seen["Nearest thing (m)"], car.lidar.min(axis=-1), atol=0.03)
    assert sizes and max(sizes) == 2 * 64 * 85 * 2


def test_one_clock_moves_both_clips(tabs: Callable[..., Any], quick: Server) -> None:
    tab = tabs()
    person = Person.at(tab, quick.link("clock"))
    tab.keyboard.press("Space")
    tab.keyboard.press("Home")
    pixels = "id => document.getElementById(id).toDataURL()"
    start = [tab.evaluate(pixels, side) for side in ("left", "right")]
    for _ in range(5):
        person.press("One step forward")
    assert tab.inner_text("#step") == "6 / 64"
    moved = [tab.evaluate(pixels, side) for side in ("left", "right")]
    assert start[0] != moved[0] and start[1] != moved[1]
    person.press("One step back")
    assert tab.inner_text("#step") == "5 / 64"
    for _ in range(2):  # the slider moves both clips, whether they are paused or playing
        tab.locator("#scrub").fill("40")
        assert tab.inner_text("#step") == "41 / 64"
        tab.keyboard.press("Space")
    tab.get_by_role("button", name="Faster").click()
    assert tab.inner_text("#speed") == "2\u00d7"
    person.press("Loop")  # off: the clips stop at the end
    tab.get_by_role("button", name="Play", exact=True).wait_for()
    assert tab.inner_text("#step") == "64 / 64"


def test_undo_takes_back_choices_and_then_answers_also_of_earlier_pairs(tabs: Callable[..., Any], quick: Server) -> None:
    tab = tabs()
    person = Person.at(tab, quick.link("undo"))
    items = []
    for names in (THREE, ("Right is better", "Can't tell if left is safe", "Right is safe")):
        items.append(person.item)
        person.answer(*names)
    third = person.item
    person.press("About equal", "Left is unsafe", "Undo")
    assert person.pressed == ["About equal"]
    person.press("Undo")
    assert person.pressed == [] and person.item == third
    person.press("Undo")  # nothing left here: the previous pair
    assert person.await_pair(but=third) == items[1]
    assert set(person.pressed) == {"Right is better", "Can't tell if left is safe", "Right is safe"}
    person.press("Undo")
    assert person.await_pair(but=items[1]) == items[0]
    assert quick.progress("undo")["answered"] == 0
    person.answer("Can't tell which is better", "Left is unsafe")  # one changed, the others stay
    assert person.await_pair() == items[1] and quick.progress("undo")["answered"] == 1
    tab.reload()
    person.await_pair()
    assert person.item == items[1]


def test_a_keyboard_alone_reaches_every_control(tabs: Callable[..., Any], quick: Server) -> None:
    tab = tabs()
    person = Person.at(tab, quick.link("keyboard"))
    reached = []
    for _ in range(40):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.textContent"))
    controls = "[...document.querySelectorAll('button, input')].filter(one => one.checkVisibility() && !one.disabled)"
    wanted = set(tab.evaluate(f"{controls}.map(one => one.id || one.textContent)"))
    assert wanted <= set(reached)
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert tab.evaluate(outline) == "solid"
    tab.get_by_role("button", name="Left is better", exact=True).focus()
    tab.keyboard.press("Enter")  # a button in focus is pressed, not Next
    assert tab.get_by_role("button", name="Left is better", exact=True).get_attribute("aria-pressed") == "true"
    assert tab.inner_text("#hint") == ""
    tab.get_by_role("button", name="Menu").focus()
    tab.keyboard.press("Space")
    tab.get_by_role("button", name="Answer with single keys").click()
    tab.get_by_role("button", name="Go on").click()
    tab.keyboard.press(person.keys["Right is better"])  # single keys are off
    assert tab.get_by_role("button", name="Left is better", exact=True).get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("size", [(1024, 768), (390, 844)])
def test_touch_alone_answers_a_pair(tabs: Callable[..., Any], quick: Server, size: tuple[int, int]) -> None:
    tab = tabs(has_touch=True, is_mobile=size[0] < 500, viewport={"width": size[0], "height": size[1]})
    person = Person.at(tab, quick.link(f"touch{size[0]}"))
    item = person.item
    for name in (*THREE, "Next"):
        tab.get_by_role("button", name=name, exact=True).tap()
    assert person.await_pair(but=item) != item
    assert quick.progress(f"touch{size[0]}")["answered"] == 1
    assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_other_alphabets_answer_by_the_place_of_the_key(tabs: Callable[..., Any], quick: Server) -> None:
    tab = tabs()
    person = Person.at(tab, quick.link("letters"))
    press = (
        "([key, code]) => document.dispatchEvent(new KeyboardEvent('keydown', {key, code, bubbles: true, cancelable: true}))"
    )
    for key, code in (("ы", "KeyS"), ("\u03be", "KeyJ"), ("&", "Digit1")):  # Cyrillic, Greek, French
        tab.evaluate(press, [key, code])
    assert sorted(person.pressed) == ["Left is better", "Left is safe", "Right is safe"]


def test_two_tabs_of_one_person_answer_a_pair_once(tabs: Callable[..., Any], quick: Server) -> None:
    one = Person.at(tabs(), quick.link("twice"))
    other = Person.at(tabs(), quick.link("twice"))
    item = one.item
    assert other.item == item
    one.answer(*THREE)
    other.answer("Right is better", "Left is unsafe", "Right is safe")
    assert "answered already" in other.tab.inner_text("#hint") and other.item == one.item
    assert quick.progress("twice")["answered"] == 1


def test_a_server_that_goes_away_and_comes_back_has_the_answer_once(
    tabs: Callable[..., Any], chromium: Any, ball: Path
) -> None:
    server = Server(ball, "--name", "away", "--quick")
    try:
        tab = tabs()
        person = Person.at(tab, server.link("ann"))
        person.answer(*THREE)
        item = person.item
        sent = []
        tab.on("request", lambda request: sent.append(request.post_data_json) if request.url.endswith("/api/answer") else None)
        server.kill()
        person.press(*THREE, "Next")
        tab.get_by_text("The server cannot be reached. Your answer is kept here and sent again.").wait_for()
        accessible(tab, "server away")
        person.press("Next", "Undo", "About equal")  # while it waits, nothing is lost and nothing else is sent
        assert person.item == item and tab.locator("#waiting").is_visible()
        tab.wait_for_function("() => document.getElementById('waiting-seconds').textContent.includes(' 2 s')", timeout=WAIT)
        assert len(sent) >= 2
        server.start()
        tab.evaluate(NOW)
        person.await_pair(but=item)
        assert tab.locator("#waiting").is_hidden()
        assert server.progress("ann")["answered"] == 2
        assert len({one["id"] for one in sent}) == 1 and sent[0]["preference"] == "left"  # each attempt is the same answer
    finally:
        server.kill()


def test_an_answer_that_waits_outlives_a_reload(tabs: Callable[..., Any], quick: Server) -> None:
    tab = tabs()
    person = Person.at(tab, quick.link("reload"))
    item = person.item
    tab.route("**/api/answer", lambda route: route.abort())
    person.press(*THREE, "Next")
    tab.get_by_text("The server cannot be reached.").wait_for()
    tab.unroute("**/api/answer")
    tab.reload()
    person.await_pair(but=item)
    assert quick.progress("reload")["answered"] == 1


@pytest.mark.parametrize(
    ("status", "code"), [(507, "disk"), (503, "busy"), (429, "rate"), (422, "not-played"), (400, "bad-request")]
)
def test_each_failure_is_one_plain_sentence(tabs: Callable[..., Any], quick: Server, status: int, code: str) -> None:
    tab = tabs()
    person = Person.at(tab, quick.link(f"fails-{code}"))
    item = person.item
    sentence = f"This is the server's sentence about {code}."
    body = {"error": {"code": code, "message": sentence}}
    tab.route("**/api/answer", lambda route: route.fulfill(status=status, json=body))
    person.press(*THREE, "Next")
    tab.get_by_text(sentence).wait_for()
    assert person.item == item and tab.locator(".answer[aria-pressed=true]").count() == 3
    tab.unroute("**/api/answer")
    if tab.locator("#waiting").is_visible():
        tab.evaluate(NOW)  # unless it was tried in the meantime
    else:
        person.press("Next")
    person.await_pair(but=item)
    assert quick.progress(f"fails-{code}")["answered"] == 1


def test_a_link_that_is_not_valid_says_so(tabs: Callable[..., Any], quick: Server) -> None:
    tab = tabs()
    tab.goto(f"{quick.url}/?name=no%20such%20name")
    tab.get_by_role("heading", name="That did not work").wait_for()
    assert tab.locator("#text p").inner_text().endswith(".")
    accessible(tab, "not valid")


def test_a_person_who_looks_agrees_with_the_truth(tabs: Callable[..., Any], quick: Server, ball: Path) -> None:
    """The drawing shows enough: without slips, nearly all answers are those that follow from the true returns and costs."""
    truth = read(ball)
    row_of = {int(pair): row for row, pair in enumerate(truth.pair_id)}
    person, rng = Person.at(tabs(), quick.link("looks")), np.random.default_rng(0)
    agree = []
    for _ in range(12):
        better, left, right = judge_circle(person, rng, slips=0.0)
        row, order = row_of[person.pair_id], [1, 0] if person.swapped else [0, 1]
        chosen = order[0] if better.startswith("Left") else order[1]
        agree.append(truth.preference[row] == chosen)
        for word, segment in zip((left, right), order, strict=True):
            agree.append(bool(truth.safe[row, segment]) == word.endswith(" safe"))
        person.answer(better, left, right)
    assert np.mean(agree) > 0.9
