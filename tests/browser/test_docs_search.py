"""The documentation's search, in a real browser: questions from public trackers lead to the page that answers them."""

# ruff: noqa: F811 (fixtures are imported and are arguments)

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fixtures import chromium, tabs  # noqa: F401

ROOT = Path(__file__).parents[2]
QUESTIONS = json.loads((ROOT / "tests" / "data" / "questions.json").read_text())  # from public trackers
NEWCOMERS = json.loads(
    (ROOT / "tests" / "data" / "newcomers.json").read_text()
)  # made up, before looking at where the answer is
FIRST = 5  # results that a person looks at


@pytest.fixture(scope="module")
def site(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serves the built pages on loopback; returns the address."""
    pytest.importorskip("mkdocs", reason="the group 'docs' is not installed")
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(ROOT / "docs" / "mkdocs.yml"), "-d", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_people_ask_leads_to_its_page(tabs: Callable[..., Any], site: str) -> None:
    tab = tabs()
    tab.goto(site)
    box, missed = tab.locator("input.md-search__input"), []
    box.click()
    for question in [*QUESTIONS, *NEWCOMERS]:
        box.fill("")
        box.press("Backspace")  # the search reacts to keys
        tab.wait_for_function("() => !document.querySelector('.md-search-result__item')")
        box.fill(question["search"])
        box.press("End")
        tab.wait_for_function("() => /\\d|No/.test(document.querySelector('.md-search-result__meta').textContent)")
        tab.wait_for_timeout(150)
        links = tab.locator(".md-search-result__item > .md-search-result__link").evaluate_all("all => all.map(a => a.pathname)")
        pages = list(dict.fromkeys(link.strip("/") for link in links))
        if question["page"].removesuffix("index") not in pages[:FIRST]:
            missed.append((question["search"], question["page"], pages[:FIRST]))
    assert not missed, "\n".join(map(str, missed))


def test_there_are_forty_questions_and_each_page_exists() -> None:
    assert len({question["source"] for question in QUESTIONS}) >= 40
    assert len(NEWCOMERS) >= 10
    assert all(question["source"].startswith("https://github.com/") for question in QUESTIONS)
    for question in [*QUESTIONS, *NEWCOMERS]:
        assert question["question"].endswith(("?", "."))
        page = ROOT / "docs" / "pages" / f"{question['page']}.md"
        made = ("reference/", "notebooks/")  # when the site is built
        assert page.is_file() or question["page"].startswith(made), question["page"]
