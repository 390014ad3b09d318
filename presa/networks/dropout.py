"""The masks of dropout: a random number for every hidden unit and state, compared with a limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


class Masks:
    """The masks of R runs, on M states each, of layers of some widths H.

    Attributes:
        numbers: int16 [R, M, H] of each layer; [] without dropout.
        limit: a unit is kept if its number is above.
        dropout: the share of units that are dropped.
    """

    def __init__(
        self, runs: int, rows: int, widths: Sequence[int], dropout: float, bits: int, device: torch.device | str
    ) -> None:
        """`bits` of a number: 16 drops a unit with its probability to 1/65536; 8 to 1/256, from half as many random words."""
        dropped = min(round(dropout * (1 << bits)), (1 << bits) - 1)
        self.bits, self.limit = bits, (dropped << (16 - bits)) - 32768 - 1
        self.dropout = dropout if bits == 16 else dropped / 256
        units = [rows * width for width in widths]
        drawn = -(-sum(units) * bits // 64) * 4 if self.dropout > 0 else 0  # in words of four numbers
        both = torch.empty(runs, drawn * 16 // bits, dtype=torch.int16, device=device)
        self.drawn, self.shifted = both[:, :drawn], both[:, drawn:]
        cut = both[:, : sum(units)].split(units, 1) if drawn else []
        self.numbers = [part.unflatten(1, (rows, width)) for part, width in zip(cut, widths, strict=False)]

    def draw(self, generators: Sequence[torch.Generator]) -> None:
        """Draws every run's numbers from its generator; with 8 bits on a CPU from SFC64 with its seed, in a third of the time.

        Numbers are cut from 64-bit words, since `bernoulli_` takes seven times as long on a CPU. With 8 bits the high byte of
        each number that is drawn decides on a unit of the first half, the low byte on one of the second.
        """
        if not self.numbers:
            return
        for words, generator in zip(self.drawn.view(torch.int64), generators, strict=True):
            if self.bits == 8 and generator.device.type == "cpu":
                raw = np.random.SFC64(generator.initial_seed()).random_raw(len(words))
                words.copy_(torch.from_numpy(raw.view(np.int64)))
            else:
                words.random_(-(2**63), None, generator=generator)
        if self.bits == 8:
            torch.bitwise_left_shift(self.drawn, 8, out=self.shifted)
