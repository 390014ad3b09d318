"""The manifest, recipe.json, checked and typed; no other module depends on its layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from safefeedback.dataset.structure import (
    ANSWERS,
    DATASET,
    LABEL_SET,
    SCALARS,
    SOURCE_ENTRY,
    STUDY,
    ManifestError,
    mismatches,
    structure_problems,
)
from safefeedback.errors import InputError
from safefeedback.feedback.consensus import CONSENSUS
from safefeedback.feedback.labels import segment_cost_limit
from safefeedback.feedback.recipe import Labelling, Recipe
from safefeedback.sources.kinds import KINDS
from safefeedback.tasks import Task, tasks
from safefeedback.types import Source
from safefeedback.values import format_repr


class StoredFile(NamedTuple):
    """The size and the sha256 that a file should have."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class AnswersOrigin:
    """Where the labels of people came from: the CSV file, its sha256, how several answers became one label, and how they were
    asked, if `safefeedback annotate` asked them (see `safefeedback.dataset.structure.STUDY`)."""

    file: str
    sha256: str
    consensus: str
    study: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class _Described:
    """The fields common to the manifests of datasets and label sets.

    Attributes:
        raw: recipe.json as it was read.
        labelling: the choices that shaped the labels.
        horizon: T, the steps of an episode to which the cost limit belongs.
        segment_cost_limit: the cost up to which a segment is safe, cost limit * L / T.
        recipe_sha256: see `safefeedback.dataset.store.recipe_hash`.
        content_sha256: see `safefeedback.dataset.content`.
        columns: the sha256 of each column's content, by table/split/column.
        splits: the number of pairs of each split.
        history: the operations on pairs and labels, in order, as JSON-ready entries.
        statistics: see `safefeedback.dataset.stats`.
        files: by path in the folder.
        version: of safefeedback, which wrote it.
    """

    raw: dict[str, Any]
    labelling: Labelling
    horizon: int
    segment_cost_limit: float
    recipe_sha256: str
    content_sha256: str
    columns: dict[str, str]
    splits: dict[str, int]
    history: tuple[dict[str, Any], ...]
    statistics: dict[str, Any]
    files: dict[str, StoredFile]
    version: str

    @property
    def by_people(self) -> bool:
        """Whether people gave the labels."""
        return False

    @property
    def uses_cost_limit(self) -> bool:
        """Whether the safety labels belong to the cost limit, and not to people's own idea of what is safe."""
        return True

    @property
    def pairs(self) -> int:
        """The number of pairs in all splits."""
        return sum(self.splits.values())

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files.values())

    @property
    def filters_removed(self) -> tuple[int, int] | None:
        """How many safe and how many unsafe labels of training pairs the filters removed; None if older entries do not say."""
        steps = [entry for entry in self.history if entry["stage"] == "filter"]
        if any("train_safe_removed" not in entry for entry in steps):
            return None
        return sum(step["train_safe_removed"] for step in steps), sum(step["train_unsafe_removed"] for step in steps)


@dataclass(frozen=True, kw_only=True)
class Manifest(_Described):
    """The manifest of a dataset.

    Attributes:
        recipe: every choice that shaped it.
        source: the recordings.
        source_entry: the recordings' entry in the history.
    """

    recipe: Recipe
    source: Source
    source_entry: dict[str, Any]

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {rows:,}" for name, rows in self.splits.items())
        own_choices = {key: value for key, value in self.recipe.to_dict().items() if key != "task"}
        choices = ", ".join(f"{key}={value}" for key, value in own_choices.items() if value not in ("", [], 0.0))
        parts = {"splits": splits, "recipe": choices, "source": f"{self.source.file} ({self.source.kind})"}
        return format_repr(f"Manifest: {self.pairs:,} pairs of {self.task.name}", {**parts, "content": self.content_sha256})

    @property
    def task(self) -> Task:
        """What was recorded."""
        return self.recipe.task

    @property
    def own_task(self) -> bool:
        """Whether the task is one of the user's own, or differs from the known task of that name."""
        return tasks().get(self.task.name) != self.task

    @property
    def episodes(self) -> int:
        """How many episodes the recordings hold."""
        return int(self.source_entry["episodes"])

    @property
    def longest_episode(self) -> int:
        """How many steps the longest recorded episode has."""
        return int(self.source_entry["longest_episode"])

    @property
    def has_episode_lengths(self) -> bool:
        """Whether its pairs say how long each segment's episode is; those of older builds do not."""
        return any(name.startswith("pairs/") and name.endswith("/episode_length_0") for name in self.columns)

    @property
    def has_scalars(self) -> bool:
        """Whether the dataset has the table of segments, `scalars`; older builds have none."""
        return any(name.startswith(f"{SCALARS}/") for name in self.files)

    def anonymous(self) -> Manifest:
        """The same without the authors of the user's own recordings; DSRL's and ours are kept, as the licence demands."""
        if not KINDS[self.source.kind].own:
            return self
        return Manifest.parse({**self.raw, "source": {**self.raw["source"], "author": "", "citation": "", "credit": ""}})

    @classmethod
    def parse(cls, values: Any, place: str = "") -> Manifest:
        """Checks and reads what a recipe.json holds.

        Args:
            values: its JSON value.
            place: the dataset's folder, for errors.

        Raises:
            ManifestError: if something is missing or is not what it should be.
            InputError: if it is in another format than this one.
        """
        problems = structure_problems(values, DATASET, place)
        if not problems:
            first = values["history"][0] if values["history"] else {}
            problems = mismatches(first, SOURCE_ENTRY, "recipe.json: history[0]")
            if not problems and (first["stage"] != "source" or first["longest_episode"] < 1):
                problems = ["recipe.json: history does not begin with the source, or names no episode"]
            if values["source"]["kind"] not in KINDS:
                problems.append(f"recipe.json: source: kind is '{values['source']['kind']}', not one of {', '.join(KINDS)}")
        recipe: Recipe | None = None
        if not problems:
            recipe, problems = _choices(Recipe, values["recipe"], lambda: Task.from_dict(values["task"]))
        if recipe is None:
            raise ManifestError(place, "dataset", problems)
        said, first = values["source"], values["history"][0]
        terms = {key: said[key] for key in ("license", "author", "citation", "credit")}
        source = Source(said["kind"], values["not_hashed"]["source_file"], said["sha256"], **terms)
        labelling = Labelling.from_dict(values["recipe"], recipe.task)
        common = _common(values, labelling, recipe.length, first["longest_episode"])
        return cls(recipe=recipe, source=source, source_entry=first, **common)


