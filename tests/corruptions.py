"""What can go wrong with a dataset's folder, and a forger who repairs every trace that he can."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from safefeedback.dataset import card, stats
from safefeedback.dataset.content import ColumnHashes, content_hash
from safefeedback.dataset.reading import open_dataset
from safefeedback.dataset.store import by_split, recipe_hash
from safefeedback.dataset.structure import SCALARS
from safefeedback.dataset.tables import scalars_table
from safefeedback.feedback.recipe import Recipe
from safefeedback.files import file_sha256
from safefeedback.tasks import Task

LENGTHS = [40, 50, 12, 30, 50, 16, 45, 50]  # of the recorded episodes


def rewrite(folder: Path, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Rewrites the first file of a table with a change."""
    file = min((folder / table).glob("train-*.parquet"))
    before = pq.read_table(file)
    pq.write_table(change(before).replace_schema_metadata(before.schema.metadata), file)


def put(table: pa.Table, **columns: Any) -> pa.Table:
    """Puts other values into some columns."""
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(list(values), table[name].type))
    return table


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes recipe.json."""
    manifest = json.loads((folder / "recipe.json").read_text())
    change(manifest)
    (folder / "recipe.json").write_text(json.dumps(manifest))


def mend(folder: Path) -> None:
    """Repairs everything that a forger can without the recordings: rows, hashes, statistics, the card."""

    def hashes(manifest: dict[str, Any]) -> None:
        manifest["files"] = {
            name: {"bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)} for name in manifest["files"]
        }
        columns: dict[str, str] = {}
        for name in manifest["files"]:
            table, _, shard = name.rpartition("/")
            if table == SCALARS:
                continue
            split = shard.split("-")[0]
            content, found = pq.read_table(folder / name), ColumnHashes()
            manifest["splits"][split] = len(content)
            for column in content.column_names:
                found.add(column, content[column].combine_chunks())
            columns |= {f"{table}/{split}/{column}": digest for column, digest in found.hex().items()}
        manifest["content"] = {"sha256": content_hash(columns), "columns": columns}
        task = Task.from_dict(manifest["task"])
        recipe = Recipe.from_dict(manifest["recipe"], task)
        manifest["recipe_sha256"] = recipe_hash(recipe, manifest["source"]["sha256"])

    edit(folder, hashes)
    feedback = open_dataset(folder).feedback()
    edit(folder, lambda manifest: manifest.update(statistics=stats.statistics(feedback, len(LENGTHS))))
    for split, part in by_split(feedback).items():
        file = folder / SCALARS / f"{split}-00000-of-00001.parquet"
        pq.write_table(scalars_table(part).replace_schema_metadata(pq.read_schema(file).metadata), file)
        path, now = file.relative_to(folder).as_posix(), {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
        edit(folder, lambda manifest, path=path, now=now: manifest["files"].update({path: now}))
    card.rewrite(open_dataset(folder))


def other_observation(folder: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        values = table["observations_1"].to_pylist()
        values[5][3] = float(np.nextafter(np.float32(values[5][3]), np.float32(9)))
        return put(table, observations_1=values)

    rewrite(folder, "pairs", change)


def swapped_pair(folder: Path) -> None:
    """Swaps the two segments of a pair, but not the labels."""

    def change(table: pa.Table) -> pa.Table:
        for name in ("observations", "actions", "episode", "start"):
            first, second = table[f"{name}_0"].to_pylist(), table[f"{name}_1"].to_pylist()
            first[4], second[4] = second[4], first[4]
            table = put(table, **{f"{name}_0": first, f"{name}_1": second})
        return table

    rewrite(folder, "pairs", change)


def flipped_label(folder: Path) -> None:
    rewrite(
        folder, "pairs", lambda table: put(table, preference=[1 - table["preference"][0].as_py(), *table["preference"][1:]])
    )


def window_over_the_end(folder: Path) -> None:
    """A window of the longest episode now starts at its last step but one."""

    def change(table: pa.Table) -> pa.Table:
        return put(table, episode_0=[1, *table["episode_0"][1:]], start_0=[48, *table["start_0"][1:]])

    rewrite(folder, "pairs", change)


def window_over_a_short_end(folder: Path) -> None:
    """A window that fits into the longest episode, but not into its own."""

    def change(table: pa.Table) -> pa.Table:
        return put(table, episode_0=[2, *table["episode_0"][1:]], start_0=[9, *table["start_0"][1:]])

    rewrite(folder, "pairs", change)


def lost_row(folder: Path) -> None:
    for name in ("pairs", "oracle"):
        rewrite(folder, name, lambda table: pa.concat_tables([table[:6], table[7:]]))


def lost_last_row(folder: Path) -> None:
    for name in ("pairs", "oracle"):
        rewrite(folder, name, lambda table: table[:-1])


def repeated_row(folder: Path) -> None:
    for name in ("pairs", "oracle"):
        rewrite(folder, name, lambda table: pa.concat_tables([table[:7], table[6:7], table[7:]]))


def row_in_anothers_place(folder: Path) -> None:
    """One pair stands twice under two numbers, another one is lost."""
    for name in ("pairs", "oracle"):
        rewrite(folder, name, lambda table: put(table.take([*range(6), 5, *range(7, len(table))]), pair_id=table["pair_id"]))


def other_seed(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["recipe"].update(seed=1))


def other_limit(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["recipe"].update(cost_limit=40.0))


def scalars_that_disagree(folder: Path) -> None:
    """A cost that differs from the oracle's, in a file whose sha256 is in recipe.json."""
    rewrite(folder, SCALARS, lambda table: put(table, cost=[9.0, *table["cost"][1:]]))
    file = min((folder / SCALARS).iterdir())
    now = {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
    edit(folder, lambda manifest: manifest["files"].update({file.relative_to(folder).as_posix(): now}))


def truncated_shard(folder: Path) -> None:
    file = min((folder / "pairs").iterdir())
    file.write_bytes(file.read_bytes()[:-200])


def edited_statistic(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["statistics"].update(segments_safe=0.99))


def edited_history(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["history"][2].update(safe=3))


def card_that_disagrees(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    assert "| ties | 0 |" in text
    (folder / "README.md").write_text(text.replace("| ties | 0 |", "| ties | 1 |"))


def oracle_out_of_step(folder: Path) -> None:
    """Returns and costs one row further down."""

    def change(table: pa.Table) -> pa.Table:
        names = [name for name in table.column_names if name != "pair_id"]
        return put(table, **{name: np.roll(table[name].to_numpy(), 1) for name in names})

    rewrite(folder, "oracle", change)


def foreign_file(folder: Path) -> None:
    (folder / "notes.txt").write_text("Mine.")


def foreign_shard(folder: Path) -> None:
    shutil.copyfile(min((folder / "pairs").iterdir()), folder / "pairs" / "train-more.parquet")


def foreign_source(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["source"].update(sha256="0" * 64))


# corruption -> the check that finds it; then, with a forger's repairs, without the recordings and with them ("": none)
CORRUPTIONS: dict[Callable[[Path], None], tuple[str, str, str]] = {
    other_observation: ("files tables", "", "content"),
    swapped_pair: ("files tables", "", "content"),
    flipped_label: ("files tables content statistics", "content", "content"),
    window_over_the_end: ("files tables rows", "rows", "rows content"),
    window_over_a_short_end: ("files tables", "", "rows content"),
    lost_row: ("files tables rows content statistics", "rows content statistics", "rows content"),
    lost_last_row: ("files tables rows content statistics", "rows content statistics", "rows content"),
    repeated_row: ("files tables rows content statistics", "tables rows content statistics", "tables rows content"),
    row_in_anothers_place: ("files tables content statistics", "content", "content"),
    other_seed: ("manifest content", "content", "content"),
    other_limit: ("manifest content statistics", "content statistics", "content statistics"),
    truncated_shard: ("files tables rows", "", ""),
    edited_statistic: ("statistics card", "", ""),
    edited_history: ("statistics card", "statistics", "statistics"),
    card_that_disagrees: ("card", "", ""),
    scalars_that_disagree: ("scalars", "", ""),
    oracle_out_of_step: ("files tables content statistics", "content", "content"),
    foreign_file: ("files", "files", "files"),
    foreign_shard: ("files tables rows", "", ""),
    foreign_source: ("manifest", "", "source"),
}
