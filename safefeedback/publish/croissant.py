"""Croissant metadata of a dataset, with the vocabulary for responsible AI that NeurIPS asks for.

Format: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html; the context is the one that mlcroissant writes.
"""

from __future__ import annotations

import json
from typing import Any

from safefeedback.dataset.card import describe
from safefeedback.dataset.citation import CITATIONS
from safefeedback.dataset.columns import LABELS, ORACLE, PAIR_ID, PAIRS, SCALARS, Columns, both_sides
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.structure import SCALARS as SCALARS_TABLE
from safefeedback.publish.responsible import provenance, responsible

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataBiases": "cr:dataBiases",
    "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
LICENSES = {"cc-by-4.0": "https://creativecommons.org/licenses/by/4.0/", "mit": "https://opensource.org/license/mit"}
TYPES = {"int": "sc:Integer", "float": "sc:Float", "bool": "sc:Boolean"}  # by the first letters of a column's type


def metadata(manifest: Manifest, sets: dict[str, LabelSetManifest], place: str, url: str, under: str = "") -> dict[str, Any]:
    """croissant.json of a dataset, JSON-ready.

    Args:
        manifest: of the dataset.
        sets: the manifests of its label sets, by name.
        place: the repository, user/name.
        url: its address.
        under: the dataset's folder in a repository of several; "" where it is the only one.
    """
    inside = f"{under}/" if under else ""
    source = manifest.source
    files = {f"{inside}{path}": facts for path, facts in manifest.files.items()}
    for name, labels in sets.items():
        files |= {f"{inside}labels/{name}/{path}": facts for path, facts in labels.files.items()}
    pairs = {name: one for name, one in PAIRS.items() if name != "episode_length_0" or manifest.has_episode_lengths}
    tables = [("pairs", "pairs", pairs), ("oracle", "oracle", ORACLE)]
    tables += [("scalars", SCALARS_TABLE, SCALARS)] if manifest.has_scalars else []
    for name in sets:
        tables += [(name, f"labels/{name}", {**PAIR_ID, **LABELS}), (f"{name}-oracle", f"labels/{name}/oracle", ORACLE)]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": place.split("/")[-1],
        "description": describe(manifest),
        "url": url,
        "license": LICENSES.get(source.license, source.license or "unknown"),
        "creator": {"@type": "Organization", "name": source.author or place.split("/")[0]},
        "keywords": [
            "safe reinforcement learning",
            "offline reinforcement learning",
            "preference learning",
            manifest.task.name,
        ],
        "citeAs": "\n\n".join(text for text in (CITATIONS, source.citation.strip()) if text),
        "isLiveDataset": False,
        **responsible(manifest, sets),
        **provenance(manifest, sets),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path,
                "contentUrl": f"{url}/resolve/main/{path}",
                "contentSize": f"{facts.bytes} B",
                "encodingFormat": "application/x-parquet",
                "sha256": facts.sha256,
            }
            for path, facts in sorted(files.items())
        ],
        "recordSet": [
            _records(f"{inside}{config}-{path.split('/')[-1].split('-')[0]}", path, columns, manifest.recipe.shape)
            for config, folder, columns in tables
            for path in sorted(files)
            if path.rpartition("/")[0] == f"{inside}{folder}" and "-00000-of-" in path
        ],
    }


def merge_metadata(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The metadata of several datasets of one repository as one: what they have in common once, all else side by side."""
    return {key: _merged([part[key] for part in parts]) for key in parts[0]}


def anonymous(described: dict[str, Any]) -> dict[str, Any]:
    """The metadata without who made it."""
    return {**described, "creator": {"@type": "Organization", "name": "anonymous"}}


def _merged(values: list[Any]) -> Any:
    different = [value for index, value in enumerate(values) if value not in values[:index]]
    if len(different) == 1:
        return different[0]
    if all(isinstance(value, list) for value in different):
        return list({json.dumps(entry): entry for value in different for entry in value}.values())
    address = any(isinstance(value, dict) or value.startswith("http") for value in different)
    return different if address else "\n\n".join(different)


def _records(name: str, path: str, columns: Columns, shape: dict[str, int]) -> dict[str, Any]:
    """The rows of a table's first file."""
    fields = []
    for column, (kind, meaning) in both_sides(columns).items():
        field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{name}/{column}", "name": column, "description": meaning}
        field["dataType"] = next(known for start, known in TYPES.items() if kind.startswith(start))
        field["source"] = {"fileObject": {"@id": path}, "extract": {"column": column}}
        if column.startswith(("observations", "actions")):
            dim = shape["observation_dim" if column.startswith("observations") else "action_dim"]
            field["description"] += f", {shape['length']} steps of {dim} numbers"
            field |= {"isArray": True, "arrayShape": str(shape["length"] * dim)}
        fields.append(field)
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}