@dataclass(frozen=True, kw_only=True)
class LabelSetManifest(_Described):
    """The manifest of a label set.

    Attributes:
        name: of the set.
        base_content_sha256, base_recipe_sha256: of the dataset whose pairs it labels.
        answers: where the labels came from, if people gave them; None for labels that were computed.
    """

    name: str
    base_content_sha256: str
    base_recipe_sha256: str
    answers: AnswersOrigin | None

    def __repr__(self) -> str:
        splits = ", ".join(f"{name} {rows:,}" for name, rows in self.splits.items())
        share = self.statistics.get("segments_safe")
        safe = "unknown" if share is None else f"{share:.1%} of the segments"
        origin = "people's answers" if self.by_people else "the recipe in its recipe.json"
        parts = {"splits": splits, "safe": safe, "made by": origin, "content": self.content_sha256}
        return format_repr(f"LabelSetManifest: {self.name}, {self.pairs:,} pairs", parts)

    @property
    def by_people(self) -> bool:
        """Whether people gave the labels."""
        return self.answers is not None

    @property
    def uses_cost_limit(self) -> bool:
        """Whether the safety labels belong to the cost limit, and not to people's own idea of what is safe."""
        return self.answers is None or self.answers.study is None or self.answers.study["safety_question"] == "limit"

    @classmethod
    def parse(cls, values: Any, base: Manifest, place: str = "") -> LabelSetManifest:
        """Checks and reads what the recipe.json of a label set holds.

        Args:
            values: its JSON value.
            base: the manifest of the dataset.
            place: the label set's folder, for errors.

        Raises:
            ManifestError, InputError: as `Manifest.parse` does.
        """
        problems, answers, labelling = structure_problems(values, LABEL_SET, place), None, None
        if not problems:
            chosen = values["recipe"]
            if "answers_sha256" in chosen:
                structure = {**ANSWERS, **({"study": STUDY} if "study" in chosen else {})}
                problems = mismatches(chosen, structure, "recipe.json: recipe")
                if not problems and chosen["consensus"] not in CONSENSUS:
                    problems = [f"recipe.json: recipe: there is no consensus '{chosen['consensus']}'"]
                if not problems:
                    answers = AnswersOrigin(chosen["file"], chosen["answers_sha256"], chosen["consensus"], chosen.get("study"))
        if not problems:
            labelling, problems = _choices(Labelling, chosen, lambda: base.task)
        if labelling is None:
            raise ManifestError(place, "label set", problems)
        return cls(
            name=values["name"],
            base_content_sha256=values["base"]["content_sha256"],
            base_recipe_sha256=values["base"]["recipe_sha256"],
            answers=answers,
            **_common(values, labelling, base.recipe.length, base.longest_episode),
        )


AnyManifest = Manifest | LabelSetManifest


def _common(values: dict[str, Any], labelling: Labelling, length: int, longest: int) -> dict[str, Any]:
    horizon = labelling.horizon_steps(longest)
    return {
        "raw": values,
        "labelling": labelling,
        "horizon": horizon,
        "segment_cost_limit": segment_cost_limit(labelling.limit, length, horizon),
        "content_sha256": values["content"]["sha256"],
        "columns": values["content"]["columns"],
        "files": {path: StoredFile(**file) for path, file in values["files"].items()},
        "history": tuple(values["history"]),
        "version": values["not_hashed"]["safefeedback"],
        **{key: values[key] for key in ("recipe_sha256", "splits", "statistics")},
    }


def _choices(kind: Any, values: dict[str, Any], task: Callable[[], Task]) -> tuple[Any, list[str]]:
    """The choices in a manifest, and the problems with them."""
    try:
        return kind.from_dict(values, task()), []
    except (InputError, TypeError, ValueError, AttributeError, KeyError) as error:
        return None, [f"recipe.json: there is no such recipe: {error}"]
