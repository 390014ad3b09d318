"""A scripted person: sees what the page draws, through its table of numbers, and answers with the keys shown on its buttons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

READ = """() => ["left", "right"].map((side) => {
    const table = document.getElementById(`numbers-${side}`);
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => Number(cell.textContent)));
    return Object.fromEntries(heads.map((head, index) => [head, rows.map((row) => row[index])]));
})"""
NAME = "button => [...button.childNodes].filter(one => one.nodeName !== 'KBD').map(one => one.textContent).join('')"
WAIT = 120_000  # milliseconds: the machine may be busy


@dataclass
class Person:
    """One person at one tab.

    Attributes:
        tab: Playwright's page.
        keys: what is shown on each button, by its accessible name.
    """

    tab: Any
    keys: dict[str, str]

    @staticmethod
    def at(tab: Any, link: str) -> Person:
        """Opens a personal link of a study in which pairs are shown at once."""
        tab.goto(link)
        person = Person(tab, {})
        person.await_pair()
        return person

    def await_pair(self, but: str | None = None) -> str:
        """The item that is shown, once it is another one than `but`."""
        self.tab.wait_for_function(
            "but => !document.getElementById('trial').hidden && document.getElementById('main').dataset.item !== but"
            " && !document.querySelector('#questions.locked')",
            arg=but,
            timeout=WAIT,
        )
        if not self.keys:
            for button in self.tab.locator("#trial button:has(kbd)").all():
                name = button.get_attribute("aria-label") or button.evaluate(NAME)
                self.keys[name] = button.locator("kbd").inner_text()
        return self.item

    @property
    def item(self) -> str:
        return self.tab.get_attribute("main", "data-item")

    @property
    def pair_id(self) -> int:
        return int(self.tab.get_attribute("main", "data-pair-id"))

    @property
    def swapped(self) -> bool:
        return self.tab.get_attribute("main", "data-swapped") == "true"

    @property
    def pressed(self) -> list[str]:
        """The chosen answers."""
        return [button.evaluate(NAME) for button in self.tab.locator(".answer[aria-pressed=true]").all()]

    def see(self) -> list[dict[str, np.ndarray]]:
        """The numbers behind both drawings, [left, right], by the table's headings."""
        if self.tab.locator("#numbers").is_hidden():
            self.tab.get_by_role("button", name="Numbers").click()
        return [{head: np.array(values) for head, values in side.items()} for side in self.tab.evaluate(READ)]

    def press(self, *names: str) -> None:
        """Presses the keys shown on these buttons."""
        for name in names:
            self.tab.keyboard.press({"←": "ArrowLeft", "→": "ArrowRight"}.get(self.keys[name], self.keys[name]))

    def answer(self, *names: str) -> None:
        """Answers the pair, continues, and waits for the next pair or the end."""
        before = self.item
        self.press(*names, "Next")
        self.tab.wait_for_function(
            "but => document.getElementById('trial').hidden || document.getElementById('main').dataset.item !== but",
            arg=before,
            timeout=WAIT,
        )


def judge_circle(person: Person, rng: np.random.Generator, slips: float) -> tuple[str, str, str]:
    """Answers a pair of a Bullet Circle task by what is drawn: distance along the circle near its line, steps beyond the lines.

    Args:
        slips: share of the answers that are the opposite of what was seen.

    Returns:
        The names of the three buttons.
    """
    said = person.tab.inner_text("#limit")
    allowed = re.search(r"at most (\d+) of \d+", said)
    assert allowed, said
    better, safe = [], []
    for side in person.see():
        x, y = side["x (m)"], side["y (m)"]
        middle_x, middle_y = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
        around = middle_y * np.diff(x) - middle_x * np.diff(y)  # clockwise
        off = np.abs(np.hypot(middle_x, middle_y) - 7.0)
        better.append(float((around / (1 + off)).sum()))
        safe.append(int((np.abs(x) > 6).sum()) <= int(allowed.group(1)))
    wrong = rng.uniform(size=3) < slips
    left = (better[0] > better[1]) != wrong[0]
    words = ["safe" if (good != slip) else "unsafe" for good, slip in zip(safe, wrong[1:], strict=True)]
    return ("Left is better" if left else "Right is better", f"Left is {words[0]}", f"Right is {words[1]}")
