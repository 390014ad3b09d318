"""Croissant metadata of a dataset, with the vocabulary for responsible AI that NeurIPS asks for.

Format: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html; the context is the one that mlcroissant writes.
"""

from __future__ import annotations

import json
from typing import Any

from safefeedback.dataset.card import describe
from safefeedback.dataset.citation import PRESA_CITATION
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.structure import SCALARS
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
TYPES = {"int": "sc:Integer", "float": "sc:Float", "bool": "sc:Boolean"}
COLUMNS = {
    "pair_id": ("int", "index of the draw"),
    "episode": ("int", "the episode of the segment, counted from 0 in the source file"),
    "start": ("int", "first step of the segment in its episode"),
    "episode_length": ("int", "how many steps the segment's episode has in the recordings"),
    "observations": ("float", "the segment's observations, row-major"),
    "actions": ("float", "the segment's actions, row-major"),
    "preference": ("float", "index of the better segment: 0 the first, 1 the second, 0.5 a tie, null unanswered"),
    "is_safe": ("bool", "whether the segment is safe, null unanswered"),
    "return": ("float", "return of the segment"),
    "cost": ("float", "cost of the segment"),
    "clean_preference": ("float", "the preference before noise"),
    "clean_is_safe": ("bool", "the safety label before noise"),
}
PAIRS = ("pair_id", "episode", "start", "episode_length", "observations", "actions", "preference", "is_safe")
ORACLE = ("pair_id", "return", "cost", "clean_preference", "clean_is_safe")
WHOLE = ("pair_id", "preference", "clean_preference")  # of a pair, not of a segment
SEGMENT = {  # of `scalars`, whose rows are segments
    "pair_id": ("int", "index of the draw"),
    "segment": ("int", "which of the pair's two segments"),
    "episode": COLUMNS["episode"],
    "start": COLUMNS["start"],
    "length": ("int", "how many steps the segment has"),
    "return": COLUMNS["return"],
    "cost": COLUMNS["cost"],
    "preferred": ("float", "1 where the segment is the better one, 0.5 in a tie, null unanswered"),
    "preference_flipped": ("bool", "whether noise flipped the pair's preference"),
    "is_safe": COLUMNS["is_safe"],
    "is_safe_flipped": ("bool", "whether noise flipped the segment's safety label"),
}


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
    pairs = tuple(column for column in PAIRS if column != "episode_length" or manifest.has_episode_lengths)
    tables = [("pairs", "pairs", pairs), ("oracle", "oracle", ORACLE)]
    tables += [("scalars", SCALARS, tuple(SEGMENT))] if manifest.has_scalars else []
    tables += [(name, f"labels/{name}", ("pair_id", "preference", "is_safe")) for name in sets]
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
        "citeAs": "\n\n".join(text for text in (PRESA_CITATION, source.citation.strip()) if text),
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
        return list({json.dumps(one): one for value in different for one in value}.values())
    address = any(isinstance(value, dict) or value.startswith("http") for value in different)
    return different if address else "\n\n".join(different)


def _records(name: str, path: str, columns: tuple[str, ...], shape: dict[str, int]) -> dict[str, Any]:
    """The rows of a table's first file."""
    fields = []
    for column in columns:
        kind, meaning = (SEGMENT if columns == tuple(SEGMENT) else COLUMNS)[column]
        for at in [column] if column in WHOLE or columns == tuple(SEGMENT) else [f"{column}_0", f"{column}_1"]:
            field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{name}/{at}", "name": at, "description": meaning}
            field |= {"dataType": TYPES[kind], "source": {"fileObject": {"@id": path}, "extract": {"column": at}}}
            if column in ("observations", "actions"):
                dim = shape["observation_dim" if column == "observations" else "action_dim"]
                field["description"] += f", {shape['length']} steps of {dim} numbers"
                field |= {"isArray": True, "arrayShape": str(shape["length"] * dim)}
            fields.append(field)
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}
