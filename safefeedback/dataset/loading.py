"""The line of Python that opens a dataset's folder, and what `datasets.load_dataset` cannot open."""

from __future__ import annotations

import os
import re
from pathlib import Path

from safefeedback.errors import InputError

# folders with these names are taken for formats that it knows
FORMAT_NAMES = (
    *("arrow", "audiofolder", "cache", "conll", "csv", "eval", "fasta", "fastq", "genbank", "generator", "harbor", "hdf5"),
    *("iceberg", "imagefolder", "json", "lance", "meshfolder", "mmcif", "niftifolder", "pandas", "parquet", "pdb"),
    *("pdffolder", "spark", "sql", "text", "tsfile", "videofolder", "vortex", "webdataset", "xml"),
)
_MISREAD = (
    (r"[*?\[\]]", "for a pattern"),
    (r"::", "for a chain of file systems"),
    (r"\$\{?\w", "for a variable of the environment"),
)


def misread_by_datasets(path: str) -> str | None:
    """The part of a path that `load_dataset` would misinterpret, in words; None if it opens the folder."""
    for pattern, meaning in _MISREAD:
        if (match := re.search(pattern, path)) is not None:
            return f"{match[0]}, which load_dataset takes {meaning}"
    return None


def check_loadable(folder: Path) -> None:
    """Raises InputError if a new dataset's folder is given a name that `load_dataset` cannot open."""
    if (why := misread_by_datasets(str(folder))) is not None:
        raise InputError(f"--out {folder} holds {why}: choose another name")


def load_line(folder: Path, labels: str | None = None) -> str:
    """The Python that opens a dataset's folder, from any working folder; for a label set, its labels."""
    text, full = str(folder), os.path.abspath(folder)
    if (why := misread_by_datasets(full)) is not None:
        words = [repr(text), *([f"labels={labels!r}"] if labels is not None else [])]
        return f"safefeedback.read({', '.join(words)})   (its path holds {why})"
    plain = re.fullmatch(r"[\w. /-]+", text) and not {".", ".."} & set(text.split("/")) and text not in FORMAT_NAMES
    return f"datasets.load_dataset({', '.join(map(repr, [text if plain else full, *([labels] if labels else [])]))})"
