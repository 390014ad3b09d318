"""Tries an algorithm of the user's own on a few examples, before anything is written."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from presa.algorithms.base import Algorithm, FromCloning
from presa.choices import ALGORITHMS
from presa.data.pairs import Data, Examples
from presa.networks.mlp import segment_log_probability
from safefeedback.errors import InputError

FEW = 4  # examples


def require_working(name: str, algorithm: Algorithm, data: Data) -> None:
    """Raises InputError unless the methods of a custom algorithm return what `presa.algorithms.base` says.

    Algorithms of this package are not tried, nor those that train models first or have a network of their own.
    """
    own = type(algorithm)
    if name in ALGORITHMS or not own.stackable or own.network is not Algorithm.network or algorithm.preparations():
        return
    missing = [method for method in ("examples", "loss") if getattr(own, method) is getattr(Algorithm, method)]
    if missing:
        raise InputError(f"{name} has no method {' and no method '.join(missing)}: an algorithm needs examples and loss")
    examples = algorithm.examples(data)
    if not isinstance(examples, Examples):
        raise InputError(f"{name}.examples must return Examples, such as pair_examples(data, ...), not {_kind(examples)}")
    count = len(examples.observations)
    for label, values in examples.labels.items():
        if not isinstance(values, Tensor) or len(values) != count:
            raise InputError(f"{name}.examples: the label '{label}' must be a tensor of {count:,} rows, not {_kind(values)}")
    parameters = {key: value.to(examples.observations.device) for key, value in algorithm.initial_parameters(data, 0).items()}
    scores = segment_log_probability(parameters, examples.observations[:FEW], examples.actions[:FEW])
    labels = {label: values[:FEW] for label, values in examples.labels.items()}
    if isinstance(algorithm, FromCloning) and algorithm.compares_with_reference:
        labels["reference"] = scores.clone()
    state = algorithm.state(examples)
    with torch.enable_grad():
        _check_step(f"{name}.loss", algorithm.loss(scores.requires_grad_(), labels, state), state)


def _check_step(what: str, step: Any, state: dict[str, Tensor]) -> None:
    """Raises InputError unless `loss` returned a loss, numbers to report, and the state."""
    if not isinstance(step, tuple) or len(step) != 3:
        raise InputError(f"{what} must return three things, the loss, a dict of numbers and the state, not {_kind(step)}")
    loss, info, after = step
    if not isinstance(loss, Tensor) or loss.ndim:
        raise InputError(f"the loss that {what} returns must be one number, such as a mean over the batch, not {_kind(loss)}")
    if not loss.requires_grad:
        raise InputError(f"the loss that {what} returns does not depend on log_probability: nothing would be learnt")
    for key, value in info.items():
        if not isinstance(value, Tensor) or value.ndim or value.requires_grad:
            raise InputError(
                f"{what}: '{key}' must be a tensor of one number without gradient, such as x.mean().detach(), "
                f"not {_kind(value)}"
            )
    if not isinstance(after, dict) or after.keys() != state.keys():
        raise InputError(f"{what} must return the state with the names of {list(state)}, not {_kind(after)}")


def _kind(value: Any) -> str:
    """A value in an error message."""
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)}" + " with a gradient" * value.requires_grad
    return f"{type(value).__name__}" + (f" of {', '.join(map(_kind, value))}" if isinstance(value, tuple) else "")
