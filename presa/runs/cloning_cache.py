"""The cache of cloning stages: a stage depends on the segments, the seed and its own settings alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from presa.algorithms import configuration
from presa.algorithms.base import FromCloning
from presa.algorithms.cloning import Cloning
from presa.cache import cache_folder, make_room, mark_used
from presa.data.pairs import Data
from presa.networks.mlp import Parameters
from presa.tensors import load_tensors, save_tensors

KEPT_VERSION = 4  # raise it whenever the same settings clone to other numbers, such as by other masks


@dataclass(frozen=True)
class Entry:
    """One kept cloning stage; `path` need not exist."""

    path: Path

    def exists(self) -> bool:
        """Whether it is in the cache."""
        return self.path.is_file()

    def keep(self, parameters: Parameters, lines: list[dict[str, Any]]) -> None:
        """Keeps the policy and the metrics of its training; the file appears whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(self.path, parameters, {"metrics": lines})
        make_room(self.path)

    def get(self, device: str) -> tuple[Parameters, list[dict[str, Any]]]:
        """The policy and the metrics."""
        parameters, facts = load_tensors(self.path, device)
        mark_used(self.path)
        return parameters, facts["metrics"]


def stage(algorithm: FromCloning, steps: int) -> Cloning:
    """The cloning stage of an algorithm, with its network, batch size, dropout and normalisation."""
    return Cloning(
        steps=steps,
        batch_size=algorithm.batch_size,
        hidden=algorithm.hidden,
        dropout=algorithm.dropout,
        learning_rate=algorithm.bc_learning_rate or algorithm.learning_rate,
        schedule=algorithm.bc_schedule,
        cloning=algorithm.cloning,
        normalize_observations=algorithm.normalize_observations,
        precision=algorithm.precision,
    )


def entry(cloning: Cloning, data: Data, seed: int) -> Entry:
    """The cache entry of a stage; its name includes torch's version, the device and the threads, as the result's bits depend
    on them."""
    identity = {
        "version": KEPT_VERSION,
        "segments": data.identity["segments_sha256"],
        "unlabelled": data.identity.get("unlabelled_sha256"),
        "seed": seed,
        "settings": configuration(cloning),
        "computed_by": [torch.__version__, str(data.train.observations.device), torch.get_num_threads()],
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return Entry(cache_folder() / "cloned" / f"{digest[:32]}.safetensors")
