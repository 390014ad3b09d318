"""Plans a publication: the contents of the repository, the changed files, the version, and the line of the changelog."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safefeedback.dataset.card import NOTES_MARKER
from safefeedback.errors import InputError
from safefeedback.files import file_sha256

ABOUT = (
    "README.md",
    "croissant.json",
    "datasets.json",
    "base.json",
    ".png",
)  # what is said about the content; all else is the content
FIRST = "v1.0.0"
_LINE = re.compile(r"- \*\*([\w.-]+)\*\*: (.*)")


@dataclass(frozen=True)
class Release:
    """The contents of a repository after publishing.

    Attributes:
        kind: of the repository, "dataset" or "model".
        files: path in the repository -> the file, or its content; without the card.
        card: README.md up to and including the line below which people write.
        notes: what people wrote there; "" keeps the notes on the server, None removes them.
        folders: our folders, and files at the top, in the repository: whatever in them is not in the release is removed.
        marker: the file that identifies a repository of ours.
        differs: (content of the marker) -> why the repository holds something else; None if it holds the same thing.
        doubt: what was not checked, in a dry run without a network; "" if nothing.
    """

    kind: str
    files: dict[str, Path | bytes]
    card: str
    notes: str | None
    folders: tuple[str, ...]
    marker: str
    differs: Callable[[bytes], str | None]
    doubt: str = ""


@dataclass(frozen=True)
class Remote:
    """The present contents of a repository.

    Attributes:
        head: the commit of its main branch.
        private: whether others cannot see it.
        files: path -> sha256 of a large file, or git's sha1 of another.
        tags: name -> commit.
        card: its README.md, "" where there is none.
        marker: the content of the release's marker, None where there is none.
    """

    head: str
    private: bool
    files: dict[str, str]
    tags: dict[str, str]
    card: str
    marker: bytes | None


@dataclass(frozen=True)
class Change:
    """The change of a repository by publishing.

    Attributes:
        version: the tag.
        line: of the changelog.
        files: path -> file or content, of everything that is new or changed, including the card.
        removed: paths to remove.
        kept: how many files are unchanged.
    """

    version: str
    line: str
    files: dict[str, Path | bytes]
    removed: tuple[str, ...]
    kept: int

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file that goes up."""
        return {
            path: len(content) if isinstance(content, bytes) else content.stat().st_size for path, content in self.files.items()
        }


def changelog(card: str) -> tuple[list[tuple[str, str]], str]:
    """The versions of a published card, newest first, as (name, line), and what people wrote below them."""
    tail = card.partition(NOTES_MARKER)[2].strip()
    versions: list[tuple[str, str]] = []
    if tail.startswith("## Versions"):
        lines = tail.splitlines()[1:]
        while lines and (not lines[0].strip() or _LINE.fullmatch(lines[0])):
            match = _LINE.fullmatch(lines.pop(0))
            versions += [(match[1], match[2])] if match else []
        tail = "\n".join(lines).strip()
    return versions, tail


def untagged_version(remote: Remote) -> str | None:
    """The version whose tag is missing, because a publish was interrupted between its commit and its tag."""
    versions, _ = changelog(remote.card)
    return versions[0][0] if versions and versions[0][0] not in remote.tags else None


def reason_not_writable(release: Release, remote: Remote) -> str | None:
    """Why the repository must not be written to, because it holds something else; None if it is empty or holds the same
    thing."""
    if remote.marker is not None:
        return release.differs(remote.marker)
    others = sorted(set(remote.files) - {".gitattributes", "README.md"})
    return f"it holds other files ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''})" if others else None


