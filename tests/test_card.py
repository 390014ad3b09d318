"""The card and the Croissant metadata against the schemas that the Hub and MLCommons document."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import write_hdf5

import safefeedback
from safefeedback.dataset import card
from safefeedback.dataset.answers import import_answers
from safefeedback.dataset.citation import CITATIONS, PRESA_CITATION, SOFTWARE_CITATION
from safefeedback.dataset.label_sets import relabel
from safefeedback.dataset.reading import open_dataset
from safefeedback.dataset.structure import SCALARS
from safefeedback.feedback.recipe import Recipe
from safefeedback.publish import croissant
from safefeedback.tasks import tasks

CARDS = Path(__file__).parents[1] / "cards"
# https://github.com/huggingface/hub-docs/blob/main/datasetcard.md, and the values that huggingface_hub's DatasetCardData names
FIELDS = {"pretty_name", "license", "license_name", "license_link", "language", "tags", "annotations_creators", "configs"}
FIELDS |= {"size_categories", "source_datasets", "task_categories", "dataset_info"}
CREATORS = {"found", "crowdsourced", "expert-generated", "machine-generated", "no-annotation", "other"}
SIZES = {"n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("card")
    recipe = Recipe(tasks()["BallCircle"], pairs=20, length=4, noise=0.2, test_fraction=0.5)
    data, _ = safefeedback.build_dataset(recipe, str(write_hdf5(place / "ball.hdf5", [20] * 8)), place / "data")
    relabel(data, [{"noise": 0.5}], "noisy")
    (place / "answers.csv").write_text("pair_id,annotator,preference\n0,ann,1\n1,ann,0\n")
    import_answers(data, place / "answers.csv", "people")
    return data


def test_the_cards_metadata_follow_the_hubs_schema(folder: Path):
    from huggingface_hub import DatasetCard

    text = (folder / "README.md").read_text()
    values = yaml.safe_load(text.split("---\n")[1])
    assert set(values) <= FIELDS and DatasetCard(text).data.to_dict().keys() == values.keys()
    assert set(values["annotations_creators"]) == {"machine-generated", "other"} <= CREATORS
    assert set(values["size_categories"]) == {"n<1K"} <= SIZES and values["task_categories"] == ["reinforcement-learning"]
    assert all(isinstance(tag, str) for tag in values["tags"]) and values["license"] == "unknown"
    assert "People gave those of the label set people." in text and "No person" not in text
    assert [config["config_name"] for config in values["configs"] if config.get("default")] == ["pairs"]
    for config in values["configs"]:
        for data_file in config["data_files"]:
            assert sum(pq.read_metadata(path).num_rows for path in folder.glob(data_file["path"])) > 0
    (info,) = values["dataset_info"]
    assert info["config_name"] == "pairs"
    assert [(split["name"], split["num_examples"]) for split in info["splits"]] == [("train", 10), ("test", 10)]
    for split in info["splits"]:
        table = pq.read_table(next((folder / "pairs").glob(f"{split['name']}-*")))
        assert -(-sum(map(_bits, table.columns)) // 8) == split["num_bytes"]


def _bits(column: pa.ChunkedArray) -> int:
    """What a column takes in memory, without a map of its nulls."""
    values = column.combine_chunks().flatten() if pa.types.is_fixed_size_list(column.type) else column
    return len(values) * values.type.bit_width


def test_the_scalars_are_the_oracles_and_the_cards_queries_run_on_them(folder: Path):
    """As the Hub runs them: DuckDB, with the split as a view of that name."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    text, stored = (folder / "README.md").read_text(), open_dataset(folder).feedback()
    scalars = pq.read_table(folder / SCALARS / "train-00000-of-00001.parquet")
    train = stored.take(~stored.pairs.test)
    assert scalars["cost"].to_pylist() == train.costs.reshape(-1).tolist() and scalars["length"].to_pylist() == [4] * 20
    flipped = scalars["is_safe_flipped"].to_numpy().reshape(-1, 2)
    assert flipped.any() and np.array_equal(flipped, train.safe_flipped)
    better = scalars.filter(pa.compute.equal(scalars["preferred"], 1.0))
    assert better["segment"].to_pylist() == train.preference[train.preference != 0.5].astype(int).tolist()
    queries = re.findall(r"```sql\n(.*?)```", text, re.S)
    assert len(queries) == 3
    for where in ("train", "test"):
        connection = duckdb.connect()
        connection.execute(f"CREATE VIEW train AS SELECT * FROM '{folder / SCALARS}/{where}-*.parquet'")
        points, by_cost, dear = (connection.execute(query).fetchall() for query in queries)
        assert len(points) == 20 and sum(row[1] for row in by_cost) == 20
        rows = stored.take(stored.pairs.test == (where == "test"))
        side = (rows.preference > 0.5).astype(int)
        unsafe = (rows.safe[np.arange(10), side] == 0) & (rows.preference != 0.5)
        assert {row[0] for row in dear} == set(rows.pairs.pair_id[unsafe].tolist()) and len(dear) > 0
    shutil.rmtree(shutil.copytree(folder, folder.parent / "withheld") / "oracle")
    assert not [path for path in (folder.parent / "withheld").rglob("*") if "scalars" in str(path.relative_to(folder.parent))]
    assert len(safefeedback.read(folder.parent / "withheld")) == 10


def test_where_the_segments_come_from_is_named(folder: Path):
    manifest = open_dataset(folder).manifest

    def origins(kind: str, **terms: str) -> list[str] | None:
        text = card.render(replace(manifest, source=replace(manifest.source, kind=kind, **terms)))
        return yaml.safe_load(text.split("---\n")[1]).get("source_datasets")

    assert origins("dsrl") == ["YYY-45/DSRL"] and origins("recordings") == ["original"] and origins("file") is None


