"""A client of the Hugging Face Hub, or of the server in HF_ENDPOINT, that retries and reports failures in one line."""

from __future__ import annotations

import errno
import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from json import JSONDecodeError
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from safefeedback.errors import InputError
from safefeedback.hub.transfer import receiving
from safefeedback.imports import install_package_command

Result = TypeVar("Result")
TRIES = 3
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 60.0  # the longest time without data from the server
LONGEST_WAIT = 120  # seconds, when it asks for patience
TRANSIENT_STATUS = (408, 429, 500, 502, 503, 504)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class HubError(InputError):
    """A request to the server failed.

    Attributes:
        status: of the answer, None where there was none.
        missing: "repository", "revision" or "entry" where that is what does not exist, else "".
    """

    status: int | None = None
    missing: str = ""


def retry(failure: str, call: Callable[[], Result], writes: bool = False) -> Result:
    """Calls the Hub, and repeats the call after transient failures of the server or the network.

    Args:
        failure: the beginning of the error message: "cannot read user/name".
        call: asks the Hub, through huggingface_hub; it may be made several times.
        writes: whether it changes anything there, for which a token needs more rights.

    Raises:
        HubError: one line that says what could not be done, why, and what to do.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
    from huggingface_hub.utils import get_session

    silence_client()
    carrier: Any = HfHubHTTPError.__bases__[0]  # of the library that carries the client's requests: its versions differ in that
    no_url = getattr(sys.modules[carrier.__module__], "InvalidURL", carrier)
    failures = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError, carrier, no_url)
    for attempt in range(TRIES):
        try:
            _limit_waits(get_session())
            return call()
        except LocalTokenNotFoundError:
            raise HubError(f"{failure}: there is no token: {_HOW_TO_LOG_IN}") from None
        except failures as error:
            root, status = _root(error)
            passing = (
                status in TRANSIENT_STATUS if status is not None else _is_network(root) or isinstance(root, JSONDecodeError)
            )
            if attempt + 1 == TRIES or not passing:
                raise _explained(failure, root, status, writes) from None
            time.sleep(_wait(root, attempt))
    raise AssertionError("unreachable")


def snapshot(failure: str, kind: str, repo: str, revision: str | None, patterns: list[str] | None = None) -> Path:
    """The folder in the Hub's cache with the matching files of a repository; cached files are not fetched again.

    Without a network it is what was fetched before.

    Raises:
        HubError: if it can be neither fetched nor found in the cache.
    """
    from huggingface_hub import snapshot_download

    named: dict[str, Any] = {"repo_type": kind, "revision": revision, "allow_patterns": patterns}
    with receiving(f"fetching {repo}") as counter:
        return Path(retry(failure, lambda: snapshot_download(repo, **named, etag_timeout=CONNECT_SECONDS, tqdm_class=counter)))


def failure_reason(error: BaseException) -> str:
    """Why a call to the Hub to read something failed, in one line, and what to do."""
    root, status = _root(error)
    return _without_token(_reason(root, status, _missing(root), writes=False))


def token() -> str:
    """The user's token for the Hub.

    Raises:
        HubError: if there is none, or it cannot be one.
    """
    from huggingface_hub import get_token

    stored = get_token()
    if not stored:
        raise HubError(f"there is no token for the Hub: {_HOW_TO_LOG_IN}")
    if not re.fullmatch("[!-~]+", stored):
        raise HubError(f"the token for the Hub holds characters that no token has: {_HOW_TO_LOG_IN}")
    return stored


def silence_client() -> None:
    """Silences the client's warnings and progress bars, in favour of our own errors and bars."""
    from huggingface_hub.utils import disable_progress_bars, logging

    logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning if HF_HUB_DISABLE_PROGRESS_BARS=0 is set
        disable_progress_bars()


def endpoint() -> str:
    """The address of the server."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def check_reachable() -> None:
    """Asks the server once: without a network, a download by huggingface_hub fails after 25 seconds only (*measured*, 2.4.0).

    Raises:
        OSError: if it does not answer within CONNECT_SECONDS, or HF_HUB_OFFLINE is set.
    """
    import urllib.error
    import urllib.request

    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise OSError("HF_HUB_OFFLINE is set")
    try:
        urllib.request.urlopen(urllib.request.Request(endpoint(), method="HEAD"), timeout=CONNECT_SECONDS).close()
    except urllib.error.HTTPError:
        pass  # it answered
    except urllib.error.URLError as error:
        raise OSError(f"{endpoint()}: {error.reason}") from None


def is_repo_name(name: str) -> bool:
    """Whether it can be a repository's: user/name."""
    part = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
    return re.fullmatch(f"{part}/{part}", name) is not None and not (
        "--" in name or ".." in name or name.endswith(".git") or len(name) > 96
    )


_HOW_TO_LOG_IN = "make one at https://huggingface.co/settings/tokens and log in with `hf auth login`, or set HF_TOKEN"


def _limit_waits(session: Any) -> None:
    """Sets timeouts for the client's session, which has none for most requests."""
    hooks = getattr(session, "event_hooks", None)  # clients before huggingface_hub 1.0 have none
    if hooks is not None and _limit_waiting not in hooks["request"]:
        session.event_hooks = {**hooks, "request": [*hooks["request"], _limit_waiting]}


