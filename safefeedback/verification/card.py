"""Whether the card of a dataset says what its manifests say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safefeedback.card import YOURS, render
from safefeedback.verification.check import Check


def card_check(folder: Path, manifest: dict[str, Any], sets: dict[str, dict[str, Any]]) -> Check:
    """Checks README.md above the line below which people write; label sets that it does not know yet are no problem."""
    note = "README.md, written once more from the manifests"
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Check("card", (f"README.md cannot be read: {error}",), note)
    above, line, _ = text.partition(YOURS)
    if not line:
        return Check("card", ("README.md has lost the line that says where its own text ends",), note)
    named = {name: made for name, made in sets.items() if f"\n- config_name: {name}\n" in above}
    try:
        wanted = render(manifest, named).partition(YOURS)[0]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        return Check("card", (f"no card can be written from the manifests: {type(error).__name__} {error}",), note)
    late = [name for name in sets if name not in named]
    note += f"; it does not name {', '.join(late)} yet, which the next relabel or import mends" if late else ""
    ours, theirs = above.splitlines(), wanted.splitlines()
    rows = [row for row in range(max(len(ours), len(theirs))) if ours[row : row + 1] != theirs[row : row + 1]]
    shown = [f"README.md, line {row + 1}: {' '.join(ours[row : row + 1])[:80] or 'nothing'}" for row in rows[:1]]
    return Check("card", tuple(f"{line} is not what the manifests give" for line in shown), note)
