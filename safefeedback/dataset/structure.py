"""The structure of recipe.json: which fields there are, and of which types."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from safefeedback.dataset.history import describe_history
from safefeedback.errors import InputError

FORMAT_VERSION = 1
SPLITS = ("train", "test")
SCALARS = "oracle/scalars"  # the one table within another's folder: where the oracle is not given, it is not there either
SHARD = re.compile(rf"((?:\w+|{SCALARS})/)?({'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}\.parquet")

ANY = "*"  # any key
NUMBER = (int, float)
SHARE = (int, float, type(None))  # None where there is nothing to count
COMMON: dict[str, Any] = {
    "format_version": int,
    "recipe": dict,
    "recipe_sha256": str,
    "splits": {ANY: int},
    "history": [dict],
    "statistics": {
        "pairs": int,
        **dict.fromkeys(("segments_safe", "pairs_both_safe", "pairs_one_safe", "pairs_both_unsafe"), SHARE),
        **dict.fromkeys(("preferred_segment_1", "preferred_is_unsafe"), SHARE),
        **dict.fromkeys(("ties", "unanswered_preferences", "unanswered_safety", "preferences_flipped"), int),
        **dict.fromkeys(("safety_flipped", "episodes_used", "episodes_in_source"), int),
        **dict.fromkeys(("segment_return", "segment_cost"), dict.fromkeys(("min", "q25", "median", "q75", "max"), NUMBER)),
    },
    "content": {"sha256": str, "columns": {ANY: str}},
    "files": {ANY: {"bytes": int, "sha256": str}},
}
DATASET = {
    **COMMON,
    "task": dict,
    "source": dict.fromkeys(("kind", "sha256", "license", "author", "citation", "credit"), str),
    "shape": dict.fromkeys(("length", "observation_dim", "action_dim"), int),
    "not_hashed": dict.fromkeys(("safefeedback", "pyarrow", "source_file"), str),
}
LABEL_SET = {
    **COMMON,
    "name": str,
    "base": dict.fromkeys(("content_sha256", "recipe_sha256"), str),
    "not_hashed": dict.fromkeys(("safefeedback", "pyarrow"), str),
}
SOURCE_ENTRY = {
    "stage": str,
    **dict.fromkeys(("steps", "steps_after_last_episode", "episodes", "episodes_too_short", "longest_episode"), int),
    "converted": [str],
}
ANSWERS = {"cost_limit": float, "horizon": (str, int), "file": str, "answers_sha256": str, "consensus": str}
OPTIONAL_NUMBER = (float, type(None))
STUDY = {  # how people were asked, in the recipe of a label set that `safefeedback annotate` made
    **dict.fromkeys(("annotators", "left_out", "withdrawn", "overlap", "practice"), int),
    **dict.fromkeys(("ask", "safety_question", "order", "first_day", "last_day"), str),
    **dict.fromkeys(("gold", "repeat"), float),
    **dict.fromkeys(("reads_truth", "practice_feedback", "cost_cues", "quick", "consent", "frames"), bool),
    "median_seconds": OPTIONAL_NUMBER,
    "agreement": {key: {"alpha": OPTIONAL_NUMBER, "raw": OPTIONAL_NUMBER} for key in ("preference", "safety")},
    "gold_accuracy": OPTIONAL_NUMBER,
    "consistency": OPTIONAL_NUMBER,
    "explaining_cost_limit": OPTIONAL_NUMBER,
    "read": [dict],
}


class ManifestError(InputError):
    """A recipe.json does not say what it should.

    Attributes:
        problems: everything that is wrong with it, a sentence each.
    """

    def __init__(self, place: str, kind: str, problems: list[str]) -> None:
        super().__init__(f"{place}/recipe.json is not the manifest of a {kind} of safefeedback: {problems[0]}")
        self.problems = tuple(problems)


def read_json(folder: Path, kind: str = "dataset") -> dict[str, Any]:
    """The JSON object in the recipe.json of a dataset or label set (kind), {} where there is no such file.

    Raises:
        ManifestError: if it cannot be read.
    """
    try:
        if isinstance(values := json.loads((folder / "recipe.json").read_text(encoding="utf-8")), dict):
            return values
        raise ValueError("it is not an object")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ManifestError(str(folder), kind, [f"recipe.json cannot be read: {str(error).splitlines()[0]}"]) from None


def structure_problems(values: Any, structure: dict[str, Any], place: str) -> list[str]:
    """What is wrong with the structure of a manifest, and with the names in it."""
    version = values.get("format_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version != FORMAT_VERSION:
        raise InputError(f"{place} has format version {version}; this version of safefeedback reads {FORMAT_VERSION}")
    problems = mismatches(values, structure, "recipe.json")
    if problems:
        return problems
    problems = [f"recipe.json names the file {name}" for name in values["files"] if not SHARD.fullmatch(name)]
    problems += [f"recipe.json names the split {split}" for split in values["splits"] if split not in SPLITS]
    problems += [] if values["splits"] else ["recipe.json names no split"]
    try:
        describe_history(values["history"])
    except (KeyError, ValueError, TypeError) as error:
        problems.append(f"recipe.json: history has an entry that lacks something: {error}")
    return problems


def mismatches(value: Any, wanted: Any, where: str) -> list[str]:
    """The places where a JSON value differs from the expected structure: a type, a list, or an object with exactly these
    keys."""
    if isinstance(wanted, (type, tuple)):
        fits = isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool)
        return [] if fits else [f"{where} is {json.dumps(value)[:40]}, which it cannot be"]
    if isinstance(wanted, list):
        if not isinstance(value, list):
            return [f"{where} is not a list"]
        return [problem for index, item in enumerate(value) for problem in mismatches(item, wanted[0], f"{where}[{index}]")]
    if not isinstance(value, dict):
        return [f"{where} is not a table"]
    if ANY in wanted:
        return [problem for key, item in value.items() for problem in mismatches(item, wanted[ANY], f"{where}: {key}")]
    problems = [f"{where} has no field '{key}'" for key in wanted if key not in value]
    problems += [f"{where} has the field '{key}', which this format does not know" for key in value if key not in wanted]
    shared = [key for key in wanted if key in value]
    return problems + [problem for key in shared for problem in mismatches(value[key], wanted[key], f"{where}: {key}")]
