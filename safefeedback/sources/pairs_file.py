"""Reads given pairs from a CSV file."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import numpy as np

from safefeedback.errors import InputError
from safefeedback.types import Episodes, Pairs

COLUMNS = ("episode_0", "start_0", "episode_1", "start_1")
LARGEST = 2**31


def read_pairs(path: Path, length: int, count: int | None = None) -> tuple[Pairs, str]:
    """The pairs that a CSV file names in its columns episode_0, start_0, episode_1 and start_1; other columns are ignored.

    Args:
        path: the file.
        length: L, steps in every segment.
        count: how many of the pairs, the first in the file; None for all.

    Returns:
        The pairs, with pair_id counting them from 0, all in the training split; and the sha256 of the file.

    Raises:
        InputError: naming the line, if the file cannot be read, a pair compares a window with itself or stands there twice, or
            fewer pairs are there than asked for.
    """
    try:
        content = path.read_bytes()
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        reader.fieldnames = head = [name.strip() for name in reader.fieldnames or ()]
        lines = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--pairs-from {path} cannot be read: {error}") from None
    if missing := [name for name in COLUMNS if name not in head]:
        raise InputError(f"--pairs-from {path} has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    chosen: list[tuple[int, ...]] = []
    first_lines: dict[tuple[int, ...], int] = {}
    for line, row in lines if count is None else lines[:count]:
        values = tuple(_whole(row.get(name), f"{path}, line {line}: {name}") for name in COLUMNS)
        if values[:2] == values[2:]:
            raise InputError(f"{path}, line {line}: the two segments are the same window")
        one, other = sorted((values[:2], values[2:]))
        if (first := first_lines.setdefault(one + other, line)) != line:
            raise InputError(f"{path}, line {line}: the pair of line {first} again")
        chosen.append(values)
    if not chosen:
        raise InputError(f"--pairs-from {path} names no pair")
    if count is not None and len(chosen) < count:
        raise InputError(f"--pairs asks for {count:,} pairs, but {path} names only {len(chosen):,}")
    table = np.array(chosen, np.int64)
    pairs = Pairs(table[:, [0, 2]], table[:, [1, 3]], length, np.arange(len(table)), np.zeros(len(table), bool))
    return pairs, hashlib.sha256(content).hexdigest()


def check_inside(pairs: Pairs, episodes: Episodes) -> None:
    """Raises InputError if a pair names an episode that is not there, or a window that leaves its episode."""
    unknown = (pairs.episode < 0) | (pairs.episode >= len(episodes))
    lengths = episodes.lengths[np.where(unknown, 0, pairs.episode)]
    outside = unknown | (pairs.start < 0) | (pairs.start + pairs.length > lengths)
    if not outside.any():
        return
    row, side = np.argwhere(outside)[0]
    which = f"pair {pairs.pair_id[row]} of --pairs-from, segment {side}"
    file, episode, first = episodes.source.file, pairs.episode[row, side], pairs.start[row, side]
    if unknown[row, side]:
        raise InputError(f"{which}: {file} has no episode {episode}; it has {len(episodes):,}, counted from 0")
    last = first + pairs.length - 1
    raise InputError(f"{which}: steps {first} to {last} of episode {episode}, which has {lengths[row, side]} in {file}")


def _whole(text: str | None, where: str) -> int:
    """A whole number, which pandas may have written as 17.0."""
    plain = (text or "").strip()
    digits = plain[:-2] if plain.endswith(".0") else plain
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or int(digits) >= LARGEST:
        raise InputError(f"{where} is '{plain[:20]}', not a whole number from 0 on")
    return int(digits)
