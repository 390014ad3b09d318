"""Publishes to the Hugging Face Hub, and fetches from it; a revision shows everything of a version or nothing.

Whatever interrupts a publish, the same command again completes it and sends only what has not arrived: large files are known to
the server by their sha256, one commit brings all files, and a tag follows it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from safefeedback import card, croissant, network
from safefeedback.errors import InputError
from safefeedback.files import file_sha256, new_folder
from safefeedback.network import HubError, ask
from safefeedback.reading import label_sets, read_manifest
from safefeedback.release import Change, Release, Remote, changelog, check_tag, compare, foreign, holds, unfinished


def dataset_release(folder: Path, repo: str, anonymous: bool = False) -> Release:
    """A dataset's folder as a release: what its manifests name, and plots; nothing else that lies in the folder.

    Args:
        folder: of the dataset.
        repo: user/name.
        anonymous: whether who recorded data of one's own, and the citation, are left out, and what people wrote in the card.
            DSRL's authors and ours stay, as their licence asks.

    Raises:
        InputError: if it is not a dataset's folder, a file is missing, or a label set names its annotators.
    """
    if not (folder / "recipe.json").is_file():
        raise InputError(f"{folder} is not a dataset of safefeedback: it holds no recipe.json")
    manifest, sets = read_manifest(folder), label_sets(folder)
    if anonymous:
        named = [name for name, labels in sets.items() if "answers_sha256" in labels["recipe"]]
        if named:
            raise InputError(
                f"--anonymous: the label set {named[0]} names its annotators: move {folder}/labels/{named[0]} away"
            )
        if manifest["source"]["kind"] == "file":
            manifest = {**manifest, "source": {**manifest["source"], "author": "", "citation": "", "credit": ""}}
    paths = ["recipe.json", *manifest["files"]]
    for name, labels in sets.items():
        paths += [f"labels/{name}/{path}" for path in ("recipe.json", *labels["files"])]
    paths += sorted(path.relative_to(folder).as_posix() for path in (folder / "plots").rglob("*.png"))
    for path in paths:
        if not (folder / path).is_file():
            raise InputError(f"{folder} has no {path}, which its recipe.json names: build the dataset again")
    local = folder / "README.md"
    _, notes = changelog(local.read_text(encoding="utf-8") if local.is_file() else "")

    def differs(content: bytes) -> str | None:
        task = _json(content).get("recipe", {}).get("task")
        return None if task == manifest["recipe"]["task"] else f"it holds {f'the task {task}' if task else 'something else'}"

    text = card.render(manifest, sets, card.pictures_in(folder), repo)
    files: dict[str, Path | bytes] = {path: folder / path for path in paths}
    described = croissant.metadata(manifest, sets, repo, f"{network.endpoint()}/datasets/{repo}")
    if anonymous:
        notes = ""
        described["creator"] = {"@type": "Organization", "name": "anonymous"}
        files["recipe.json"] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
    files["croissant.json"] = (json.dumps(described, indent=2, ensure_ascii=False) + "\n").encode()
    return Release("dataset", files, text, notes, ("pairs", "oracle", "labels", "plots"), "recipe.json", differs)


def publish(
    release: Release, repo: str, public: bool = False, tag: str | None = None, message: str = "", dry_run: bool = False
) -> dict[str, Any]:
    """Makes a repository hold a release, as one commit with a tag.

    Args:
        release: what it shall hold.
        repo: user/name; made if there is none, private.
        public: whether everybody may see it.
        tag: of this version; None for the next one.
        message: joins the line of the changelog.
        dry_run: whether nothing is sent; the server is asked what it holds if it can be.

    Returns:
        repo, version, line, commit (None if nothing was sent), private, the bytes of each file that went up, paths removed,
        how many files were there already, and `note`: what a person should know.

    Raises:
        InputError: in one line; the repository then shows what it showed before, or everything.
    """
    _check_repo_name(repo)
    if tag is not None:
        check_tag(tag)
    if dry_run:
        return _plan(release, repo, public, tag, message)
    network.token()
    remote = look(release, repo)
    if remote is None:
        remote = _create(release, repo, public)
    _check_ours(release, remote, repo)
    if (version := unfinished(remote)) is not None:
        _tag(release, repo, version, remote.head, "")
        remote = look(release, repo) or remote
    change = compare(release, remote, tag, message)
    commit = None
    if change is not None:
        commit = _commit(release, repo, remote, change)
        _tag(release, repo, change.version, commit, change.line)
    private = remote.private
    if public and private:
        _open(release, repo)
        private = False
    note = f"{repo} is public, and stays so" if not private and not public else ""
    return _result(release.kind, repo, change, remote, commit, private, note)


def look(release: Release, repo: str) -> Remote | None:
    """What a repository holds now; None if there is none.

    Raises:
        HubError: if that cannot be found out.
    """
    from huggingface_hub import HfApi

    api, failure = HfApi(), f"cannot read {repo}"
    try:
        info: Any = ask(
            failure,
            lambda: api.repo_info(repo, repo_type=release.kind, files_metadata=True),
        )
    except HubError as error:
        if error.missing == "repository" and error.status == 404:
            return None
        raise
    files = {file.rfilename: file.lfs.sha256 if file.lfs else file.blob_id for file in info.siblings or []}
    tags = ask(failure, lambda: api.list_repo_refs(repo, repo_type=release.kind)).tags

    def content(path: str) -> bytes | None:
        return ask(failure, lambda: _content(release.kind, repo, info.sha, path)) if path in files else None

    text = (content("README.md") or b"").decode(errors="replace")
    names = {tag.name: tag.target_commit for tag in tags}
    return Remote(info.sha, bool(info.private), files, names, text, content(release.marker))


def fetch(
    repo: str, out: Path | None = None, revision: str | None = None, overwrite: bool = False
) -> tuple[Path, dict[str, Any], str]:
    """Brings a published dataset to this machine, whole or not at all; what arrived in an earlier try is not fetched again.

    Args:
        repo: user/name.
        out: the folder; None makes one here, named as the repository.
        revision: a tag, branch or commit; None for the latest.
        overwrite: whether a dataset there is replaced.

    Returns:
        The folder, its manifest, and the commit it is from.

    Raises:
        InputError: if it cannot be had, or arrived damaged.
    """
    from huggingface_hub import HfApi

    _check_repo_name(repo)
    at = f" at {revision}" if revision else ""
    info = ask(
        f"cannot fetch {repo}{at}",
        lambda: HfApi().repo_info(repo, repo_type="dataset", revision=revision),
    )
    out = out or Path(repo.split("/")[1])
    with new_folder(out, overwrite) as partial:
        cached = network.snapshot(f"cannot fetch {repo}{at}", "dataset", repo, info.sha)
        if not (cached / "recipe.json").is_file():
            raise InputError(f"{repo}{at} is not a dataset of safefeedback: it holds no recipe.json")
        shutil.copytree(cached, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".gitattributes"))
        if bad := damaged(partial):
            for path in bad:
                (cached / path).resolve().unlink(missing_ok=True)
            raise InputError(
                f"{repo}{at} arrived damaged ({bad[0]} is not the file that its recipe.json names): fetch it again"
            )
    return out, read_manifest(out), str(info.sha)


def damaged(folder: Path) -> list[str]:
    """The files of a dataset's folder that are missing, or are not those that its manifests name by sha256."""
    manifests = {"": read_manifest(folder), **{f"labels/{name}/": sets for name, sets in label_sets(folder).items()}}
    named = {f"{prefix}{path}": facts["sha256"] for prefix, one in manifests.items() for path, facts in one["files"].items()}
    return [path for path, sha256 in named.items() if not (folder / path).is_file() or file_sha256(folder / path) != sha256]


