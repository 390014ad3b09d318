"""What `safefeedback annotate` does with the answers when it does not serve: results, label set, merging, exclusion."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safefeedback.errors import InputError

if TYPE_CHECKING:
    from safefeedback.annotate.material import Material
    from safefeedback.annotate.store import Store
    from safefeedback.annotate.study import Study


def run_action(folder: Path, name: str, action: str, value: Any, options: dict[str, Any]) -> None:
    """Performs one action on a study's answers.

    Args:
        folder, name: of the dataset and the study.
        action: results, finish, merge, exclude, include or withdraw.
        value: of that option.
        options: consensus, overwrite, same_person and as_json.
    """
    from safefeedback.annotate.material import Material
    from safefeedback.annotate.store import TABLES, Store, answers_file

    material = Material(folder)
    path = answers_file(folder, name)
    created = action == "merge" and not path.exists()
    store = Store.create(path, folder.resolve().name, material.content_sha256) if created else Store.open(path)
    try:
        _run_on(store, name, material, action, value, options)
    finally:
        if created and not any(store.rows(f"SELECT 1 FROM {table} LIMIT 1") for table in TABLES):  # nothing was merged
            store.close()
            path.unlink()
            path.with_suffix(".lock").unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()


def _run_on(store: Store, name: str, material: Material, action: str, value: Any, options: dict[str, Any]) -> None:
    from safefeedback.annotate.refusal import Refusal
    from safefeedback.annotate.study import stored_study

    folder = material.folder
    if store.about["content_sha256"] != material.content_sha256:
        raise InputError(f"{store.path} holds answers about another dataset than {folder} is now: bring back that dataset")
    study = stored_study(store)
    study = replace(study, cost_limit=study.cost_limit if study.cost_limit is not None else material.manifest.recipe.limit)
    if action == "results":
        _results(store, study, material, options["as_json"])
    elif action == "finish":
        _finish(store, study, material, name, options)
    else:
        try:
            _change(store, study, material, name, action, value, options)
        except Refusal as refusal:
            raise InputError(f"{store.path}: {refusal}") from None


def _change(
    store: Store, study: Study, material: Material, name: str, action: str, value: Any, options: dict[str, Any]
) -> None:
    if action == "merge":
        _merge(store, study, material, value, options["same_person"])
    elif action == "withdraw":
        _withdraw(store, material.folder, name, value)
    else:
        person = person_by_name(store, value)
        with store.transaction():
            store.event(person, action)
        print(f"{value} is {'left out of' if action == 'exclude' else 'in'} the label set that --finish makes")


def person_by_name(store: Store, name: str) -> str:
    """The id of a person who answered."""
    ids = {row["name"]: row["id"] for row in store.rows("SELECT name, id FROM person")}
    if name not in ids:
        raise InputError(f"nobody called '{name}' has answered: there are {', '.join(ids) or 'none'}")
    return str(ids[name])


def _finish(store: Store, study: Study, material: Material, name: str, options: dict[str, Any]) -> None:
    from safefeedback.annotate.finish import finish
    from safefeedback.cli.labels import print_label_sets

    print_label_sets(
        material.folder, [finish(store, study, material, name, options["consensus"], options["overwrite"])], options["as_json"]
    )


def _merge(store: Store, study: Study, material: Material, source: str, same_person: bool) -> None:
    from safefeedback.annotate.backup import restore
    from safefeedback.annotate.merge import merge
    from safefeedback.annotate.opening import exclusive
    from safefeedback.annotate.study import person_id
    from safefeedback.hub.client import is_repo_name

    file = Path(source)
    with exclusive(store.path):
        if not file.exists() and file.suffix != ".sqlite" and is_repo_name(source):
            answers = restore(store, source)
            store.set_names({person_id(store, name): name for name in study.annotators})
            print(f"{answers:,} answers from {source} are in {store.path}")
            return
        gained = merge(store, file, same_person, material.manifest.recipe.limit)
    answers, people = gained["answer"] + gained["control"], gained["person"]
    print(f"{answers:,} answers, and {people} {'person' if people == 1 else 'people'} from {file} are in {store.path}")


def _withdraw(store: Store, folder: Path, name: str, person: str) -> None:
    from safefeedback.annotate.opening import exclusive

    with exclusive(store.path):
        id = person_by_name(store, person)
        with store.transaction():
            answers = store.rows("SELECT count(*) AS n FROM every_answer WHERE person = ? AND undoes = ''", id)[0]["n"]
            store.forget(id)
            store.event("", "withdrawn", {"person": id, "answers": answers})
        store.compact()
    print(f"{answers:,} answers of {person} were deleted, and the name with them")
    if (folder / "labels" / name).exists():
        print(f"the label set {name} was made before that: make it again with --finish --overwrite")


def _results(store: Store, study: Study, material: Material, as_json: bool) -> None:
    from safefeedback.annotate.results import results
    from safefeedback.cli.output import print_table
    from safefeedback.dataset.stats import percent
    from safefeedback.terminal import say

    summary = results(store, study, material.truth)
    if as_json:
        print(json.dumps(summary))
        return
    say(f"{summary['pairs_answered']:,} of {summary['pairs']:,} pairs answered, {summary['answers']:,} answers that count")
    counts = ", ".join(f"{pairs:,} by {people}" for people, pairs in summary["pairs_answered_by"].items())
    say(f"  pairs answered by so many: {counts or 'none'}")
    for question, entry in summary["agreement"].items():
        say(f"  agreement about {question}: Krippendorff's alpha {_number(entry['alpha'])}, raw {percent(entry['raw'], 0)}")
    if summary["explaining_cost_limit"] is not None:
        limit = summary["explaining_cost_limit"]
        explained = f"{limit['cost_limit']:.4g} an episode, {limit['segment_cost']:g} a segment"
        say(f"  the cost limit that explains the safety answers best: {explained} ({percent(limit['explains'], 0)} of them)")
    if summary["withdrawn"]:
        say(f"  {summary['withdrawn']} withdrew; their answers were deleted")
    header = ("person", "answers", "gold right", "same again", "with others", "left", "can't tell", "seconds")
    rows = []
    for name, entry in summary["people"].items():
        gold, again = entry["gold"], entry["repeats"]
        rows.append(
            (
                name + (" (left out)" if entry["excluded"] else ""),
                f"{entry['answers']:,}",
                f"{percent(gold['accuracy'], 0)} of {gold['answers']}",
                f"{percent(again['consistency'], 0)} of {again['answers']}",
                " / ".join(percent(share, 0) for share in entry["with_others"].values()),
                percent(entry["left"], 0),
                percent(entry["cannot_tell"], 0),
                _number(entry["median_seconds"]),
            )
        )
    print_table(header, rows)
    for name, entry in summary["people"].items():
        parts = ", ".join(
            f"{part} {percent(share, 0)}" for part, share in entry["gold_by_position"].items() if share is not None
        )
        if parts:
            say(f"{name}: gold right by answer of the session: {parts}")
    for name, entry in summary["people"].items():
        for doubt in entry["doubts"]:
            say(f"DOUBT about {name}: {doubt}; --exclude {name} leaves these answers out")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
