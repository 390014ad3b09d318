"""`tests/links.py`, which needs a network, against a server on loopback."""

from __future__ import annotations

import runpy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

LINKS = runpy.run_path(str(Path(__file__).with_name("links.py")))


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/here": 200, "/moved": 410, "/closed": 403}.get(self.path, 404))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


@pytest.mark.parametrize(
    ("page", "said"), [("here", "ok"), ("none", "gone: 404"), ("moved", "gone: 410"), ("closed", "no answer: 403")]
)
def test_only_what_a_host_says_is_gone(server: str, page: str, said: str) -> None:
    assert LINKS["answer"](f"{server}/{page}", 5) == said


def test_a_host_that_cannot_be_reached_says_nothing_about_the_page(server: str) -> None:
    assert LINKS["answer"]("http://127.0.0.1:1/", 5).startswith("no answer: ")


def test_it_finds_addresses_and_papers_and_leaves_out_what_is_no_page() -> None:
    found = LINKS["addresses"]()
    assert "README.md" in found["https://arxiv.org/abs/2512.20173"] and "https://pola.rs" in found
    assert not [address for address in found if "example" in address or address.startswith("https://schema.org/")]
