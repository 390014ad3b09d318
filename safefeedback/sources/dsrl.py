"""Finds the benchmark's own file of a task: in DSRL's cache, in the Hugging Face cache, or on the Hub."""

from __future__ import annotations

import os
import re
from inspect import signature
from pathlib import Path
from typing import Any

from safefeedback.errors import InputError
from safefeedback.files import file_sha256
from safefeedback.hub.client import CONNECT_SECONDS, check_reachable, failure_reason, silence_client
from safefeedback.hub.transfer import receiving
from safefeedback.tasks import Task

LICENSE = "cc-by-4.0"
AUTHOR = (
    "Zuxin Liu, Zijian Guo, Haohong Lin, Yihang Yao, Jiacheng Zhu, Zhepeng Cen, Hanjiang Hu, Wenhao Yu, Tingnan Zhang, "
    "Jie Tan, Ding Zhao (the DSRL benchmark)"
)
CITATION = """@article{liu2024dsrl,
  title   = {Datasets and Benchmarks for Offline Safe Reinforcement Learning},
  author  = {Liu, Zuxin and Guo, Zijian and Lin, Haohong and Yao, Yihang and Zhu, Jiacheng and Cen, Zhepeng and
             Hu, Hanjiang and Yu, Wenhao and Zhang, Tingnan and Tan, Jie and Zhao, Ding},
  journal = {Journal of Data-centric Machine Learning Research},
  year    = {2024},
  note    = {arXiv:2306.09303}
}"""


class UnreachableError(InputError):
    """The benchmark's file is neither on this machine nor reachable on the Hub."""


def cache_folder() -> Path:
    """The folder in which the dsrl package keeps its files."""
    return Path(os.environ.get("DSRL_DATASET_DIR") or Path.home() / ".dsrl" / "datasets")


def cached(task: Task) -> Path | None:
    """The task's file where it is on this machine already, or None."""
    if task.file is None:
        return None
    path = cache_folder() / task.file
    if path.is_file():
        return path
    if task.hub_repo is None:
        return None
    from huggingface_hub.constants import HF_HUB_CACHE

    if not Path(HF_HUB_CACHE, f"datasets--{task.hub_repo.replace('/', '--')}").is_dir():
        return None  # before the client, whose import takes longer than listing all tasks
    from huggingface_hub import try_to_load_from_cache

    cached_path = try_to_load_from_cache(task.hub_repo, task.file, repo_type="dataset")
    return Path(cached_path) if isinstance(cached_path, str) else None


def locate(task: Task) -> Path:
    """The benchmark's file, downloaded if it is not on this machine.

    Raises:
        InputError: if the task has no file, or it arrived damaged.
        UnreachableError: if it is neither cached nor reachable; the line names the ways on.
    """
    path = cached(task)
    if path is not None:
        return path
    if task.file is None or task.hub_repo is None:
        raise InputError(f"task {task.name} names no file to download: give one with --source PATH")
    return _download(task.hub_repo, task.file, task)


def _download(repo: str, file: str, task: Task) -> Path:
    import huggingface_hub

    silence_client()
    try:
        check_reachable()
        with receiving(f"downloading {file}") as counter:
            progress = {"tqdm_class": counter} if "tqdm_class" in signature(huggingface_hub.hf_hub_download).parameters else {}
            named: dict[str, Any] = {"repo_type": "dataset", "etag_timeout": CONNECT_SECONDS, **progress}
            path = Path(huggingface_hub.hf_hub_download(repo, file, **named))
    except Exception as error:  # every failure of the network or the server ends in the same three ways on
        reason = failure_reason(error)
        again = f", as `safefeedback collect --task {task.name}` records it by DSRL's protocol" * (task.domain == "MetaDrive")
        raise UnreachableError(
            f"the recordings of {task.name} are not on this machine and cannot be downloaded ({reason}): (1) connect to the "
            f"network or set HF_ENDPOINT to a mirror, (2) put {file} from {task.url} into {cache_folder()}, or "
            f"(3) give a file with --source PATH{again}"
        ) from None
    expected = path.resolve().name  # the Hub's cache names a large file by its sha256
    if re.fullmatch("[0-9a-f]{64}", expected) and file_sha256(path) != expected:
        path.resolve().unlink()
        path.unlink()
        raise InputError(f"{file} arrived damaged (its sha256 is not the Hub's, {expected}) and was removed: try again")
    return path
