"""CPL's own training loop, from a checkout of https://github.com/jhejna/cpl that the reader fetched, for steps.py.

Its algorithm with a reference network (`CPL_KL`), on the batches of its own `FeedbackBuffer` through the DataLoader that its
trainer makes, as its trainer goes through a step: the batch to tensors, `train_step`, the learning rate's schedule. What the
trainer logs between steps is left out.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch


def cpl_steps(checkout: Path, arrays: dict[str, np.ndarray], batch: int, dropout: float, count: int) -> Iterator[None]:
    """Yields after every `count` steps on the pairs of train.py's arrays, past CPL's cloning, which is its first step here.

    Raises:
        ImportError: if the checkout cannot be imported: it is another repository, or what it needs is not installed.
    """
    import gymnasium

    # it needs only the spaces of gym here, and nothing of torchvision
    environments = types.ModuleType("gym.envs")
    environments.register = gymnasium.register  # type: ignore[attr-defined]
    for name, module in (("gym", gymnasium), ("gym.envs", environments), ("torchvision", types.ModuleType("torchvision"))):
        sys.modules.setdefault(name, module)
    sys.path.insert(0, str(checkout))
    with contextlib.redirect_stdout(io.StringIO()):  # it says that there is no Meta-World
        from research.algs import CPL_KL
        from research.datasets import FeedbackBuffer
        from research.networks import ActorPolicy

    observations, actions = arrays["observations"], arrays["actions"]
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        sides = {
            f"{name}_{side + 1}": values[:, side]
            for name, values in (("obs", observations), ("action", actions), ("reward", actions[..., 0]))
            for side in (0, 1)
        }
        np.savez(file, label=arrays["preference"], **sides)
        file.flush()
        actor = {
            "actor_class": "ContinuousMLPActor",
            "actor_kwargs": {"dropout": dropout, "output_act": torch.nn.Tanh, "hidden_layers": [256, 256], "ortho_init": True},
        }
        model = CPL_KL(
            gymnasium.spaces.Box(-np.inf, np.inf, observations.shape[-1:]),
            gymnasium.spaces.Box(-1, 1, actions.shape[-1:]),
            ActorPolicy,
            FeedbackBuffer,
            actor,
            {"path": file.name, "batch_size": batch, "mode": "comparison"},
            bc_steps=1,
            alpha=0.2,
            device="cpu",
        )
        model.setup_optimizers()
        model.setup_schedulers()
        model.setup_datasets(None, 0)
    loader = torch.utils.data.DataLoader(model.dataset, batch_size=None)
    model.train()
    step = 0
    while True:
        for drawn in loader:
            model.train_step(model.format_batch(drawn), step, 0)
            for scheduler in model.schedulers.values():
                scheduler.step()
            step += 1
            if step % count == 0:
                yield
