"""Imports labels made elsewhere, such as people's answers: a CSV file with one row for each annotator and pair.

    pair_id,annotator,preference,is_safe_0,is_safe_1
    17,ann,1,true,false
    17,bob,0.5,true,
    18,ann,,,true

`preference` is the index of the better segment (0, 1, 0.5 for a tie, between for a soft label), `is_safe_*` 1 or 0, true or
false; an empty cell is no answer. The columns annotator, preference and the two of safety may be left out. Pairs that nobody
was asked about do not occur in the label set; pairs that were not answered do, and are null.

Further columns (`EXTRA_COLUMNS`) describe how an answer was given: whether it was "can't tell", which segment was on the left,
how many pairs the annotator had seen before, the order in which pairs were assigned, the probability of this one, how many
seconds it took, and the day. They are stored if the file has them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from safefeedback.dataset.arrow import column, words
from safefeedback.dataset.label_sets import card_rewritten, check_set_name, label_again, open_local, write_label_set
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.store import recipe_hash
from safefeedback.errors import InputError
from safefeedback.feedback.consensus import CONSENSUS
from safefeedback.feedback.recipe import Labelling
from safefeedback.types import Feedback

COLUMNS = ("pair_id", "annotator", "preference", "is_safe_0", "is_safe_1")
EXTRA_COLUMNS = {
    "preference_cannot_tell": pa.bool_(),
    "is_safe_0_cannot_tell": pa.bool_(),
    "is_safe_1_cannot_tell": pa.bool_(),
    "segment_1_left": pa.bool_(),
    "position": pa.int32(),
    "order": pa.string(),
    "probability": pa.float32(),
    "seconds": pa.float32(),
    "day": pa.string(),
    "quick": pa.bool_(),
}
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
WHOLE = re.compile(r"([0-9]{1,18})(\.0*)?")  # pandas writes 17.0 where a cell of the column is empty
WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}


@dataclass(frozen=True)
class Answers:
    """Every single answer, sorted by pair and annotator.

    Attributes:
        pair_id: int64 [R].
        annotator: [R] names.
        values: float32 [R, 3]: preference, is_safe_0, is_safe_1; NaN where not answered.
        more: some of the columns of `EXTRA_COLUMNS`, [R] each.
    """

    pair_id: np.ndarray
    annotator: tuple[str, ...]
    values: np.ndarray
    more: dict[str, pa.Array] = field(default_factory=dict)

    def table(self) -> pa.Table:
        """As a table, as stored."""
        missing = np.isnan(self.values)
        filled = np.where(missing, 0, self.values)
        columns = {"pair_id": column(self.pair_id.astype(np.int64, copy=False)), "annotator": words(self.annotator)}
        columns["preference"] = column(filled[:, 0].astype(np.float32), missing[:, 0])
        for side in (0, 1):
            columns[f"is_safe_{side}"] = column(filled[:, 1 + side].astype(bool), missing[:, 1 + side])
        return pa.table({**columns, **self.more})

    @staticmethod
    def of_table(table: pa.Table) -> Answers:
        """The opposite of `table`.

        Raises:
            KeyError, TypeError, ValueError: if it is not such a table.
        """
        columns = [table[name].to_numpy() for name in COLUMNS[2:]]
        values = np.stack([column.astype(np.float32) for column in columns], axis=1)
        more = {name: table[name].combine_chunks() for name in EXTRA_COLUMNS if name in table.column_names}
        return Answers(table["pair_id"].to_numpy(), tuple(map(str, table["annotator"].to_pylist())), values, more)


def import_answers(
    folder: Path,
    file: Path,
    name: str,
    consensus: str = "majority",
    cost_limit: float | None = None,
    overwrite: bool = False,
    study: dict[str, Any] | None = None,
) -> LabelSetManifest:
    """Brings labels made elsewhere into a dataset as a label set.

    Args:
        folder: of the dataset.
        file: the CSV file.
        name: of the label set.
        consensus: how several answers to one question become one label, of `safefeedback.feedback.consensus`.
        cost_limit: the limit that annotators were told, which defines the true safety labels; None for the dataset's.
        overwrite: whether a label set of that name is replaced.
        study: what is known of how people were asked, as `safefeedback.dataset.structure.STUDY` has it.

    Returns:
        The manifest of the label set.

    Raises:
        InputError: naming file and line, if an answer cannot be one or is about a pair that the dataset does not hold.
    """
    if consensus not in CONSENSUS:
        raise InputError(f"--consensus has no '{consensus}': choose from {', '.join(CONSENSUS)}")
    check_set_name(folder, name, overwrite)
    opened, content = open_local(folder), _bytes_of(file)
    base, manifest = opened.feedback(), opened.manifest
    answers, sha256 = read_answers(content, str(file), base.pairs.pair_id), hashlib.sha256(content).hexdigest()
    limit = manifest.recipe.limit if cost_limit is None else cost_limit
    truth = Labelling(manifest.task, cost_limit=limit, horizon=manifest.recipe.horizon)
    feedback = label_by_answers(base, answers, truth, consensus, manifest)
    origin = {
        "cost_limit": float(limit),
        "horizon": truth.horizon,
        "file": file.name,
        "answers_sha256": sha256,
        "consensus": consensus,
        **({"study": study} if study is not None else {}),
    }
    manifest_entries = {"recipe": origin, "recipe_sha256": recipe_hash(truth, hash_origin(manifest, sha256, consensus))}
    with card_rewritten(folder, [name]):
        return write_label_set(folder, name, manifest, feedback, manifest_entries, answers.table(), overwrite)


def hash_origin(manifest: Manifest, sha256: str, consensus: str) -> str:
    """The input of the recipe hash of imported labels besides limit and horizon: the dataset, the file, the consensus."""
    return f"{manifest.content_sha256} {sha256} {consensus}"


def label_by_answers(base: Feedback, answers: Answers, truth: Labelling, consensus: str, manifest: Manifest) -> Feedback:
    """The pairs that annotators were asked about, labelled by the consensus of their answers.

    Args:
        base: every pair of the dataset.
        answers: about some of them.
        truth: the cost limit and horizon that define the true safety labels.
        consensus: how several answers to one question become one label, of `safefeedback.feedback.consensus`.
        manifest: of the dataset.
    """
    answered_pairs, row = np.unique(answers.pair_id, return_inverse=True)
    names, person = np.unique(np.array(answers.annotator), return_inverse=True)
    votes = np.full((len(answered_pairs), len(names), 3), np.nan, np.float32)
    votes[row, person] = answers.values
    preference, *safe = (CONSENSUS[consensus](votes[..., column]) for column in range(3))
    base = base.take(np.isin(base.pairs.pair_id, answered_pairs))
    clean = label_again(base, truth, manifest)
    entry = {
        "stage": "answers",
        "answers": len(answers.pair_id),
        "annotators": len(names),
        "pairs": len(answered_pairs),
        "consensus": consensus,
        "unanswered_preferences": int(np.isnan(preference).sum()),
        "unanswered_safety": int(np.isnan(safe).sum()),
    }
    return replace(clean, preference=preference, safe=np.stack(safe, axis=1), history=(clean.history[0], entry))


def _bytes_of(file: Path) -> bytes:
    """The whole content of a file, read once: it may be a pipe."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None


