"""`safefeedback annotate --space`: a study as a Docker Space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safefeedback.errors import InputError


def write(folder: Path, name: str, given: dict[str, Any], space: str, overwrite: bool) -> None:
    """Writes the Space's folder and says what to do with it."""
    from safefeedback.annotate.opening import open_study
    from safefeedback.annotate.space import write_space
    from safefeedback.annotate.study import token
    from safefeedback.hub.client import is_repo_name

    if not is_repo_name(space):
        raise InputError(f"--space takes a name like user/name, not '{space}'")
    live, study, _ = open_study(folder, name, given, open_to_others=True)
    if not study.annotators:
        raise InputError("--space lets others in: name them with --annotators ann,bob, and each gets a secret link")
    information = live.store.path.with_suffix(".md")
    text = information.read_text(encoding="utf-8-sig") if not study.quick else ""
    out = live.store.path.with_suffix(".space")
    repo = write_space(live, text, out, space, overwrite)
    print(f"{out}: the Space {space}, and what its private repository {repo} holds; then")
    print(f"  hf repo create {repo} --repo-type dataset --private")
    print(f"  hf upload {repo} {out / 'dataset'} dataset --repo-type dataset")
    print(f"  hf repo create {space} --repo-type space --space_sdk docker")
    print(f"  hf upload {space} {out / 'space'} . --repo-type space")
    print("and give the Space three secrets: HF_TOKEN, with write access to the repository, and")
    print(f"  SAFEFEEDBACK_ANNOTATE_SECRET={live.store.about['secret']}")
    print(f"  SAFEFEEDBACK_ANNOTATE_NAMES={','.join(study.annotators)}")
    address = f"https://{space.replace('/', '-').replace('_', '-').replace('.', '-').lower()}.hf.space"
    for person in study.annotators:
        print(f"  {person}: {address}/?token={token(live.store, person)}")
    print(f"download the answers with: safefeedback annotate {folder} --name {name} --merge {repo}")
