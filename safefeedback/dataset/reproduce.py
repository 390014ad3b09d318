"""The commands that make a dataset, or a label set, again."""

from __future__ import annotations

import shlex
from typing import Any

from safefeedback.tasks import tasks


def command(manifest: dict[str, Any]) -> str:
    """The command that builds the same content again."""
    recipe, kind = manifest["recipe"], manifest["source"]["kind"]
    source = manifest["not_hashed"]["source_file"] if kind == "file" else kind
    known = tasks().get(recipe["task"])
    own = known is None or known.to_dict() != manifest["task"]
    words = ["safefeedback", "build", *build_words(recipe, "recipe.json" if own else recipe["task"], source)]
    if kind == "file":
        terms = ((name, manifest["source"][name]) for name in ("license", "author", "citation"))
        words += [word for name, text in terms if text for word in (f"--{name}", text)]
    return shlex.join(words)


def build_words(recipe: dict[str, Any], task: str, source: str) -> list[str]:
    """The options of `safefeedback build` for a recipe."""
    words = ["--task", task, "--pairs", str(recipe["pairs"]), "--length", str(recipe["length"])]
    words += ["--test-fraction", repr(recipe["test_fraction"]), "--sampler", recipe["sampler"]]
    return [*words, *_label_words(recipe), "--source", source]


def label_set_command(manifest: dict[str, Any]) -> str:
    """The command that makes the same label set again, in the dataset's folder."""
    recipe = manifest["recipe"]
    if "answers_sha256" in recipe:
        words = ["safefeedback", "labels", "import", ".", recipe["file"], "--consensus", recipe["consensus"]]
        words += ["--cost-limit", repr(recipe["cost_limit"])]
    else:
        words = ["safefeedback", "relabel", ".", *_label_words(recipe)]
    return shlex.join([*words, "--name", manifest["name"]])


def _label_words(recipe: dict[str, Any]) -> list[str]:
    """The options that choose the labels."""
    words = ["--cost-limit", repr(recipe["cost_limit"]), "--horizon", str(recipe["horizon"])]
    words += ["--teacher", recipe["teacher"], "--safety-noise", recipe["safety_noise"]]
    words += ["--advantages", "advantages.hdf5"] if recipe["advantages"] else []
    words += ["--noise", repr(recipe["noise"]), "--preference-noise", repr(recipe["preference_noise"])]
    words += [word for name in recipe["filters"] for word in ("--filter", name)]
    return [*words, "--seed", str(recipe["seed"])]