def read_answers(content: bytes, file: str, known: np.ndarray) -> Answers:
    """Reads a CSV file, whose cells may be separated by commas, semicolons (decimals then with a comma or a dot), tabs or `|`.

    Args:
        content: of the file.
        file: its name, for errors.
        known: the dataset's pair_ids.

    Raises:
        InputError: naming file and line.
    """
    try:
        text = content.decode("utf-8-sig")
        separator = max(",;\t|", key=text.partition("\n")[0].count)
        rows = list(_numbered(csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} is not a CSV file in UTF-8: {error}") from None
    header = [name.strip() for name in rows[0][1]] if rows else []
    if header[:1] == [""]:
        raise InputError(f"{file}: the first column has no name: leave it out (with pandas, to_csv(..., index=False))")
    unknown = [name for name in header if name not in COLUMNS and name not in EXTRA_COLUMNS]
    if "pair_id" in header and unknown:
        raise InputError(
            f"{file}: a column '{unknown[0][:40]}' is not known: leave it out, or name it {', '.join(COLUMNS[1:])}"
        )
    if len(set(header)) < len(header) or "pair_id" not in header or len(header) < 2:
        raise InputError(
            f"{file}: the first line must name the columns pair_id and some of {', '.join(COLUMNS[1:])}, not {header}"
        )
    ids = set(known.tolist())
    seen: dict[tuple[int, str], tuple[list[float], list[Any]]] = {}
    more = [name for name in EXTRA_COLUMNS if name in header]
    for line, cells in rows[1:]:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise InputError(f"{file}, line {line}: {len(cells)} cells, but the first line names {len(header)} columns")
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        pair_id, annotator = row["pair_id"], row.get("annotator", "")
        whole = WHOLE.fullmatch(pair_id)
        if whole is None or int(whole[1]) not in ids:
            raise InputError(f"{file}, line {line}: the dataset holds no pair with pair_id '{pair_id[:40]}'")
        if (int(whole[1]), annotator) in seen:
            raise InputError(f"{file}, line {line}: annotator '{annotator}' answers pair {pair_id} a second time")
        texts = {name: row.get(name, "").replace(",", ".") if separator == ";" else row.get(name, "") for name in COLUMNS[2:]}
        values = [_answer(text, name, f"{file}, line {line}") for name, text in texts.items()]
        seen[int(whole[1]), annotator] = values, [_more(row[name], name, f"{file}, line {line}") for name in more]
    if not seen:
        raise InputError(f"{file} holds no answers")
    order = sorted(seen)
    return Answers(
        np.array([pair_id for pair_id, _ in order], np.int64),
        tuple(annotator for _, annotator in order),
        np.array([seen[key][0] for key in order], np.float32),
        {name: pa.array([seen[key][1][at] for key in order], EXTRA_COLUMNS[name]) for at, name in enumerate(more)},
    )


def _more(text: str, column: str, where: str) -> Any:
    """A value of one of the columns that describe how an answer was given."""
    kind = EXTRA_COLUMNS[column]
    try:
        if pa.types.is_string(kind):
            return text
        if pa.types.is_boolean(kind):
            return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
        if pa.types.is_integer(kind) and (whole := WHOLE.fullmatch(text)):
            return pa.scalar(int(whole[1]), kind).as_py()
        if pa.types.is_floating(kind) and NUMBER.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
    except (KeyError, pa.ArrowInvalid):
        pass
    raise InputError(f"{where}: {column} is '{text}', which does not fit its type, {kind}")


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, each with the line of the file where it begins; a quoted cell may run over several."""
    line = 1
    for row in reader:
        yield line, row
        line = reader.line_num + 1


def _answer(text: str, column: str, where: str) -> float:
    if not text:
        return float("nan")
    value = WORDS.get(text.lower(), float(text) if NUMBER.fullmatch(text) else float("nan"))
    if column == "preference" and text.lower() not in WORDS and 0 <= value <= 1:
        return value
    if column != "preference" and value in (0, 1):
        return value
    allowed = "a number from 0 (segment 0 is better) to 1" if column == "preference" else "true, false, 1 or 0"
    if value == -1:
        allowed += " (-1 often stands for no preference: write 0.5 for a tie)" if column == "preference" else ""
    raise InputError(f"{where}: {column} is '{text[:40]}', which is not {allowed}; leave it empty for no answer")
