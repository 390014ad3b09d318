"""How often policies break the limit, by the effective number of episodes that they rest on, from the runs of table2.

    python cards/weighted_bc/few.py gather FACTS...     writes few.parquet: a row for each run
    python cards/weighted_bc/few.py                     prints the table

FACTS are the facts.json that `cards/table2/judge.py play` leaves. The runs are those of weighted-bc from feedback, from true
sums, and of the upper fifth by true sums, which alone differ in how many good episodes they clone.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
RULES = ("weighted-bc-feedback", "weighted-bc-true-sums", "weighted-bc-true-upper-fifth")
EDGES = (0, 10, 15, 20, 25, 30, 40, 1_000)


def gather(files: list[str]) -> None:
    """Joins the runs' findings with their episodes in cards/table2/rows.parquet."""
    played = pq.read_table(HERE.parent / "table2" / "rows.parquet").to_pandas()
    means = played.assign(over=played.normalized_cost > 1).groupby(["algorithm", "task", "cost_limit", "seed"])
    columns = ["normalized_return", "normalized_cost", "over"]
    of = {key: row for key, row in means[columns].mean().iterrows()}
    facts = {name: one for file in files for name, one in json.loads(Path(file).read_text()).items()}
    rows = []
    for name, one in sorted(facts.items()):
        group, policy = name.split("/")[0], one["policy"]
        key = (group, policy["task"]["name"], policy["cost_limit"], policy["seed"])
        if group.startswith(RULES) and key in of:
            told = dict(zip(("algorithm", "task", "cost_limit", "seed"), key, strict=True))
            rows.append({**told, "effective_episodes": one["findings"]["effective_episodes"], **of[key].to_dict()})
    pq.write_table(pa.Table.from_pylist(rows), HERE / "few.parquet", compression="zstd")


def show() -> None:
    """Prints how many cells (a task at a limit under a rule) and runs break the limit, by effective episodes."""
    runs = pq.read_table(HERE / "few.parquet").to_pandas()
    cells = runs.groupby(["algorithm", "task", "cost_limit"])[["effective_episodes", "normalized_cost"]].mean()
    print("| effective episodes | cells | unsafe | runs | unsafe | episodes over the limit |\n|---|---|---|---|---|---|")
    for low, high in itertools.pairwise(EDGES):
        some, groups = (one[(one.effective_episodes >= low) & (one.effective_episodes < high)] for one in (runs, cells))
        name = f"{low} to {high}" if high < EDGES[-1] else f"{low} and more"
        unsafe = [(one.normalized_cost > 1).sum() for one in (groups, some)]
        print(f"| {name} | {len(groups)} | {unsafe[0]} | {len(some)} | {unsafe[1]} | {some.over.mean():.1%} |")


if __name__ == "__main__":
    gather(sys.argv[2:]) if sys.argv[1:2] == ["gather"] else show()
