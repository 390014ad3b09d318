"""The same recipe gives the same content, whatever the processor's features and the number of threads.

NumPy picks other loops where a processor lacks AVX-512 or AVX2; here processes disable them. The kernels of OpenBLAS
stay as this machine has them: tests/benchmarks/processors.py tries others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from contents import TASK, contents

from safefeedback.sources import recordings_file
from safefeedback.tasks import find_task

NO_AVX512, NO_AVX2 = ("AVX512", "X86_V4"), ("AVX512", "X86_V4", "AVX2", "FMA3", "X86_V3")
pytestmark = pytest.mark.skipif(recordings_file(find_task(TASK)) is None, reason=f"no recordings of {TASK} are here")


def without(kinds: tuple[str, ...]) -> str:
    """The features of this processor that NumPy would use, of these kinds."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(name for name in __cpu_dispatch__ if name.startswith(kinds) and __cpu_features__[name])


def in_a_process(folder: Path, lacking: str, threads: int) -> dict[str, str]:
    """The contents that a process computes; it also reports its features, to be sure that they are disabled."""
    code = (
        "import json, sys; from pathlib import Path; from contents import contents\n"
        "from numpy._core._multiarray_umath import __cpu_features__\n"
        "print(json.dumps([contents(Path(sys.argv[1])), [name for name, here in __cpu_features__.items() if here]]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=Path(__file__).parent,
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": lacking, "OMP_NUM_THREADS": str(threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    found, features = json.loads(result.stdout)
    assert not set(lacking.split()) & set(features)
    return found


@pytest.mark.skipif(np.__version__ < "2", reason="NumPy 1 keeps what it knows of the processor elsewhere")
def test_one_content_without_avx512_without_avx2_on_one_thread_and_on_four(tmp_path: Path) -> None:
    here = contents(tmp_path / "here")
    assert len(set(here.values())) == len(here) >= 29
    for name, kinds, threads in (("one", NO_AVX512, 1), ("four", NO_AVX2, 4)):
        assert in_a_process(tmp_path / name, without(kinds), threads) == here
