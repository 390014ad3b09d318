"""Fixtures: Debian's Chromium, a dataset of BallCircle, and studies that are served from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from server import Server

from safefeedback import Recipe, build_dataset, find_task

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --mute-audio"
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAIRS = 60


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    pytest.importorskip("starlette", reason="the extra `annotate` is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, headless=True, args=FLAGS.split())
        yield browser
        browser.close()


def accessible(tab: Any, screen: str) -> None:
    """Fails if axe finds a violation."""
    if not tab.evaluate("() => 'axe' in window"):
        tab.evaluate(pytest.importorskip("axe_playwright_python.base").AXE_SCRIPT)
    found = tab.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(screen, one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []


@pytest.fixture
def tabs(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Makes tabs, each with its own browser profile; none may contact another host or fail in its script."""
    opened, wrong = [], []

    def new(**options: Any) -> Any:
        context = chromium.new_context(
            **{"viewport": {"width": 1280, "height": 720}, "reduced_motion": "no-preference", **options}
        )
        context.set_default_timeout(120_000)
        tab = context.new_page()
        tab.on("request", lambda request: wrong.append(request.url) if "127.0.0.1" not in request.url.split("/")[2] else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        opened.append(context)
        return tab

    yield new
    for context in opened:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pairs of BallCircle from the recordings that are shipped."""
    recipe = Recipe(find_task("BallCircle"), pairs=PAIRS)
    return build_dataset(recipe, source="recordings", out=tmp_path_factory.mktemp("browser") / "ball")[0]


@pytest.fixture(scope="module")
def quick(chromium: Any, ball: Path) -> Iterator[Server]:
    """A study that begins at once, in which everybody with a new name is given every pair."""
    yield from served(ball, "--name", "quick", "--quick", "--overlap", "40")


@pytest.fixture(scope="module")
def whole(chromium: Any, ball: Path) -> Iterator[Server]:
    """A study with information, consent and practice."""
    yield from served(ball, "--name", "whole", "--overlap", "40", "--practice", "2")


def served(folder: Path, *options: str) -> Iterator[Server]:
    server = Server(folder, *options)
    yield server
    server.kill()
