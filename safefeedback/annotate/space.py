"""Writes a study as a Docker Space: a folder that the Hub builds and runs, and the contents of its private repository."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import requires
from pathlib import Path

from safefeedback.annotate.live_study import LiveStudy
from safefeedback.errors import InputError
from safefeedback.files import new_folder, write_text

PORT = 7860
README = """---
title: {title}
sdk: docker
app_port: {port}
---

People label pairs of recordings here, by personal links. Made with `safefeedback annotate --space`. The dataset comes from
the private repository `{repo}`, and the answers go there, in batches that are never changed. It needs three secrets:
`HF_TOKEN`, with write access to that repository, `SAFEFEEDBACK_ANNOTATE_SECRET`, from which the links are made, and
`SAFEFEEDBACK_ANNOTATE_NAMES`, whose they are.
"""
DOCKERFILE = """FROM python:3.11-slim
RUN useradd --create-home --uid 1000 user
WORKDIR /home/user/app
RUN pip install --no-cache-dir {packages}
COPY --chown=user . .
USER user
EXPOSE {port}
CMD ["python", "-m", "safefeedback.annotate.container", "study.json"]
"""
LEFT_OUT = ("__pycache__", "recordings", "*.pyc")


def write_space(live: LiveStudy, information: str, folder: Path, space: str, overwrite: bool) -> str:
    """Writes the folder of a Space, and beside it, in `dataset`, what its repository is to hold.

    Args:
        live: the study.
        information: the text of its information page.
        folder: where it is written.
        space: the Space's name, user/name.
        overwrite: whether a folder there is replaced.

    Returns:
        The name of the dataset repository.

    Raises:
        InputError: if the folder cannot be written.
    """
    import safefeedback

    repo = f"{space}-answers"
    study = {
        "name": live.content.name,
        "repo": repo,
        "id": live.store.about["id"],
        "dataset": live.store.about["dataset"],
        "content_sha256": live.material.content_sha256,
        "study": {key: value for key, value in live.study.to_dict().items() if key != "annotators"},  # a Space can be read
        "information": information,
    }
    if folder.exists() and not overwrite:
        raise InputError(f"{folder} exists already: add --overwrite to replace it")
    if folder.exists() and not (folder / "space" / "study.json").is_file():
        raise InputError(f"{folder} is not the folder of a Space of safefeedback and will not be overwritten")
    if folder.exists():
        shutil.rmtree(folder)
    with new_folder(folder, option="--space") as partial:
        inside = partial / "space"
        inside.mkdir()
        write_text(inside / "README.md", README.format(title=live.content.name, port=PORT, repo=repo))
        write_text(
            inside / "Dockerfile", DOCKERFILE.format(packages=" ".join(f"'{package}'" for package in packages()), port=PORT)
        )
        write_text(inside / "study.json", json.dumps(study, indent=2) + "\n")
        source = Path(safefeedback.__file__).parent
        shutil.copytree(source, inside / "safefeedback", ignore=shutil.ignore_patterns(*LEFT_OUT))
        for name in ("recipe.json", "README.md"):
            (partial / "dataset").mkdir(exist_ok=True)
            shutil.copyfile(live.material.folder / name, partial / "dataset" / name)
        for name in ("pairs", "oracle"):
            shutil.copytree(live.material.folder / name, partial / "dataset" / name)
    return repo


def packages() -> list[str]:
    """The requirements to install, according to this package."""
    requirements = []
    for line in requires("safefeedback") or []:
        name, _, marker = (part.strip() for part in line.partition(";"))
        if "extra" not in marker or marker.replace("'", '"').replace(" ", "") == 'extra=="annotate"':
            requirements.append(
                name.replace(" ", "") if "python_version" not in marker else f"{name}; {marker}".replace("'", '"')
            )
    return requirements