def test_croissant_is_valid_and_reads_the_data(folder: Path, tmp_path: Path):
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    opened = open_dataset(folder)
    found = croissant.metadata(opened.manifest, opened.label_sets, "user/ball", "https://huggingface.co/datasets/user/ball")
    for file in found["distribution"]:
        assert file["contentUrl"] == f"https://huggingface.co/datasets/user/ball/resolve/main/{file['@id']}"
        assert (folder / file["@id"]).is_file()
        file["contentUrl"] = str(folder / file["@id"])  # as the server would send it
    (tmp_path / "croissant.json").write_text(json.dumps(found))
    dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    table = pq.read_table(folder / "pairs" / "train-00000-of-00001.parquet")
    records = list(dataset.records(record_set="pairs-train"))
    assert [row["pairs-train/pair_id"] for row in records] == table["pair_id"].to_pylist()
    assert list(records[3]["pairs-train/actions_1"]) == table["actions_1"][3].as_py()
    names = {record_set["@id"] for record_set in found["recordSet"]}
    assert {"pairs-train", "oracle-train", "scalars-test", "noisy-test", "noisy-oracle-test", "people-train"} <= names
    rows = [row["scalars-train/cost"] for row in dataset.records(record_set="scalars-train")]
    assert rows == pq.read_table(folder / SCALARS / "train-00000-of-00001.parquet")["cost"].to_pylist()
    missing = [warning for warning in dataset.metadata.ctx.issues.warnings if "rai" in warning.lower()]
    assert not missing
    for word in ("dataCollection", "dataAnnotationProtocol"):
        assert found[f"rai:{word}"]


def test_croissant_has_the_fields_that_neurips_demands(folder: Path, caplog: pytest.LogCaptureFixture):
    """https://neurips.cc/Conferences/2026/EvaluationsDatasetsHosting; what mlcroissant makes of them is what was meant."""
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    opened = open_dataset(folder)
    found = croissant.metadata(opened.manifest, opened.label_sets, "user/ball", "https://huggingface.co/datasets/user/ball")
    words = ("dataLimitations", "dataBiases", "personalSensitiveInformation", "dataUseCases", "dataSocialImpact")
    assert all(found[f"rai:{word}"] for word in words) and found["rai:hasSyntheticData"] is True
    (origin,) = found["prov:wasDerivedFrom"]
    assert origin["@id"] == f"urn:sha256:{opened.manifest.source.fingerprint}"
    steps = found["prov:wasGeneratedBy"]
    assert [step["prov:label"] for step in steps] == ["Recording", "Sampling and labelling", "Answers of people: people"]
    assert steps[1]["prov:used"] == {"@id": origin["@id"]} and "safefeedback build" in steps[1]["sc:description"]
    metadata = mlcroissant.Dataset(jsonld=found).metadata
    assert not metadata.ctx.issues.errors
    lacking = {re.findall(r"schema.org/(\w+)", warning)[0] for warning in metadata.ctx.issues.warnings}
    assert lacking == {"datePublished", "version"}, "the tag has both, and comes after the metadata"
    assert "not standard" not in caplog.text and metadata.ctx.is_v1_1()
    graph = json.dumps(metadata.to_json(), default=str)
    for word in ("Sampling and labelling", origin["@id"], "hasSyntheticData"):
        assert word in graph
    dsrl = replace(opened.manifest, source=replace(opened.manifest.source, kind="dsrl"))
    (origin,) = croissant.metadata(dsrl, {}, "user/ball", "https://hub.example")["prov:wasDerivedFrom"]
    assert origin["prov:atLocation"] == opened.manifest.task.url


def test_the_cards_of_the_eight_tasks_are_current():
    """`python cards/tasks.py` would change nothing, and somebody wrote something about each."""
    spec = importlib.util.spec_from_file_location("task_cards", CARDS / "tasks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert sorted(path.stem for path in (CARDS / "tasks").iterdir()) == sorted(module.TASKS)
    for task in module.TASKS:
        text, line, notes = (CARDS / "tasks" / f"{task}.md").read_text().partition(card.NOTES_MARKER)
        assert text + line == module.card(task), f"{task}: run python cards/tasks.py"
        assert notes.startswith("\n## Notes\n") and len(notes) > 200


def test_the_citation_of_this_software_is_that_of_its_citation_file() -> None:
    cff = yaml.safe_load((Path(__file__).parents[1] / "CITATION.cff").read_text())
    assert f"title   = {{{cff['title']}}}" in SOFTWARE_CITATION
    assert f"{PRESA_CITATION}\n\n{SOFTWARE_CITATION}" == CITATIONS


def test_the_record_sets_hold_every_column(folder: Path):
    """Those of the truth and of label sets too; `citeAs` names this software beside the paper."""
    opened = open_dataset(folder)
    found = croissant.metadata(opened.manifest, opened.label_sets, "user/ball", "https://hub.example/user/ball")
    known = {one["@id"]: [field["name"] for field in one["field"]] for one in found["recordSet"]}
    for name, table in (
        ("pairs", "pairs"),
        ("oracle", "oracle"),
        ("noisy", "labels/noisy"),
        ("noisy-oracle", "labels/noisy/oracle"),
    ):
        assert known[f"{name}-train"] == pq.read_schema(folder / table / "train-00000-of-00001.parquet").names
    assert found["citeAs"].startswith(CITATIONS)
