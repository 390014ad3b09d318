"""The command of a Space's container: fetches the dataset and the answers so far, serves the study, and saves every new answer.

python -m safefeedback.annotate.container study.json
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from tempfile import mkdtemp

from safefeedback.annotate.app import application
from safefeedback.annotate.backup import Backup, restore
from safefeedback.annotate.guard import Guard
from safefeedback.annotate.live_study import LiveStudy
from safefeedback.annotate.material import Material
from safefeedback.annotate.page_content import PageContent
from safefeedback.annotate.serve import listen, serve
from safefeedback.annotate.store import Store
from safefeedback.annotate.study import Study, person_id, update_study
from safefeedback.annotate.wording import parse_information
from safefeedback.errors import InputError
from safefeedback.hub.client import snapshot

PORT = 7860
SECRET = "SAFEFEEDBACK_ANNOTATE_SECRET"
NAMES = "SAFEFEEDBACK_ANNOTATE_NAMES"


def run(file: Path, port: int = PORT) -> None:
    """Serves the study that the file describes until the container is stopped."""
    if not os.environ.get(SECRET):
        raise InputError(f"the secret {SECRET} is not set: it is what the links were made from")
    names = tuple(name.strip() for name in os.environ.get(NAMES, "").split(",") if name.strip())
    if not names:
        raise InputError(f"the secret {NAMES} is not set: it says who may answer, such as ann,bob")
    settings = json.loads(file.read_text(encoding="utf-8"))
    repo = settings["repo"]
    folder = snapshot(f"cannot read {repo}", "dataset", repo, None, ["dataset/**"]) / "dataset"
    material = Material(folder)
    if material.content_sha256 != settings["content_sha256"]:
        raise InputError(f"{repo} holds another dataset than the study was made for")
    path = Path(mkdtemp(prefix="annotate-")) / "answers.sqlite"
    Store.create(path, settings["dataset"], material.content_sha256, settings["id"]).close()
    store = Store.open(path)
    study = Study.from_dict({**settings["study"], "annotators": names})
    update_study(store, study.to_dict() | {"annotators": study.annotators})
    before = restore(store, repo)
    store.set_names({person_id(store, name): name for name in study.annotators})
    sections, _ = parse_information(settings["information"])
    live = LiveStudy(store, PageContent(settings["name"], study, material, [] if study.quick else sections))
    backup = Backup(repo, path, lambda line: print(f"warning: {line}", file=sys.stderr, flush=True), True)
    live.unsaved = lambda: backup.unsaved(store)
    guard = Guard(store, frozenset(), True, study.annotators, ancestors="https://huggingface.co")
    sock = listen("0.0.0.0", port)
    announcement = f"{before} answers restored; listening at port {sock.getsockname()[1]}; Ctrl-C stops"
    backup.start()
    try:
        serve(application(live, guard), sock, None, announcement)
    finally:
        backup.stop()


if __name__ == "__main__":
    try:
        run(Path(sys.argv[1]), int(os.environ.get("PORT", PORT)))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
