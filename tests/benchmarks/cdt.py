"""Training steps of `cdt` a second, against PyTorch's own nn.TransformerEncoder of the same size and batch (a script, no test).

    python tests/benchmarks/cdt.py [--batch N] [--repeats N]

The floor embeds the same four tokens a step with nn.Linear and nn.Embedding, encodes them with nn.TransformerEncoder (pre-norm,
GELU, causal, the same width, layers, heads, feed-forward width and dropout), has the same three heads and loss, and steps
torch.optim.AdamW with clipped gradients, on batches that were put together beforehand. Ours does all that a run does at a step:
draws the batch, pads, masks, and sums up numbers to report. They take turns. Aim: at least 0.8. One thread.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from torch import nn

from presa.algorithms import configure
from presa.algorithms.cdt.sequences import Context, Sequences, to_go
from presa.algorithms.cdt.targets import Targets
from presa.algorithms.cdt.transformer import LOG_DEVIATION, initial_transformer
from presa.fitting.fit import Snapshot

sys.path.insert(0, str(Path(__file__).parents[1] / "presa"))
from one_run import fit

OBSERVATIONS, ACTIONS, EPISODES, STEPS = 18, 4, 50, 200
WIDTH, LAYERS, HEADS, CONTEXT = 128, 3, 8, 10


class Floor(nn.Module):
    """The same network from PyTorch's own parts."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Embedding(STEPS, WIDTH)
        self.embed = nn.ModuleList([nn.Linear(size, WIDTH) for size in (1, 1, OBSERVATIONS, ACTIONS)])
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.1, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.first, self.drop = nn.LayerNorm(WIDTH), nn.Dropout(0.1)
        self.heads = nn.ModuleList([nn.Linear(WIDTH, size) for size in (ACTIONS, ACTIONS, 1)])

    def forward(self, context: Context) -> torch.Tensor:
        inputs = (context.returns[..., None] * 0.1, context.costs[..., None], context.observations, context.actions)
        when = self.time(context.timesteps)
        tokens = torch.stack([embed(values) + when for embed, values in zip(self.embed, inputs, strict=True)], 2).flatten(1, 2)
        later = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        padding = torch.where(context.valid, 0.0, -1e9).repeat_interleave(4, 1)
        hidden = self.encoder(self.drop(self.first(tokens)), mask=later, src_key_padding_mask=padding)
        features = hidden.unflatten(1, (CONTEXT, 4))
        mean, spread, cost = (head(features[:, :, k]) for head, k in zip(self.heads, (2, 2, 3), strict=True))
        low, high = LOG_DEVIATION
        log_deviation = low + (high - low) / 2 * (spread.tanh() + 1)
        likelihood = -0.5 * ((context.actions - mean) * (-log_deviation).exp()).square() - log_deviation
        action_loss = -(likelihood + 0.1 * log_deviation).mean(-1)[context.valid].mean()
        step_costs = context.step_costs.clamp(0, 1)
        return action_loss + 0.02 * nn.functional.binary_cross_entropy_with_logits(cost[..., 0], step_costs)


def recordings() -> Sequences:
    """Made-up episodes."""
    rng = np.random.default_rng(0)
    count = EPISODES * STEPS
    bounds = np.arange(EPISODES + 1) * STEPS
    sums = [to_go(rng.normal(size=count), bounds), to_go(rng.random(count) < 0.1, bounds)]
    rows = torch.arange(count)
    return Sequences(
        observations=torch.randn(count, OBSERVATIONS),
        actions=torch.rand(count, ACTIONS) * 2 - 1,
        labels={},
        per_pair=1,
        begin=rows // STEPS * STEPS,
        to_go=torch.from_numpy(np.stack(sums, 1)).float(),
        step_costs=(torch.rand(count) < 0.1).float(),
        end=rows.int(),
        copy=torch.zeros(count, dtype=torch.int32),
        shifts=torch.zeros(1, 2),
        targets=Targets((0.0,), 1, 0.0, 0.0, 0.0),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    examples = recordings()
    algorithm = configure("cdt", None, {"steps": options.repeats + 1, "batch_size": options.batch})
    parameters = initial_transformer(OBSERVATIONS, ACTIONS, WIDTH, LAYERS, STEPS, 0)
    parameters |= {"log_temperature": torch.tensor(math.log(0.1))}
    ours = fit(algorithm, examples, Snapshot(0, parameters, {}, {}), 0, "main", 1)
    floor = Floor()
    optimizer = torch.optim.AdamW(floor.parameters(), 1e-4, weight_decay=1e-4)
    context = examples.context(torch.randint(len(examples), (options.batch,)), CONTEXT)

    def floor_step() -> None:
        optimizer.zero_grad()
        floor(context).backward()
        nn.utils.clip_grad_norm_(floor.parameters(), 0.25)
        optimizer.step()

    def seconds(step: object) -> float:
        started = time.perf_counter()
        step()  # type: ignore[operator]
        return time.perf_counter() - started

    sizes = [sum(value.numel() for value in values) for values in (parameters.values(), floor.parameters())]
    times = [(seconds(lambda: next(ours)), seconds(floor_step)) for _ in range(options.repeats + 1)][1:]
    ours_each, floor_each = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(other / one for one, other in times)
    print(f"{options.batch} windows of {CONTEXT} steps, {sizes[0]:,} parameters (floor {sizes[1]:,}), one thread")
    print(
        f"ours {1 / ours_each:.2f} steps/s, nn.TransformerEncoder {1 / floor_each:.2f} steps/s (medians of {options.repeats})"
    )
    print(f"ratio {ratio:.2f}; at least 0.8 is wanted")


if __name__ == "__main__":
    main()
