"""The command line: each command parses its options, calls the library, and prints."""

from __future__ import annotations


def main(words: list[str] | None = None) -> None:
    """The program `presa`."""
    from presa.cli.app import main as run

    run(words)
