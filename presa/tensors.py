"""Tensors and JSON in one safetensors file, written whole or not at all. Nothing is ever pickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from presa.files import write_bytes
from safefeedback.errors import InputError
from safefeedback.files import foreign_content


def save_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Writes tensors, and JSON-ready facts into the file's header, under a temporary name that is then renamed."""
    from safetensors.torch import save

    data = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_bytes(path, save(data, {"presa": json.dumps(facts)}))


def load_tensors(path: Path, device: str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts of a file written by `save_tensors`.

    Raises:
        InputError: if it is not such a file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt", device=device) as file:
            return {name: file.get_tensor(name) for name in file.keys()}, facts_of(file)  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        reason = str(error).split("\n")[0] + foreign_content(Path(path))
        raise InputError(f"{path} is not a file written by presa: {reason}") from None


def facts_of(file: Any) -> dict[str, Any]:
    """The JSON-ready facts in the header of an open file."""
    return json.loads((file.metadata() or {})["presa"])
