"""A Hugging Face Hub on loopback, for the real client: enough of its HTTP API to publish, tag, list and load, and faults.

The protocol is that of huggingface_hub with HF_HUB_DISABLE_XET=1: create, preupload (binary files are answered `lfs`), LFS
batch and PUT, commit, tag, refs, tree, paths-info, revision, and resolve with ranges.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

TOKEN, GUEST = "hf_loopbackSecretToken", "hf_loopbackGuestToken"  # may write to user/..., may only read
LARGE = (".parquet", ".safetensors", ".hdf5", ".png", ".gif")
REFUSED = {401: "Invalid credentials in Authorization header", 403: "You don't have the required rights", 409: "Conflict"}
REFUSED |= {412: "A commit has happened since. Please refresh and try again.", 429: "Too many requests", 500: "Internal error"}


@dataclass
class Repo:
    """Commits as (sha, path -> content, title), the first one empty; a revision is a branch, a tag or a sha."""

    private: bool = True
    commits: list[tuple[str, dict[str, bytes], str]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], title: str) -> str:
        listed = "".join(f"{path} {_oid(path, content)}\n" for path, content in sorted(files.items()))
        sha = hashlib.sha1(f"{len(self.commits)} {title}\n{listed}".encode()).hexdigest()
        self.commits.append((sha, files, title))
        return sha

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        sha = self.commits[-1][0] if revision == "main" else self.tags.get(revision, revision)
        return next(((known, files) for known, files, _ in self.commits if known == sha), None)


@dataclass
class Hub:
    """The server's state; `faults` maps the index of a request, or a part of its address, to its fault.

    A fault is a status code, "gated" (access is granted on request), "cut" (the connection breaks before anything is done),
    "lost" (it is done, but the answer never arrives), "stall" (no answer while `stalled` is not set) or, for
    downloads, "half" (the body breaks off half-way) and "damaged" (its last byte is another).
    """

    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)  # sha256 of every large file that was sent
    faults: dict[int | str, int | str] = field(default_factory=dict)
    always: int | str | None = None  # a fault of every request
    stalled: threading.Event = field(default_factory=threading.Event)
    on_request: Any = None  # called with the index of each request
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> Hub:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.server.daemon_threads, self.url = True, f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stalled.set()
        self.server.shutdown()
        self.server.server_close()

    def env(self, home: object, token: str | None = TOKEN) -> dict[str, str]:
        """The environment variables that make a process use this server as the Hub."""
        values = {"HF_ENDPOINT": self.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        return values if token is None else {**values, "HF_TOKEN": token}

    def put(self, kind: str, name: str, files: dict[str, bytes]) -> Repo:
        """A public repository that holds these files."""
        repo = self.repos[kind, name] = Repo(private=False)
        repo.commit({}, "initial commit")
        repo.commit(dict(files), "files")
        return repo


def _oid(path: str, content: bytes) -> str:
    """The id that the Hub's client compares: a large file's sha256, or a git blob's sha1."""
    if path.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": _oid(path, content)}
    large = {"oid": entry["oid"], "size": len(content), "pointerSize": 134}
    return entry | ({"lfs": large} if path.endswith(LARGE) else {})


