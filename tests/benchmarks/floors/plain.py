"""What the floors share. To be imported before pyarrow."""

import hashlib
import sys
from pathlib import Path


class WithoutPandas:
    """pyarrow imports pandas where it is installed; nothing here needs it, and safefeedback alone does not install it."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


sys.meta_path.insert(0, WithoutPandas())  # type: ignore[arg-type]
