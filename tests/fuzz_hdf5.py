"""Recordings broken in ten thousand ways, through build and inspect: `python tests/fuzz_hdf5.py 10000`.

Each case is a small file in DSRL's schema with one or two of the mutations below, the same ones for the same number. It must
end in a dataset that is what it says and holds nothing but finite numbers, or in one line that says what is wrong and leaves
nothing behind. The test suite runs the first few hundred.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from conftest import write_hdf5

import safefeedback
from safefeedback.feedback.recipe import Recipe
from safefeedback.inspection.dataset import inspect_dataset
from safefeedback.inspection.recordings import inspect_recordings
from safefeedback.tasks import tasks
from safefeedback.verification.verify import verify

TASK = tasks()["BallCircle"]
LENGTH = 8
KEYS = ("observations", "actions", "rewards", "costs", "terminals", "timeouts")
NUMBERS = KEYS[:4]
Random = np.random.Generator


def flip_bytes(path: Path, rng: Random) -> None:
    """Changes some bytes, anywhere or in the first few hundred, which describe the structure."""
    content = bytearray(path.read_bytes())
    for at in rng.integers(0, rng.choice([512, len(content)]), size=rng.integers(1, 40)):
        content[at] ^= int(rng.integers(1, 256))
    path.write_bytes(content)


def cut(path: Path, rng: Random) -> None:
    """The end is missing."""
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(0, len(content))])


def blank(path: Path, rng: Random) -> None:
    """A stretch is zero, as after a crash of the disk's cache."""
    content = bytearray(path.read_bytes())
    start = int(rng.integers(0, len(content)))
    content[start : start + 512] = bytes(len(content[start : start + 512]))
    path.write_bytes(content)


def _edit(path: Path, key: str, make: Callable[[np.ndarray], object]) -> None:
    with h5py.File(path, "r+") as file:
        values = file[key][()]
        del file[key]
        value = make(np.asarray(values))
        if value is not None:
            file[key] = value


def drop(path: Path, rng: Random) -> None:
    """A key is missing."""
    _edit(path, str(rng.choice(KEYS)), lambda values: None)


