"""Files that are written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safefeedback.files import replacing

POLICY_FILE = "policy.safetensors"
FAILURE_FILE = "failure.json"


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file that appears whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON, whole or not at all; NaN is not JSON and an error."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_failure(folder: Path) -> str | None:
    """Why a run failed; None if it did not."""
    path = folder / FAILURE_FILE
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["error"]) if path.is_file() else None
    except (OSError, ValueError, KeyError, TypeError):
        return f"{path} cannot be read"
