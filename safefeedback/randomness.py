"""Random numbers that are the same on every machine and with every NumPy.

NumPy promises the raw words of its bit generators for ever (NEP 19), but not what `Generator.integers` or `choice` make
of them, so everything here is made from the raw words. Every `rng` is a `np.random.Generator` over a 64-bit bit
generator, such as `np.random.default_rng(seed)` gives.
"""

from __future__ import annotations

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The generator of one named stage under one seed; stages do not disturb one another."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *name.encode()])))


def derived_seed(seed: int, name: str) -> int:
    """A 63-bit seed for one named stage, for example for a generator of another library."""
    return int(stream(seed, name).bit_generator.random_raw() >> 1)


def uniforms(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Uniform numbers in [0, 1) with 53 random bits, float64 [*shape], drawn in row-major order."""
    words = rng.bit_generator.random_raw(int(np.prod(shape)))
    return (words >> np.uint64(11)).astype(np.float64).reshape(shape) * 2.0**-53


def choose(rng: np.random.Generator, total: int, count: int) -> np.ndarray:
    """`count` different indices below `total`, each set equally likely, sorted, int64 [count]."""
    drawn = uniforms(rng, total)
    if not 0 < count < total:
        return np.arange(total if count > 0 else 0)
    limit = np.partition(drawn, count - 1)[count - 1]
    below, equal = np.flatnonzero(drawn < limit), np.flatnonzero(drawn == limit)
    return np.sort(np.concatenate([below, equal[: count - len(below)]]))