def other_type(path: Path, rng: Random) -> None:
    """A key has another type."""
    kind = rng.choice(["f2", "f8", ">f4", ">f8", "i1", "u8", "i8", "?", "c8", "S4", "f4,f4"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _edit(path, str(rng.choice(KEYS)), lambda values: values.astype(str(kind)))


def other_shape(path: Path, rng: Random) -> None:
    """A key has another shape."""
    shapes: list[Callable[[np.ndarray], object]] = [
        lambda values: values[:0],
        lambda values: values[:-1],
        lambda values: values[: len(values) // 2],
        lambda values: np.concatenate([values, values]),
        lambda values: values[..., None],
        lambda values: values.T.copy(),
        lambda values: values.ravel(),
        lambda values: values.ravel()[0],
        lambda values: h5py.Empty(values.dtype),
        lambda values: values.reshape(len(values), -1)[:, :1],
        lambda values: np.repeat(values.reshape(len(values), -1), 2, axis=1),
    ]
    _edit(path, str(rng.choice(KEYS)), shapes[rng.integers(len(shapes))])


def poison(path: Path, rng: Random) -> None:
    """A number that no recording holds: NaN, infinite, too large for float32, a negative cost, a flag of 2."""
    key = str(rng.choice(KEYS))
    bad = [np.nan, np.inf, -np.inf]
    bad += [1e300, -1e39] if key in ("observations", "actions") else []
    bad += [-1.0, -1e-30] if key == "costs" else []
    bad += [2.0, -1.0, 0.5] if key in KEYS[4:] else []

    def put(values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float64)
        values.flat[rng.integers(values.size)] = rng.choice(bad)
        return values

    _edit(path, key, put)


def extreme(path: Path, rng: Random) -> None:
    """Numbers at the end of what is possible, which are finite."""

    def put(values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float64)
        large = rng.choice([3e38, 1e-45, 0.0])
        values.flat[rng.integers(values.size, size=rng.integers(1, 30))] = large
        return values

    def put_sums(values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float64)
        values.flat[rng.integers(values.size, size=rng.integers(1, 30))] = rng.choice([1.7e308, 1e307, 1e200, 5e-324])
        return values

    key = str(rng.choice(NUMBERS))
    _edit(path, key, put if key in ("observations", "actions") else put_sums)


def ends(path: Path, rng: Random) -> None:
    """Episodes end nowhere, everywhere, at the first step, or at random steps."""
    kinds = [
        lambda n: np.zeros(n, bool),
        lambda n: np.ones(n, bool),
        lambda n: np.arange(n) == 0,
        lambda n: rng.uniform(size=n) < 0.1,
    ]
    chosen = kinds[rng.integers(len(kinds))]
    for key in KEYS[4:] if rng.uniform() < 0.5 else ["timeouts"]:
        _edit(path, key, lambda values: chosen(len(values)))


def elsewhere(path: Path, rng: Random) -> None:
    """A key is a link, a group, or kept in another file."""
    key, kind = str(rng.choice(KEYS)), rng.integers(5)
    with h5py.File(path, "r+") as file:
        values = file[key][()]
        del file[key]
        if kind == 0:
            file[key] = h5py.SoftLink("/nowhere")
        elif kind == 1:
            file[key] = h5py.ExternalLink("/etc/hostname", "/x")
        elif kind == 2:
            file.create_group(key)
        elif kind == 3:
            file.create_dataset(key, shape=values.shape, dtype=values.dtype, external=[("/etc/hostname", 0, 1 << 20)])
        else:
            file.create_dataset(key, shape=(1 << 40, *values.shape[1:]), dtype=values.dtype, chunks=True, compression="gzip")


def attributes(path: Path, rng: Random) -> None:
    """The attributes for licence and author are not text."""
    values = [np.zeros(3), 7, b"\xff\xfe", "x" * 60_000, "a\nb: |\n---\n${yours}", h5py.Empty("f4"), "${numbers} \x1b[31m", ""]
    with h5py.File(path, "r+") as file:
        for key in ("license", "author", "citation", "credit"):
            file.attrs[key] = values[rng.integers(len(values))]


MUTATIONS = (flip_bytes, cut, blank, drop, other_type, other_shape, poison, extreme, ends, elsewhere, attributes)


def mutate(path: Path, number: int) -> list[str]:
    """Breaks a file by the mutations of that number; returns their names. The last may find a file that is no longer HDF5."""
    rng = np.random.default_rng([7, number])
    chosen = [MUTATIONS[number % len(MUTATIONS)], *rng.choice(MUTATIONS, size=rng.integers(0, 2))]
    done = []
    for mutation in chosen:
        try:
            mutation(path, rng)
        except (OSError, KeyError, ValueError, RuntimeError, TypeError, IndexError, MemoryError):
            if not done:  # the first mutation sees an intact file
                raise
            break
        done.append(mutation.__name__)
    return done


def run(original: Path, folder: Path, number: int) -> tuple[list[str], str]:
    """Runs one case in an empty folder; returns the mutations and the outcome, "built" or the line that says what is wrong.

    Raises:
        AssertionError: if something is left over, or a value was accepted that no recording holds.
    """
    path = folder / "case.hdf5"
    shutil.copyfile(original, path)
    done = mutate(path, number)
    recipe = Recipe(TASK, pairs=6, length=LENGTH, noise=0.25, test_fraction=0.5 if number % 3 == 0 else 0.0)
    ended = ""
    try:
        out, _ = safefeedback.build_dataset(recipe, str(path), folder / "out")
    except safefeedback.InputError as error:
        ended = str(error)
        assert ended and "\n" not in ended and "Traceback" not in ended, ended
        left = sorted(file.name for file in folder.iterdir())
        assert left == ["case.hdf5"], f"left behind: {left}"
    else:
        assert done != ["poison"], "a poisoned value was accepted"
        for split in ("train", "test") if recipe.test_fraction else ("train",):
            data, truth = safefeedback.read(out, split=split), safefeedback.read_oracle(out, split=split)
            for values in (data.observations, data.actions, truth.returns, truth.costs):
                assert np.isfinite(values).all()
            assert (truth.costs >= 0).all()
        wrong = [(check.name, check.problems) for check in verify(out, path) if check.problems]
        assert not wrong, wrong
        _look(lambda: inspect_dataset(out)[0])
    looked = _look(lambda: inspect_recordings(path, "BallCircle", LENGTH)[0])
    assert done != ["poison"] or looked, "inspect took a poisoned value"
    return done, ended or "built"


def _look(inspect: Callable[[], dict]) -> str:
    """The line with which inspect refuses, empty if it does not; checks that its numbers are valid JSON."""
    try:
        json.dumps(inspect(), allow_nan=False)
    except safefeedback.InputError as error:
        assert "\n" not in str(error)
        return str(error)
    return ""


def main(first: int, last: int) -> None:
    """Runs the cases from `first` to `last` - 1 and prints their outcomes."""
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        original = write_hdf5(Path(place) / "original.hdf5", [20, 30, 5, 25, 20, 12], trailing=2)
        for number in range(first, last):
            with tempfile.TemporaryDirectory(dir=place) as folder:
                try:
                    done, ended = run(original, Path(folder), number)
                except Exception as error:
                    done, ended = [f"FAILED case {number}"], ""
                    print(f"case {number}:", *traceback.format_exception(error)[-2:], flush=True)
            kinds[f"{done[0]}: {'built' if ended == 'built' else 'refused'}"] += 1
    for kind, count in sorted(kinds.items()):
        print(f"{count:6d}  {kind}")
    failed = sum(kind.startswith("FAILED") for kind in kinds)
    print(f"{last - first} cases, {failed} of them ended otherwise")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main(*((0, int(sys.argv[1])) if len(sys.argv) == 2 else (int(sys.argv[1]), int(sys.argv[2]))))
