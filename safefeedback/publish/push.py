"""Publishes to the Hugging Face Hub; a revision holds a complete version or nothing of it.

After any interruption, the same command completes the publication and sends only what is missing: large files are known to
the server by their sha256, one commit brings all files, and a tag follows it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from safefeedback.errors import InputError
from safefeedback.hub import client as network
from safefeedback.hub.client import HubError, retry
from safefeedback.publish.release import (
    Change,
    Release,
    Remote,
    changelog,
    check_tag,
    plan_change,
    reason_not_writable,
    shows_change,
    untagged_version,
)
from safefeedback.terminal import Progress

PARTS, PART_BYTES = 20, 16_000_000  # in how many parts the large files go up, at most; how large a part is, at least


def publish(
    release: Release, repo: str, public: bool = False, tag: str | None = None, message: str = "", dry_run: bool = False
) -> dict[str, Any]:
    """Publishes a release in a repository, as one commit with a tag.

    Args:
        release: the contents to publish.
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
    remote = read_remote(release, repo)
    if remote is None:
        remote = _create(release, repo, public)
    _check_ours(release, remote, repo)
    if (version := untagged_version(remote)) is not None and (own_commit := _commit_of(release, repo, version)) is not None:
        _tag(release, repo, version, own_commit, "")
        remote = read_remote(release, repo) or remote
    change = plan_change(release, remote, tag, message)
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


def read_remote(release: Release, repo: str) -> Remote | None:
    """The present contents of a repository; None if it does not exist.

    Raises:
        HubError: if that cannot be found out.
    """
    from huggingface_hub import HfApi

    api, failure = HfApi(), f"cannot read {repo}"
    try:
        info: Any = retry(
            failure,
            lambda: api.repo_info(repo, repo_type=release.kind, files_metadata=True),
        )
    except HubError as error:
        if error.missing == "repository" and error.status == 404:
            return None
        raise
    files = {file.rfilename: file.lfs.sha256 if file.lfs else file.blob_id for file in info.siblings or []}
    tags = retry(failure, lambda: api.list_repo_refs(repo, repo_type=release.kind)).tags

    def content(path: str) -> bytes | None:
        return retry(failure, lambda: _content(release.kind, repo, info.sha, path)) if path in files else None

    text = (content("README.md") or b"").decode(errors="replace")
    names = {tag.name: tag.target_commit for tag in tags}
    return Remote(info.sha, bool(info.private), files, names, text, content(release.marker))


def _plan(release: Release, repo: str, public: bool, tag: str | None, message: str) -> dict[str, Any]:
    """The change that `publish` would make."""
    note, remote = "", None
    try:
        remote = read_remote(release, repo)
    except HubError as error:
        note = f"not compared with the server: {error}"
    note = "; ".join(text for text in (release.doubt, note) if text)
    if remote is not None:
        _check_ours(release, remote, repo)
    private = not public and (remote is None or remote.private)
    return _result(release.kind, repo, plan_change(release, remote, tag, message), remote, None, private, note)


def _create(release: Release, repo: str, public: bool) -> Remote:
    from huggingface_hub import HfApi

    failure = f"cannot make {repo}"
    try:
        retry(failure, lambda: HfApi().create_repo(repo, repo_type=release.kind, private=not public), writes=True)
    except HubError as error:
        if error.status != 409:  # it is there: an answer was lost, or somebody else made it
            raise
        refused: HubError | None = error
    else:
        refused = None
    remote = read_remote(release, repo)
    if remote is None:
        raise refused or HubError(f"{failure}: the server reports that it was made, but does not show it: try again")
    return remote


def _commit(release: Release, repo: str, remote: Remote, change: Change) -> str:
    """Uploads what is missing and commits; returns the commit."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api, failure = HfApi(), f"cannot publish to {repo}"
    additions = [CommitOperationAdd(path, content) for path, content in sorted(change.files.items())]
    operations: list[Any] = [*additions, *(CommitOperationDelete(path) for path in change.removed)]
    _upload(release, repo, additions)
    # not upload_folder: it makes several commits of a large folder, and checks the parent of the first one only
    try:
        return retry(
            failure,
            lambda: api.create_commit(
                repo,
                operations,
                commit_message=f"{change.version}: {change.line}"[:200],
                repo_type=release.kind,
                parent_commit=remote.head,
            ),
            writes=True,
        ).oid
    except HubError as error:
        if error.status == 412 and (now := read_remote(release, repo)) is not None and shows_change(now, change):
            return now.head  # it was our own commit, whose answer was lost
        raise


def _upload(release: Release, repo: str, additions: list[Any]) -> None:
    """Sends the large files, some at a time, so that a bar can show the progress; small ones go with the commit."""
    from huggingface_hub import HfApi

    api, total, done = HfApi(), sum(addition.upload_info.size for addition in additions), 0
    with Progress(f"sending to {repo}", unit="B") as progress:
        progress(0, total)
        while additions:
            count, size = 0, 0
            while count < len(additions) and size <= max(PART_BYTES, total / PARTS):
                size += additions[count].upload_info.size
                count += 1
            part, additions = additions[:count], additions[count:]
            send = partial(api.preupload_lfs_files, repo, part, repo_type=release.kind, free_memory=False)
            retry(f"cannot publish to {repo}", send, writes=True)
            progress(done := done + size, total)


def _commit_of(release: Release, repo: str, version: str) -> str | None:
    """The commit of a version, which may no longer be the head; None if there is none."""
    from huggingface_hub import HfApi

    commits = retry(f"cannot read {repo}", lambda: HfApi().list_repo_commits(repo, repo_type=release.kind))
    return next((commit.commit_id for commit in commits if commit.title.startswith(f"{version}: ")), None)


def _tag(release: Release, repo: str, version: str, commit: str, line: str) -> None:
    from huggingface_hub import HfApi

    api, failure = HfApi(), f"cannot tag {repo} {version}"
    try:
        retry(
            failure,
            lambda: api.create_tag(repo, tag=version, tag_message=line or None, revision=commit, repo_type=release.kind),
            writes=True,
        )
    except HubError as error:
        if error.status != 409:
            raise
        tags = retry(failure, lambda: api.list_repo_refs(repo, repo_type=release.kind)).tags
        if commit not in [tag.target_commit for tag in tags if tag.name == version]:
            exists = any(tag.name == version for tag in tags)
            raise HubError(f"{failure}: the tag exists already: choose another --tag") if exists else error from None


def _open(release: Release, repo: str) -> None:
    from huggingface_hub import HfApi

    retry(
        f"cannot make {repo} public",
        lambda: HfApi().update_repo_settings(repo, private=False, repo_type=release.kind),
        writes=True,
    )


def _content(kind: str, repo: str, revision: str, path: str) -> bytes:
    """A small file of a repository, without the cache."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    response = get_session().get(hf_hub_url(repo, path, repo_type=kind, revision=revision), headers=build_hf_headers())
    hf_raise_for_status(response)
    return response.content


def _check_repo_name(repo: str) -> None:
    if not network.is_repo_name(repo):
        raise InputError(
            f"'{repo}' does not name a repository of the Hub: it must read user/name, in plain letters, digits, - _ and ."
        )


def _check_ours(release: Release, remote: Remote, repo: str) -> None:
    if (reason := reason_not_writable(release, remote)) is not None:
        raise InputError(f"{repo} will not be overwritten: {reason}; choose another name")


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
