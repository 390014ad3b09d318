"""Prints how many labels each kind of error changes, from the datasets that cards/studies/run.py made.

    python cards/studies/wrong.py ROOT

ROOT is that of run.py. For each label set: the shares of safety labels and of preferences that differ from the true ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import safefeedback


def main(root: Path) -> None:
    """Prints a Markdown table: safety labels / preferences."""
    folders = sorted(folder for folder in (root / "data").glob("*-all") if (folder / "labels").is_dir())
    names = sorted({path.name for folder in folders for path in (folder / "labels").iterdir()})
    print("| safety labels / preferences that are wrong | " + " | ".join(folder.name for folder in folders) + " |")
    print("|" + "---|" * (len(folders) + 1))
    for name in names:
        cells = []
        for folder in folders:
            if not (folder / "labels" / name).is_dir():
                cells.append("")
                continue
            truth, said = safefeedback.read(folder, segments=False), safefeedback.read(folder, name, segments=False)
            answered = ~np.isnan(said.safe)
            wrong = (said.safe[answered] != truth.safe[answered]).mean(), (abs(said.preference - truth.preference) > 0.5).mean()
            cells.append(" / ".join(f"{share:.2f}" for share in wrong))
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
