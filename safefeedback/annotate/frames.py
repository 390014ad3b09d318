"""Rendered frames of the simulator for the segments of a dataset, made in advance by replaying its recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safefeedback.annotate.refusal import Refusal

WIDTH = HEIGHT = 160
COLUMNS = 8


def file_name(pair_id: int, segment: int) -> str:
    """Of the image of a segment's frames."""
    return f"{pair_id}-{segment}.jpg"


class Frames:
    """The frames that were made.

    Attributes:
        folder: where they are, an image a segment.
        description: of the frames, for the page.
    """

    def __init__(self, folder: Path, length: int) -> None:
        self.folder = folder
        self.description: dict[str, Any] = {
            "width": WIDTH,
            "height": HEIGHT,
            "columns": COLUMNS,
            "count": length,
            "type": "image/jpeg",
        }
        self._there = {path.name for path in folder.glob("*.jpg")}

    @staticmethod
    def find(folder: Path, length: int) -> Frames | None:
        """The frames in a folder, None where there are none."""
        frames = Frames(folder, length)
        return frames if frames._there else None

    def image(self, pair_id: int, segment: int) -> bytes:
        """A segment's frames as one image.

        Raises:
            Refusal: if there are none.
        """
        name = file_name(pair_id, segment)
        if name not in self._there:
            raise Refusal("not-found", "There are no frames of this segment.")
        return (self.folder / name).read_bytes()