def _plan(release: Release, repo: str, public: bool, tag: str | None, message: str) -> dict[str, Any]:
    """What `publish` would do."""
    note, remote = "", None
    try:
        remote = look(release, repo)
    except HubError as error:
        note = f"not compared with the server: {error}"
    if remote is not None:
        _check_ours(release, remote, repo)
    private = not public and (remote is None or remote.private)
    return _result(release.kind, repo, compare(release, remote, tag, message), remote, None, private, note)


def _create(release: Release, repo: str, public: bool) -> Remote:
    from huggingface_hub import HfApi

    failure = f"cannot make {repo}"
    try:
        ask(failure, lambda: HfApi().create_repo(repo, repo_type=release.kind, private=not public))
    except HubError as error:
        if error.status != 409:  # it is there: an answer was lost, or somebody else made it
            raise
        refused: HubError | None = error
    else:
        refused = None
    made = look(release, repo)
    if made is None:
        raise refused or HubError(f"{failure}: the server says that it was made, and does not show it: try again")
    return made


def _commit(release: Release, repo: str, remote: Remote, change: Change) -> str:
    """Uploads what is missing and commits; returns the commit."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api, failure = HfApi(), f"cannot publish to {repo}"
    additions = [CommitOperationAdd(path, content) for path, content in sorted(change.files.items())]
    operations: list[Any] = [*additions, *(CommitOperationDelete(path) for path in change.removed)]
    ask(failure, lambda: api.preupload_lfs_files(repo, additions, repo_type=release.kind, free_memory=False))
    # not upload_folder: it makes several commits of a large folder, and checks the parent of the first one only
    try:
        return ask(
            failure,
            lambda: api.create_commit(
                repo,
                operations,
                commit_message=f"{change.version}: {change.line}"[:200],
                repo_type=release.kind,
                parent_commit=remote.head,
            ),
        ).oid
    except HubError as error:
        if error.status == 412 and (now := look(release, repo)) is not None and holds(now, change):
            return now.head  # it was our own commit, whose answer was lost
        raise


def _tag(release: Release, repo: str, version: str, commit: str, line: str) -> None:
    from huggingface_hub import HfApi

    api, failure = HfApi(), f"cannot tag {repo} {version}"
    try:
        ask(
            failure,
            lambda: api.create_tag(repo, tag=version, tag_message=line or None, revision=commit, repo_type=release.kind),
        )
    except HubError as error:
        if error.status != 409:
            raise
        tags = ask(failure, lambda: api.list_repo_refs(repo, repo_type=release.kind)).tags
        if commit not in [tag.target_commit for tag in tags if tag.name == version]:
            known = any(tag.name == version for tag in tags)
            raise HubError(f"{failure}: the tag exists already: choose another --tag") if known else error from None


def _open(release: Release, repo: str) -> None:
    from huggingface_hub import HfApi

    ask(f"cannot make {repo} public", lambda: HfApi().update_repo_settings(repo, private=False, repo_type=release.kind))


def _content(kind: str, repo: str, revision: str, path: str) -> bytes:
    """A small file of a repository, past the cache."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    response = get_session().get(hf_hub_url(repo, path, repo_type=kind, revision=revision), headers=build_hf_headers())
    hf_raise_for_status(response)
    return response.content


def _check_repo_name(repo: str) -> None:
    if not network.is_repo_name(repo):
        raise InputError(f"'{repo}' does not name a repository of the Hub: it must read user/name")


def _check_ours(release: Release, remote: Remote, repo: str) -> None:
    if (reason := foreign(release, remote)) is not None:
        raise InputError(f"{repo} is not to be overwritten: {reason}; choose another name")


def _json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _result(
    kind: str, repo: str, change: Change | None, remote: Remote | None, commit: str | None, private: bool, note: str
) -> dict[str, Any]:
    current = changelog(remote.card)[0][:1] if remote is not None else []
    return {
        "repo": repo,
        "url": f"{network.endpoint()}/{'datasets/' if kind == 'dataset' else ''}{repo}",
        "version": change.version if change else current[0][0],
        "line": change.line if change else current[0][1],
        "commit": commit,
        "private": private,
        "sent": change.sizes if change else {},
        "removed": list(change.removed) if change else [],
        "kept": change.kept if change else 0,
        "note": note,
    }