def _sibling(path: str, content: bytes) -> dict[str, Any]:
    sizes = {"rfilename": path, "size": len(content), "blobId": _oid("", content)}
    large = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return sizes | ({"lfs": large} if path.endswith(LARGE) else {})


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm, wbufsize = True, 1 << 16  # one packet for head and body: otherwise each answer waits 40 ms
    hub: Hub

    def do_GET(self) -> None:
        hub, self.fault = self.hub, None
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with hub.lock:
            index = len(hub.log)
            hub.log.append(f"{self.command} {unquote(self.path)} {self.headers.get('Range', '')}".strip())
            by_address = (fault for part, fault in hub.faults.items() if isinstance(part, str) and part in hub.log[index])
            self.fault = hub.faults.get(index, next(by_address, hub.always))
        if hub.on_request is not None:
            hub.on_request(index)
        if self.fault == "stall":
            hub.stalled.wait()
        if self.fault in ("stall", "cut"):
            self.close_connection = True
        elif self.fault == "gated":
            self.answer(403, {"error": "gated"}, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        elif isinstance(self.fault, int):
            wait = {"Retry-After": "1"} if self.fault == 429 else {}
            self.answer(self.fault, {"error": REFUSED[self.fault]}, {"X-Error-Message": REFUSED[self.fault], **wait})
        else:
            with hub.lock:
                self.route()

    do_HEAD = do_POST = do_PUT = do_GET

    def answer(self, status: int, value: Any = None, headers: dict[str, str] | None = None, body: bytes | None = None) -> None:
        if self.fault == "lost":
            self.close_connection = True
            return
        content = json.dumps(value).encode() if body is None else body
        self.send_response(status)
        kind = "application/json" if body is None else "application/octet-stream"
        for name, text in {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault == "half" and body is not None:
            content, self.close_connection = content[: len(content) // 2], True
        elif self.fault == "damaged" and body is not None:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.wfile.write(content)

    def missing(self, code: str, what: str) -> None:
        self.answer(404, {"error": f"{what} not found"}, {"X-Error-Code": code, "X-Error-Message": f"{what} not found"})

    def route(self) -> None:
        hub, url = self.hub, urlsplit(self.path)
        path, query = url.path, parse_qs(url.query)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in ("", TOKEN, GUEST):
            return self.answer(401, {"error": REFUSED[401]}, {"X-Error-Message": REFUSED[401]})
        if path == "/":
            return self.answer(200, {})
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            given = json.loads(self.body)
            kind, name = given.get("type", "model"), f"{given['organization'] or 'user'}/{given['name']}"
            place = f"{hub.url}/{'datasets/' if kind == 'dataset' else ''}{name}"
            if token != TOKEN or not name.startswith("user/"):
                message = "You don't have the rights to create a repository under this namespace"
                return self.answer(403, {"error": message}, {"X-Error-Message": message})
            if (kind, name) in hub.repos:
                return self.answer(409, {"error": "You already created this repo", "url": place})
            hub.repos[kind, name] = Repo(given.get("private", given.get("visibility") != "public"))
            hub.repos[kind, name].commit({".gitattributes": b"*.parquet filter=lfs\n"}, "initial commit")
            return self.answer(200, {"url": place, "name": name})
        if found := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
            if hashlib.sha256(self.body).hexdigest() != found[1]:
                return self.answer(400, {"error": "the content is not what was announced"})
            hub.large[found[1]] = self.body
            hub.received.append(found[1])
            return self.answer(200, {})
        api = re.fullmatch(r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/([a-z-]+)(?:/(.+))?)?", path)
        batch = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", path)
        resolve = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = api or batch or resolve
        if match is None:
            return self.answer(404, {"error": f"no such address: {path}"})
        kind = match[1] if api else "dataset" if match[1] else "model"
        repo = hub.repos.get((kind, match[2]))
        if repo is None or (repo.private and not token):
            return self.missing("RepoNotFound", "Repository")
        writes = batch is not None or (api is not None and api[3] in ("preupload", "commit", "tag", "settings"))
        if writes and token != TOKEN:
            return self.answer(403, {"error": REFUSED[403]}, {"X-Error-Message": REFUSED[403]})
        if batch:
            return self.batch(json.loads(self.body)["objects"])
        if api and api[3] == "settings":
            given = json.loads(self.body)
            repo.private = given.get("private", given.get("visibility") == "private")
            return self.answer(200, {"private": repo.private})
        if api and api[3] == "refs":
            refs = [{"name": name, "ref": f"refs/tags/{name}", "targetCommit": sha} for name, sha in repo.tags.items()]
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commits[-1][0]}
            return self.answer(200, {"branches": [main], "converts": [], "tags": refs})
        if api and api[3] == "commits":
            facts = {"authors": [], "date": "2026-01-01T00:00:00.000Z", "message": ""}
            return self.answer(200, [{"id": sha, "title": title, **facts} for sha, _, title in reversed(repo.commits)])
        revision, _, inner = (unquote(resolve[3]), "", unquote(resolve[4])) if resolve else (api[4] or "main").partition("/")
        state = repo.at(unquote(revision))
        if state is None:
            return self.missing("RevisionNotFound", "Revision")
        if resolve:
            return self.file(*state, inner)
        return self.api(repo, match[2], api[3] or "revision", *state, unquote(inner), query)

    def batch(self, objects: list[dict[str, Any]]) -> None:
        for one in objects:
            if one["oid"] not in self.hub.large:
                one["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}
        self.answer(200, {"transfer": "basic", "objects": objects})

    def api(self, repo: Repo, name: str, call: str, sha: str, files: dict[str, bytes], inner: str, query: dict) -> None:
        if call == "revision":
            siblings = [_sibling(path, content) for path, content in files.items()]
            facts = {"id": name, "sha": sha, "private": repo.private, "siblings": siblings, "gated": False, "disabled": False}
            return self.answer(
                200, {**facts, "downloads": 0, "likes": 0, "tags": [], "lastModified": "2026-01-01T00:00:00.000Z"}
            )
        if call == "tree":
            folder, deep = f"{inner}/" if inner else "", query.get("recursive", ["false"])[0].lower() == "true"
            inside = {path: content for path, content in files.items() if path.startswith(folder)}
            if inner and not inside:
                return self.missing("EntryNotFound", "Entry")
            names = {path[: path.index("/", len(folder))] for path in inside if "/" in path[len(folder) :]}
            parents = {"/".join(path.split("/")[:depth]) for path in inside for depth in range(1, path.count("/") + 1)}
            folders = {path for path in parents if path.startswith(folder)} if deep else names
            listed = [_entry(path, content) for path, content in inside.items() if deep or "/" not in path[len(folder) :]]
            listed += [
                {"type": "directory", "path": path, "size": 0, "oid": _oid("", path.encode())} for path in sorted(folders)
            ]
            return self.answer(200, listed)
        if call == "paths-info":
            wanted = parse_qs(self.body.decode())["paths"]
            listed = [_entry(path, files[path]) for path in wanted if path in files]
            folders = [path for path in wanted if any(other.startswith(f"{path}/") for other in files)]
            listed += [_folder(path) for path in folders]
            return self.answer(200, listed)
        if call == "preupload":
            asked = [file["path"] for file in json.loads(self.body)["files"]]
            known = {path: _oid(path, content) for path, content in files.items()}
            modes = [{"path": path, "uploadMode": "lfs" if path.endswith(LARGE) else "regular"} for path in asked]
            return self.answer(200, {"files": [{**one, "shouldIgnore": False, "oid": known.get(one["path"])} for one in modes]})
        if call == "tag":
            tag = json.loads(self.body)["tag"]
            if tag in repo.tags:
                return self.answer(409, {"error": f"Tag {tag} exists already"})
            repo.tags[tag] = sha
            return self.answer(200, {})
        if call == "commit":
            return self.commit(repo, name, dict(files))
        return self.answer(404, {"error": f"no such call: {call}"})

    def commit(self, repo: Repo, name: str, files: dict[str, bytes]) -> None:
        header, *operations = [json.loads(line) for line in self.body.splitlines()]
        if header["value"].get("parentCommit") not in (None, repo.commits[-1][0]):
            return self.answer(412, {"error": REFUSED[412]})
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                if value["oid"] not in self.hub.large:
                    return self.answer(400, {"error": f"the content of {value['path']} was never uploaded"})
                files[value["path"]] = self.hub.large[value["oid"]]
            else:
                del files[value["path"]]
        sha = repo.commit(files, header["value"]["summary"])
        self.answer(200, {"commitUrl": f"{self.hub.url}/datasets/{name}/commit/{sha}", "commitOid": sha, "success": True})

    def file(self, sha: str, files: dict[str, bytes], path: str) -> None:
        if path not in files:
            return self.missing("EntryNotFound", "Entry")
        content, etag, headers = files[path], _oid(path, files[path]), {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        headers |= {"ETag": f'"{etag}"', "X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(content))}
        headers |= {"Content-Disposition": f"inline; filename*=UTF-8''{quote(path)}"}
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            return self.answer(200, headers=headers, body=content)
        first = int(wanted[1]) if wanted[1] else max(0, len(content) - int(wanted[2]))
        last = min(int(wanted[2]), len(content) - 1) if wanted[1] and wanted[2] else len(content) - 1
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self.answer(206, headers=headers, body=content[first : last + 1])

    def log_message(self, format: str, *args: object) -> None:
        pass
