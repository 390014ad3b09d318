"""Verifies the card of a dataset against its manifests."""

from __future__ import annotations

from pathlib import Path

from safefeedback.dataset.card import NOTES_MARKER, PICTURES, best_pictures, pictures_in, render, stated_place
from safefeedback.dataset.citation import SOFTWARE_CITATION
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.verification.check import Check
from safefeedback.version import __version__


def card_check(folder: Path, manifest: Manifest, sets: dict[str, LabelSetManifest]) -> Check:
    """Checks README.md above the line below which people write; label sets and plots that it does not name yet, because
    the command that added them was killed before it wrote the card, are no problem."""
    note = "README.md, written once more from the manifests"
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Check("card", (f"README.md cannot be read: {error}",), note)
    above, line, _ = text.partition(NOTES_MARKER)
    if not line:
        return Check("card", ("README.md has lost the line that says where its own text ends",), note)
    named = {name: label_set for name, label_set in sets.items() if f"\n- config_name: {name}\n" in above}
    pictures, shown = pictures_in(folder), [name for name in PICTURES if f"(plots/{name})" in above]
    expected = render(manifest, named, [name for name in shown if name in pictures], stated_place(above)).partition(
        NOTES_MARKER
    )[0]
    if SOFTWARE_CITATION not in above:
        expected = expected.replace(f"\n\n{SOFTWARE_CITATION}", "")  # cards of earlier versions cite the paper alone
    late = [name for name in sets if name not in named] + [
        f"plots/{name}" for name in best_pictures(pictures) if name not in shown
    ]
    note += f"; {', '.join(late)} came later: inspect, relabel and labels import write the card anew" if late else ""
    card_lines, wanted_lines = above.splitlines(), expected.splitlines()
    rows = [
        row
        for row in range(max(len(card_lines), len(wanted_lines)))
        if card_lines[row : row + 1] != wanted_lines[row : row + 1]
    ]
    if not rows:
        return Check("card", (), note)
    stated, true = (" ".join(lines[rows[0] : rows[0] + 1])[:80] or "nothing" for lines in (card_lines, wanted_lines))
    problem = f"README.md, line {rows[0] + 1} says {stated!r}, but the manifests give {true!r}"
    version = manifest.version
    problem += f" (it was written by safefeedback {version}, this is {__version__})" if version != __version__ else ""
    return Check("card", (problem,), note)
