"""The first cases of `tests/fuzz_hdf5.py`; the others are for whoever changes how recordings are read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import fuzz_hdf5
from conftest import write_hdf5


def test_broken_recordings_are_refused_in_one_line_or_give_a_dataset_that_is_what_it_says(tmp_path: Path):
    original = write_hdf5(tmp_path / "original.hdf5", [20, 30, 5, 25, 20, 12], trailing=2)
    ended: Counter[tuple[str, bool]] = Counter()
    for number in range(198):  # each of the eleven mutations comes first eighteen times
        (tmp_path / str(number)).mkdir()
        done, how = fuzz_hdf5.run(original, tmp_path / str(number), number)
        ended[done[0], how == "built"] += 1
    built, refused = ({name for name, whole in ended if whole == wanted} for wanted in (True, False))
    assert built >= {"extreme", "attributes", "ends"}  # otherwise too little would pass the reading
    assert refused == {mutation.__name__ for mutation in fuzz_hdf5.MUTATIONS}
