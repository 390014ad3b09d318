"""`safefeedback.torch_dataset` in PyTorch's own loader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import safefeedback
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import find_task

torch = pytest.importorskip("torch")


@pytest.fixture
def folder(ball_file: Path, tmp_path: Path) -> Path:
    recipe = Recipe(find_task("BallCircle"), pairs=60, length=16, teacher="skip:eps_skip=0.9", test_fraction=0.5)
    return safefeedback.build_dataset(recipe, str(ball_file), tmp_path / "data")[0]


@pytest.mark.parametrize("workers", [{}, {"num_workers": 2}, {"num_workers": 1, "multiprocessing_context": "spawn"}])
def test_shuffled_batches_hold_every_pair_once(folder: Path, workers: dict):
    """Also with newly started worker processes, to which the dataset must be sent."""
    data = safefeedback.read(folder)
    assert np.isnan(data.preference).any(), "some preference must be unanswered"
    made = safefeedback.torch_dataset(folder)
    shuffling = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(made, batch_size=8, shuffle=True, generator=shuffling, **workers)
    batches = list(loader)
    first = batches[0]
    assert {name: tuple(values.shape) for name, values in first.items()} == {
        "pair_id": (8,),
        "observations": (8, 2, 16, 8),
        "actions": (8, 2, 16, 2),
        "preference": (8,),
        "safe": (8, 2),
    }
    ids = torch.cat([batch["pair_id"] for batch in batches]).numpy()
    assert sorted(ids) == data.pair_id.tolist() and ids.tolist() != data.pair_id.tolist()
    rows = np.searchsorted(data.pair_id, ids)
    for name in ("observations", "actions", "preference", "safe"):
        values = torch.cat([batch[name] for batch in batches]).numpy()
        assert np.array_equal(values, getattr(data, name)[rows], equal_nan=True), name


def test_splits_and_subsets(folder: Path):
    held_out = safefeedback.torch_dataset(folder, split="test")
    assert [int(held_out[row]["pair_id"]) for row in range(3)] == [1, 3, 5]
    parts = torch.utils.data.random_split(held_out, [20, 10])
    assert sum(len(part) for part in parts) == len(held_out) == 30
    assert [int(item["pair_id"]) for item in held_out] == list(range(1, 60, 2))  # a loop ends where the rows do
    with pytest.raises(InputError, match="no label set 'lab1'"):
        safefeedback.torch_dataset(folder, labels="lab1")


def test_without_torch_it_is_one_line_and_all_else_works(folder: Path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import safefeedback\n"
        f"print(len(safefeedback.read({str(folder)!r})))\n"
        f"try: safefeedback.torch_dataset({str(folder)!r})\n"
        "except safefeedback.InputError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, error = done.stdout.splitlines()
    assert count == "30" and error.startswith("torch_dataset needs torch: ")
