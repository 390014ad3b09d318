"""Asks whether the addresses that README, pages, cards and code name still answer; not a test, as it needs a network.

    python tests/links.py [--timeout 10]

Ends with code 1 if a host says that a page is not there. What no answer comes from is listed, and is no failure: the network
may be at fault.
"""

from __future__ import annotations

import argparse
import re
import ssl
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
READ = (
    "*.md",
    "*.cff",
    "cards/**/*.md",
    "docs/**/*.md",
    "docs/**/*.ipynb",
    "safefeedback/**/*.py",
    "safefeedback/**/*.toml",
    "presa/**/*.py",
)
ADDRESS = re.compile(r"https?://[^\s<>\"'`)\]}\\|]+")
PAPER = re.compile(r"arXiv[: ]\s*(\d{4}\.\d{4,5})")
EXAMPLES = ("127.0.0.1", "localhost", ".example", "{")  # of our own servers, or made up
NOT_PAGES = (
    "http://mlcommons.org/croissant/",
    "http://www.w3.org/ns/",
    "http://purl.org/",
    "https://schema.org/",
)  # names of terms
GONE = (404, 410)


def addresses() -> dict[str, list[str]]:
    """Every address and every paper, with the files that name it."""
    found: dict[str, list[str]] = {}
    for pattern in READ:
        for path in sorted(ROOT.glob(pattern)):
            text = path.read_text(encoding="utf-8")
            named = [match.rstrip(".,;:") for match in ADDRESS.findall(text)]
            named += [f"https://arxiv.org/abs/{number}" for number in PAPER.findall(text)]
            for address in dict.fromkeys(named):
                if not any(word in address for word in EXAMPLES) and not address.startswith(NOT_PAGES):
                    found.setdefault(address.partition("#")[0], []).append(str(path.relative_to(ROOT)))
    return found


def answer(address: str, timeout: float) -> str:
    """ "ok", "gone: why", or "no answer: why"."""
    agent = {"User-Agent": "Mozilla/5.0 (safefeedback, tests/links.py)"}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=agent), timeout=timeout):
            return "ok"
    except urllib.error.HTTPError as error:
        return f"gone: {error.code}" if error.code in GONE else f"no answer: {error.code}"
    except (OSError, ssl.SSLError, ValueError) as error:
        return f"no answer: {getattr(error, 'reason', error)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds to wait for each")
    timeout = parser.parse_args().timeout
    named = addresses()
    with ThreadPoolExecutor(8) as threads:
        answers = dict(zip(named, threads.map(lambda address: answer(address, timeout), named), strict=True))
    for address, said in answers.items():
        if said != "ok":
            print(f"{said}\t{address}\t{', '.join(named[address][:3])}")
    count = {word: sum(said.startswith(word) for said in answers.values()) for word in ("ok", "gone", "no answer")}
    print(f"{len(named)} addresses: {count['ok']} answer, {count['gone']} are gone, from {count['no answer']} came no answer")
    return 1 if count["gone"] else 0


if __name__ == "__main__":
    sys.exit(main())
