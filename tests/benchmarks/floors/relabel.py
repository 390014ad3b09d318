"""Writes the two tables of a label set at each limit, from what the dataset's own oracle says.

    python relabel.py FOLDER OUT LIMIT ...

It takes the hashes that a label set's recipe.json holds, of every column and of every file. It checks nothing of the dataset,
and makes no card.
"""

import hashlib
import json
import sys
from pathlib import Path

from plain import sha256  # isort: skip

import pyarrow as pa
import pyarrow.parquet as pq

HORIZON = 300  # of DroneCircle


def main(folder: Path, out: Path, limits: list[float]) -> None:
    pa.set_cpu_count(1)
    (pairs,), (oracle,) = (folder.glob(f"{name}/train-*.parquet") for name in ("pairs", "oracle"))
    places = pq.ParquetFile(pairs)
    places.read(["pair_id", "episode_0", "episode_1", "start_0", "start_1"])
    share = json.loads(places.schema_arrow.metadata[b"safefeedback"])["length"] / HORIZON
    truth = pq.ParquetFile(oracle).read()
    costs = [truth[f"cost_{side}"].to_numpy() for side in (0, 1)]
    for limit in limits:
        safe = [pa.array(cost <= limit * share) for cost in costs]
        columns = [truth["pair_id"], truth["clean_preference"], *safe]
        labels = pa.table(columns, names=["pair_id", "preference", "is_safe_0", "is_safe_1"])
        for side in (0, 1):
            at = truth.schema.get_field_index(f"clean_is_safe_{side}")
            truth = truth.set_column(at, f"clean_is_safe_{side}", safe[side])
        hashes = {}
        for name, table in {"labels": labels, "oracle": truth}.items():
            for column in table.column_names:
                hashes[f"{name}/{column}"] = hashlib.sha256(table[column].to_numpy().data).hexdigest()
            file = out / f"{name}-{limit:g}.parquet"
            pq.write_table(table, file, row_group_size=1000, compression="zstd", use_dictionary=False)
            hashes[file.name] = sha256(file)
        (out / f"hashes-{limit:g}.json").write_text(json.dumps(hashes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [float(limit) for limit in sys.argv[3:]])