def plan_change(release: Release, remote: Remote | None, tag: str | None = None, message: str = "") -> Change | None:
    """The change that publishes a release; None if the repository holds it already under that version.

    The version is `tag`, or else the next after the highest: the first number grows where something that was there changes or
    goes, the second where something is added, the third where only the card, its metadata or pictures change.

    Raises:
        InputError: if the tag exists, at something else.
    """
    remote = remote or Remote("", True, {}, {}, "", None)
    versions, notes = changelog(remote.card)
    body = release.card, "" if release.notes is None else release.notes or notes
    remote_files = {path: remote.files.get(path) for path in release.files}
    sent = {path: content for path, content in release.files.items() if remote_files[path] not in _hashes(content)}
    removed = tuple(
        path for path in sorted(remote.files) if path.split("/")[0] in release.folders and path not in release.files
    )
    same = not sent and not removed and _card(*body, versions) == remote.card
    current = versions[0][0] if versions else None
    if same and (tag is None or tag == current):
        return None
    if tag is not None and (tag in remote.tags or tag in dict(versions)):
        raise InputError(f"the tag {tag} exists already and names other content: choose another --tag, or leave it out")
    version = tag or _next([*remote.tags, *dict(versions)], _level(sent, removed, remote))
    line = f"{_describe_change(sent, removed, remote)}{f'; {message}' if message else ''}"
    text = _card(*body, [(version, line), *versions])
    return Change(version, line, {**sent, "README.md": text.encode()}, removed, len(release.files) - len(sent))


def shows_change(remote: Remote, change: Change) -> bool:
    """Whether a repository shows the result of a change."""
    return not set(change.removed) & set(remote.files) and all(
        remote.files.get(path) in _hashes(content) for path, content in change.files.items()
    )


def check_tag(tag: str) -> str:
    """The tag, if it can be one.

    Raises:
        InputError: if it cannot name a revision.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", tag) or ".." in tag or tag.endswith((".", ".lock")) or tag == "main":
        raise InputError(f"--tag {tag} cannot name a version: take letters, digits, dots and dashes, such as {FIRST}")
    return tag


def json_object(content: bytes) -> dict[str, Any]:
    """The JSON object that a file of a repository holds, {} where it is something else."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _card(text: str, notes: str, versions: list[tuple[str, str]]) -> str:
    lines = "".join(f"- **{name}**: {line}\n" for name, line in versions)
    return f"{text}\n## Versions\n\n{lines}" + (f"\n{notes.strip()}\n" if notes.strip() else "")


def _hashes(content: Path | bytes) -> tuple[str, str]:
    """The two names the Hub may know a content by: sha256, and git's sha1 of a blob."""
    if isinstance(content, Path) and content.stat().st_size > 10 << 20:  # such a file is never git's
        return file_sha256(content), ""
    data = content if isinstance(content, bytes) else content.read_bytes()
    return hashlib.sha256(data).hexdigest(), hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _level(sent: Iterable[str], removed: Iterable[str], remote: Remote) -> int:
    content = [path for path in (*sent, *removed) if not path.endswith(ABOUT)]
    if any(path in remote.files for path in content):
        return 0
    return 1 if content else 2


def _next(names: Iterable[str], level: int) -> str:
    versions = [tuple(map(int, match.groups())) for name in names if (match := re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)", name))]
    if not versions:
        return FIRST
    highest = max(versions)
    return "v" + ".".join(str(part) for part in (*highest[:level], highest[level] + 1, 0, 0)[:3])


def _describe_change(sent: Iterable[str], removed: Iterable[str], remote: Remote) -> str:
    if remote.marker is None:
        return "first version"
    kinds = {
        "changes": [path for path in sent if path in remote.files],
        "adds": [path for path in sent if path not in remote.files],
        "removes": list(removed),
    }
    words = []
    for verb, paths in kinds.items():
        names = sorted({_group(path) for path in paths if not path.endswith(ABOUT)} - {"recipe.json"})
        words += [f"{verb} {', '.join(names)}"] if names else []
    return "; ".join(words) or "changes the card only"


def _group(path: str) -> str:
    """The name of a path in the changelog: a label set, a table, or one of several datasets."""
    parts = path.split("/")
    return "/".join(parts[: parts.index("labels") + 2]) if "labels" in parts else parts[0]