def _limit_waiting(request: Any) -> None:
    timeouts = request.extensions.get("timeout", {})
    waits = {name: timeouts.get(name) or SILENCE_SECONDS for name in ("connect", "read", "write", "pool")}
    request.extensions = {**request.extensions, "timeout": waits}


def _root(error: BaseException) -> tuple[BaseException, int | None]:
    """The error behind an error, and its HTTP status: the first in the chain that has one, or that is the network's."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    for cause in chain:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            return cause, int(status)
    return next((cause for cause in chain if _is_network(cause)), chain[0]), None


def _is_network(error: BaseException) -> bool:
    """Whether it comes from the library that carries the client's requests, whichever that is."""
    return any(kind.__module__.partition(".")[0] in ("httpx", "httpx2", "requests") for kind in type(error).__mro__)


def _wait(error: BaseException, attempt: int) -> float:
    retry_after = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", "")
    return float(min(int(retry_after), LONGEST_WAIT) if retry_after.isdecimal() else 2**attempt)


def _explained(failure: str, error: BaseException, status: int | None, writes: bool) -> HubError:
    missing = _missing(error)
    hub_error = HubError(_without_token(f"{failure}: {_reason(error, status, missing, writes)}"))
    hub_error.status, hub_error.missing = status, missing
    return hub_error


def _missing(error: BaseException) -> str:
    """Which thing the server says is not there: "repository", "revision" or "entry", "" for none."""
    names = {"RepositoryNotFoundError": "repository", "RevisionNotFoundError": "revision", "RemoteEntryNotFoundError": "entry"}
    return next((names[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in names), "")


def _reason(error: BaseException, status: int | None, missing: str, writes: bool) -> str:
    from huggingface_hub import get_token

    if any(kind.__name__ == "GatedRepoError" for kind in type(error).__mro__):
        advice = "" if get_token() else f", and {_HOW_TO_LOG_IN}"
        return f"its owner lets in whoever asks: ask for access at {_page(error)}{advice}"
    if missing == "repository":  # the server's answer for private repositories as well
        return "there is no such repository, or it is private and " + (
            "the token may not see it" if get_token() else f"needs a token: {_HOW_TO_LOG_IN}"
        )
    if status == 401:
        return f"the token was refused: {_HOW_TO_LOG_IN}" if get_token() else f"that needs a token: {_HOW_TO_LOG_IN}"
    if status == 403 and writes:
        return f"the token has no right to do that: give it write access at {endpoint()}/settings/tokens, or take another name"
    if status == 403:
        lines = str(getattr(error, "server_message", "") or "").strip().splitlines()
        why = f" ({lines[0]})" if lines else ""
        return f"the server lets nobody with this token read that{why}: look at its rights at {endpoint()}/settings/tokens"
    if missing:
        return f"there is no such {missing}"
    if status == 412:
        return "somebody changed it meanwhile: look at it, and run the same command again"
    if status == 429:
        return "the server asks for patience (429): run the same command again later"
    if status is not None and status >= 500:
        return f"the server failed ({status}), {TRIES} times in a row: run the same command again later"
    if status is not None:
        lines = str(getattr(error, "server_message", "") or error).strip().splitlines()
        return f"the server answered {status} ({lines[0] if lines else 'without a message'})"
    if type(error).__name__ == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE is set: unset it to use the network"
    if isinstance(error, ImportError) and "socks" in str(error).lower():
        return f"a SOCKS proxy is set, which needs the package socksio: {install_package_command('socksio')}"
    if isinstance(error, FileNotFoundError) and error.filename is None and "SSL_CERT_FILE" in os.environ:
        return f"SSL_CERT_FILE names {os.environ['SSL_CERT_FILE']}, which is not there"
    if type(error).__name__ == "InvalidURL":
        return f"HTTPS_PROXY, HTTP_PROXY, ALL_PROXY or HF_ENDPOINT holds what is no address ({error}): correct or unset it"
    if isinstance(error, UnicodeEncodeError):
        return f"the token for the Hub holds characters that no token has: {_HOW_TO_LOG_IN}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"the certificate of {endpoint()} is not trusted here: set SSL_CERT_FILE to the certificates of your network"
    if "Timeout" in type(error).__name__:
        return f"{endpoint()} does not answer: check the network, or run the same command again later"
    if _is_network(error):
        return f"{endpoint()} cannot be reached: connect to the network, or set HF_ENDPOINT to a mirror"
    if isinstance(error, (JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError)):
        return f"what {endpoint()} answers makes no sense: check HF_ENDPOINT, or run the same command again later"
    if isinstance(error, OSError) and error.errno in FULL:
        return f"{os.strerror(error.errno)}: free some space, or set HF_HOME to a folder on another disk"
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _page(error: BaseException) -> str:
    """Where a person sees the repository that a request was about."""
    url = str(getattr(getattr(error, "response", None), "url", ""))
    match = re.match(r"/(?:api/)?(datasets/)?(?:models/)?([\w.-]+/[\w.-]+)", urlsplit(url).path)
    return f"{endpoint()}/{match[1] or ''}{match[2]}" if match else endpoint()


def _without_token(text: str) -> str:
    from huggingface_hub import get_token

    secret = get_token()
    return text.replace(secret, "<token>") if secret else text
