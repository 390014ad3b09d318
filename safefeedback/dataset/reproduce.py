"""The commands that make a dataset, or a label set, again."""

from __future__ import annotations

import shlex

from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.feedback.recipe import Labelling, Recipe
from safefeedback.sources.kinds import KINDS


def build_command(manifest: Manifest) -> str:
    """The command that builds the same content again."""
    recipe, source = manifest.recipe, manifest.source
    own = KINDS[source.kind].own
    task = "recipe.json" if manifest.own_task else recipe.task.name
    words = ["safefeedback", "build", *build_options(recipe, task, source.file if own else source.kind)]
    if own:
        terms = (("license", source.license), ("author", source.author), ("citation", source.citation))
        words += [word for name, text in terms if text for word in (f"--{name}", text)]
    return shlex.join(words)


def build_options(recipe: Recipe, task: str, source: str) -> list[str]:
    """The options of `safefeedback build` for a recipe."""
    words = ["--task", task, "--pairs", str(recipe.pairs), "--length", str(recipe.length)]
    words += ["--test-fraction", repr(float(recipe.test_fraction))]
    words += ["--pairs-from", "pairs.csv"] if recipe.pairs_from else ["--sampler", recipe.sampler]
    words += ["--coverage", recipe.coverage] if recipe.coverage != "all" else []
    return [*words, *_label_words(recipe), "--source", source]


def label_set_command(label_set: LabelSetManifest) -> str:
    """The command that makes the same label set again, in the dataset's folder."""
    if label_set.answers is not None:
        words = ["safefeedback", "labels", "import", ".", label_set.answers.file, "--consensus", label_set.answers.consensus]
        words += ["--cost-limit", repr(label_set.labelling.limit)]
    else:
        words = ["safefeedback", "relabel", ".", *_label_words(label_set.labelling)]
    return shlex.join([*words, "--name", label_set.name])


def _label_words(choices: Labelling) -> list[str]:
    """The options that choose the labels."""
    words = ["--cost-limit", repr(choices.limit), "--horizon", str(choices.horizon)]
    words += ["--teacher", choices.teacher, "--safety-noise", choices.safety_noise]
    words += ["--advantages", "advantages.hdf5"] if choices.advantages else []
    words += ["--noise", repr(float(choices.noise)), "--preference-noise", repr(float(choices.preference_noise))]
    words += [word for name in choices.filters for word in ("--filter", name)]
    return [*words, "--seed", str(choices.seed)]
