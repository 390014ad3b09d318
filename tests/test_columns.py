"""The stored columns are those of `dataset/columns.py`, the basis of the reference and Croissant: names, order and types."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safefeedback import Recipe, build_dataset, find_task
from safefeedback.dataset import columns
from safefeedback.dataset.answers import EXTRA_COLUMNS, Answers, import_answers
from safefeedback.dataset.arrow import items
from safefeedback.feedback.annotators import ANNOTATORS
from safefeedback.feedback.teachers import TEACHERS


def test_items_of_a_column_of_lists_without_an_import() -> None:
    even = pa.FixedSizeListArray.from_arrays(pa.array(range(12)), 3)
    gap, uneven = pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2)), pa.array([[1], [2, 3]])
    for column in (even, even[1:3], even[2:2], gap, gap[1:], uneven):
        assert items(column).equals(column.flatten())


def told(schema: pa.Schema) -> dict[str, str]:
    """The types of columns in the words of columns.py, without the lengths of lists."""
    words = {"float": "float32", "double": "float64"}
    found = {}
    for field in schema:
        listed = pa.types.is_fixed_size_list(field.type)
        kind = str(field.type.value_type if listed else field.type)
        found[field.name] = words.get(kind, kind) + ", a list" * listed
    return found


def said(known: columns.Columns) -> dict[str, str]:
    return {name: re.sub(", a list of .*", ", a list", kind) for name, (kind, _) in columns.both_sides(known).items()}


def stored(folder: Path, table: str) -> dict[str, str]:
    return told(pq.read_schema(folder / table / "train-00000-of-00001.parquet"))


def test_every_table_holds_the_columns_that_are_described(ball_file: Path, tmp_path: Path) -> None:
    recipe = Recipe(find_task("BallCircle"), pairs=20, length=16)
    folder, _ = build_dataset(recipe, str(ball_file), tmp_path / "data")
    assert list(stored(folder, "pairs").items()) == list(said(columns.PAIRS).items())
    assert list(stored(folder, "oracle").items()) == list(said(columns.ORACLE).items())
    assert stored(folder, "oracle/scalars") == said(columns.SCALARS)
    (tmp_path / "answers.csv").write_text("pair_id,annotator,preference,is_safe_0,is_safe_1\n0,ann,1,1,0\n")
    import_answers(folder, tmp_path / "answers.csv", "people")
    assert stored(folder, "labels/people") == said({**columns.PAIR_ID, **columns.LABELS})
    own = [name for name in said(columns.ANSWERS) if name not in EXTRA_COLUMNS]
    assert list(stored(folder, "labels/people/answers")) == own
    assert said(columns.ANSWERS) == stored(folder, "labels/people/answers") | {
        name: {"float": "float32"}.get(str(kind), str(kind)) for name, kind in EXTRA_COLUMNS.items()
    }
    assert Answers.of_table(pq.read_table(folder / "labels/people/answers/train-00000-of-00001.parquet")).annotator == ("ann",)


@pytest.mark.parametrize("part", ["teacher", "safety_noise"])
def test_the_marks_of_every_teacher_and_annotator_are_described(part: str, ball_file: Path, tmp_path: Path) -> None:
    found: dict[str, str] = {}
    for name in TEACHERS if part == "teacher" else ANNOTATORS:
        if name == "regret" or name.startswith("bpref-"):
            continue  # these need advantages, or rewards above 0, and leave the same marks as the others
        recipe = Recipe(find_task("BallCircle"), pairs=20, length=16, **{part: name})
        folder, _ = build_dataset(recipe, str(ball_file), tmp_path / name)
        found |= stored(folder, "oracle")
    more = {name: kind for name, kind in found.items() if name not in said(columns.ORACLE)}
    begins = "preference" if part == "teacher" else "is_safe"
    assert more == {name: kind for name, kind in said(columns.MARKS).items() if name.startswith(begins)}
