"""Metadata for responsible use of a dataset: the fields of Croissant's RAI vocabulary, and its provenance in PROV-O.

NeurIPS 2026 demands eight of them (https://neurips.cc/Conferences/2026/EvaluationsDatasetsHosting): rai:dataLimitations,
dataBiases, personalSensitiveInformation, dataUseCases, dataSocialImpact and hasSyntheticData, prov:wasDerivedFrom and
prov:wasGeneratedBy.
Formats: https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html, and for provenance croissant-spec-1.1.html.
"""

from __future__ import annotations

import json
from typing import Any

from safefeedback.dataset.card import describe, limitations, sets_by_people
from safefeedback.dataset.history import describe_history
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.people import describe_study
from safefeedback.dataset.reproduce import build_command
from safefeedback.sources.kinds import KINDS


def provenance(manifest: Manifest, sets: dict[str, LabelSetManifest]) -> dict[str, Any]:
    """The provenance of a dataset: its sources and activities, which are recording, building, and asking people."""
    source = manifest.source
    recordings = {"@id": f"urn:sha256:{source.fingerprint}"}
    entity = {
        **recordings,
        "@type": "prov:Entity",
        "prov:label": source.file,
        "sc:description": f"{KINDS[source.kind].description}",
    }
    if source.kind == "dsrl" and manifest.task.url is not None:
        entity["prov:atLocation"] = manifest.task.url
    software = {"@type": "prov:SoftwareAgent", "prov:label": f"safefeedback {manifest.version}"}
    recorded = _activity("Recording", f"Policies acted in the simulator of the task {manifest.task.name}.")
    if source.author:
        recorded["prov:wasAssociatedWith"] = {"@type": "prov:Agent", "prov:label": source.author}
    built = _activity("Sampling and labelling", " ".join([*describe_history(manifest.history), f"`{build_command(manifest)}`"]))
    activities = [recorded, {**built, "prov:used": recordings, "prov:wasAssociatedWith": software}]
    for name in sets_by_people(sets):
        answers = sets[name].answers
        description = describe_study(answers.study) if answers is not None and answers.study else []
        activities.append(_activity(f"Answers of people: {name}", " ".join(["People gave the labels.", *description])))
    return {"prov:wasDerivedFrom": [entity], "prov:wasGeneratedBy": activities}


def _activity(label: str, description: str) -> dict[str, Any]:
    return {"@type": "prov:Activity", "prov:label": label, "sc:description": description}


def responsible(manifest: Manifest, sets: dict[str, LabelSetManifest]) -> dict[str, Any]:
    """The fields of the RAI vocabulary, from what the manifests say."""
    recipe, people = manifest.recipe, sets_by_people(sets)
    protocol = (
        "Preferences are computed from the recorded rewards of the two segments, safety labels from their recorded costs, and "
        f"altered as the recipe says: teacher {recipe.teacher}, safety noise {recipe.safety_noise}; then a share of "
        f"{recipe.noise:g} of the safety labels and of {recipe.preference_noise:g} of the preferences is flipped."
    )
    protocol += f" People answered for the label sets {', '.join(people)}." if people else ""
    studies = {name: item.answers.study for name, item in sets.items() if item.answers is not None and item.answers.study}
    descriptions = {name: describe_study(study) for name, study in studies.items()}
    protocol += "".join(f" {name}: {' '.join(sentences)}" for name, sentences in descriptions.items())
    texts = [json.dumps(item, ensure_ascii=False) for study in studies.values() for item in study["read"]]
    protocol += f" What people read, and under which conditions: {' '.join(texts)}" if texts else ""
    file = f"{manifest.source.file}, sha256 {manifest.source.fingerprint}"
    return {
        "rai:dataCollection": f"{describe(manifest)} The recordings are the file {file}.",
        "rai:hasSyntheticData": True,  # recorded in simulators; all labels but people's are computed
        "rai:dataCollectionType": ["Simulations", "Secondary Data analysis"],
        "rai:dataPreprocessingProtocol": describe_history(manifest.history),
        "rai:dataAnnotationProtocol": protocol,
        "rai:dataAnnotationPlatform": [f"safefeedback {manifest.version}"],
        "rai:annotatorDemographics": ["none: the labels are computed"] if not people else ["not recorded"],
        **(
            {"rai:dataAnnotationAnalysis": [f"{name}: {' '.join(item[1:])}" for name, item in descriptions.items()]}
            if descriptions
            else {}
        ),
        **({"rai:annotationsPerItem": str(max(item["overlap"] for item in studies.values()))} if studies else {}),
        "rai:dataLimitations": limitations(manifest, sets),
        "rai:dataBiases": [
            "The segments show what the policies that were recorded did, and how often; other behaviour is absent."
        ],
        "rai:dataUseCases": [
            "Learning and comparing safe policies from preferences and binary safety labels, offline, in simulation."
        ],
        "rai:dataSocialImpact": "A policy that is safe on this data is not shown to be safe on a real robot.",
        "rai:personalSensitiveInformation": [
            "Of people, answers without names, and days for times." if people else "None: simulated robots."
        ],
        "rai:dataReleaseMaintenancePlan": "Versions are tags of the repository; README.md lists what each one changed.",
    }
