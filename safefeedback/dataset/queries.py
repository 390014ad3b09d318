"""Queries of the table `scalars` in SQL, shown in the card: they run in the Hub's Data Studio and in DuckDB."""

from __future__ import annotations

from safefeedback.dataset.manifest import Manifest

QUERIES = {
    "Return and cost of a thousand segments, to plot": """
SELECT cost, "return", is_safe FROM train USING SAMPLE 1000 ROWS (reservoir, 0)""",
    "How the segments of each cost were labelled, and what they earn": """
SELECT floor(cost) AS from_cost, count(*) AS segments, avg(is_safe::INT) AS share_safe, avg("return") AS mean_return
FROM train GROUP BY from_cost ORDER BY from_cost""",
    "Pairs whose preferred segment is unsafe, with what the choice earns and costs": """
SELECT pair_id, better."return" - other."return" AS more_return, better.cost - other.cost AS more_cost, better.is_safe_flipped
FROM train AS better JOIN train AS other USING (pair_id)
WHERE better.segment <> other.segment AND better.preferred > 0.5 AND NOT better.is_safe ORDER BY more_cost DESC""",
}


def describe_scalars(manifest: Manifest) -> str:
    """What the card says about the table, with the queries; nothing if the dataset does not have it."""
    if not manifest.has_scalars:
        return ""
    sections = "".join(f"{title}:\n\n```sql{query}\n```\n\n" for title, query in QUERIES.items())
    return (
        "`scalars` belongs to the oracle too: a row for each segment with `return`, `cost`, `length`, `preferred`, `is_safe`\n"
        "and which labels were flipped. It follows from `pairs` and `oracle`, and is there to be filtered and plotted. In the\n"
        "Data Studio of the Hub, choose the subset `scalars` and the split `train`, and open the SQL console:\n\n" + sections
    )
