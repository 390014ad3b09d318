"""The command `safefeedback annotate`."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safefeedback.errors import InputError
from safefeedback.imports import require_packages
from safefeedback.terminal import Interrupted, Progress

if TYPE_CHECKING:
    from safefeedback.annotate.live_study import LiveStudy

SAME = "(default: as before, at first {})"


def _first(value: str) -> str:
    return SAME.format(value)


def annotate(
    folder: Annotated[Path, typer.Argument(help="A dataset's folder.")],
    name: Annotated[str, typer.Option(help="Name of the answers, and of the label set that they become.")] = "people",
    annotators: Annotated[str | None, typer.Option(help=f"Who may answer: ann,bob. {_first('anybody, by name')}")] = None,
    ask: Annotated[str | None, typer.Option(help=f"preference, safety or both. {_first('both')}")] = None,
    safety_question: Annotated[
        str | None,
        typer.Option(help=f"What safe means: limit (its cost), any (no costly step) or judgement (theirs). {_first('limit')}"),
    ] = None,
    cost_limit: Annotated[
        float | None,
        typer.Option(help=f"Of a whole episode, in the safety question `limit`. {_first('the dataset' + chr(39) + 's')}"),
    ] = None,
    overlap: Annotated[int | None, typer.Option(help=f"How many people answer each pair. {_first('1')}")] = None,
    gold: Annotated[
        float | None, typer.Option(help=f"Share of pairs with a clear right answer, as a check. {_first('0')}")
    ] = None,
    repeat: Annotated[float | None, typer.Option(help=f"Share of pairs that a person is asked again. {_first('0')}")] = None,
    order: Annotated[
        str | None,
        typer.Option(
            help=f"random, uncertain (by `presa ask`), near-limit or stratified (these two read the truth). {_first('random')}"
        ),
    ] = None,
    practice: Annotated[int | None, typer.Option(help=f"Practice pairs before the first. {_first('3')}")] = None,
    practice_feedback: Annotated[
        bool | None, typer.Option("--practice-feedback/--no-feedback", help="Whether practice shows the right answers.")
    ] = None,
    cost_cues: Annotated[
        bool | None, typer.Option("--cost-cues/--no-cost-cues", help="Whether the drawing marks the steps that cost.")
    ] = None,
    quick: Annotated[
        bool | None,
        typer.Option("--quick/--no-quick", help="A trial: no information, consent or practice; every answer is marked so."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any other than 127.0.0.1 needs --annotators, and each gets a link.")
    ] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Port to listen on. (default: 8000, or any that is free)")] = None,
    address: Annotated[
        str | None,
        typer.Option(help="The public address of the page, for the links: https://lab.example.org. Needs --annotators."),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether to open the page in a browser here.")] = True,
    render: Annotated[
        bool, typer.Option("--render", help="First make frames of the simulator, by replaying the recordings; may take long.")
    ] = False,
    source: Annotated[
        Path | None, typer.Option(help="With --render: the recordings' file (default: found here by its sha256).")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Only write the folder of a Docker Space, user/name, beside the answers.")
    ] = None,
    results: Annotated[bool, typer.Option("--results", help="Only show who answered what, and how well.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Only make the label set of the answers so far.")] = False,
    consensus: Annotated[str, typer.Option(help="How several answers become one: majority or dawid-skene.")] = "majority",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="With --finish: replace the label set.")] = False,
    merge: Annotated[
        str | None, typer.Option(help="Only add the answers of another machine's .sqlite file, or of a Space's repository.")
    ] = None,
    same_person: Annotated[
        bool, typer.Option("--same-person", help="With --merge: a name that occurs in both is one person.")
    ] = False,
    exclude: Annotated[str | None, typer.Option(help="Only leave a person out of the label set.")] = None,
    include: Annotated[str | None, typer.Option(help="Only include a person again.")] = None,
    withdraw: Annotated[str | None, typer.Option(help="Only delete a person's answers, as that person asked.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --results or --finish: print JSON on stdout.")] = False,
) -> None:
    """Let people label pairs in a browser: which segment is better, and which are safe; their answers become a label set."""
    choices: dict[str, Any] = {
        "annotators": tuple(person.strip() for person in annotators.split(",") if person.strip())
        if annotators is not None
        else None,
        "ask": ask,
        "safety_question": safety_question,
        "cost_limit": cost_limit,
        "overlap": overlap,
        "gold": gold,
        "repeat": repeat,
        "order": order,
        "practice": practice,
        "practice_feedback": practice_feedback,
        "cost_cues": cost_cues,
        "quick": quick,
    }
    choices = {key: value for key, value in choices.items() if value is not None}
    only = {"results": results, "finish": finish, "merge": merge, "exclude": exclude, "include": include, "withdraw": withdraw}
    chosen = {key: value for key, value in only.items() if value}
    if len(chosen) > 1 or (chosen and choices):
        first, *others = [f"--{key.replace('_', '-')}" for key in [*chosen, *choices]]
        raise InputError(f"{first} cannot be combined with other actions: leave {', '.join(others)} out")
    if chosen:
        from safefeedback.cli import annotate_study as study

        options = {"consensus": consensus, "overwrite": overwrite, "same_person": same_person, "as_json": as_json}
        study.run_action(folder, name, *next(iter(chosen.items())), options)
        return
    if space is not None:
        from safefeedback.cli.annotate_space import write

        write(folder, name, choices, space, overwrite)
        return
    if source is not None and not render:
        raise InputError("--source names the recordings that --render replays: give --render as well, or leave it out")
    require_packages("the page", "starlette", "uvicorn")
    if render:
        _render(folder, source)
    _serve(folder, name, choices, host, port, address, browser)


def _serve(
    folder: Path,
    name: str,
    given: dict[str, Any],
    host: str,
    port: int | None,
    address: str | None,
    browser: bool,
) -> None:
    from safefeedback.annotate.app import application
    from safefeedback.annotate.guard import Guard
    from safefeedback.annotate.opening import LOOPBACK, exclusive, open_study
    from safefeedback.annotate.serve import listen, serve
    from safefeedback.annotate.store import answers_file
    from safefeedback.annotate.study import token
    from safefeedback.dataset.label_sets import check_set_name, open_local

    check_set_name(folder, name, overwrite=True)
    open_local(folder)  # before any file is created beside it
    others = host not in LOOPBACK or address is not None  # by way of a proxy or a tunnel
    sock = listen(host, port)
    with exclusive(answers_file(folder, name)):  # before anything is read or chosen
        live, study, frames = open_study(folder, name, given, open_to_others=others)
        if others and not study.annotators:
            where = f"--host {host}" if address is None else f"--address {address}"
            raise InputError(f"{where} lets others in: name them with --annotators ann,bob, and each gets a secret link")
        number = sock.getsockname()[1]
        local = f"http://{'[::1]' if ':' in host else '127.0.0.1' if others else host}:{number}"
        base = (address or (f"http://{_hostname()}:{number}" if others else local)).rstrip("/")
        hosts = {f"{name}:{number}" for name in ("127.0.0.1", "localhost", "[::1]")} if host in LOOPBACK else set()
        if address is not None and hosts:
            hosts.add(base.partition("://")[2].partition("/")[0].lower())
        guard = Guard(live.store, frozenset(hosts), others, study.annotators)
        links = {
            person: f"{base}/?token={token(live.store, person)}" if others else f"{base}/?name={person}"
            for person in study.annotators
        }
        print(f"{folder}, label set {name}: answers go to {live.store.path}")
        for person, link in links.items():
            print(f"  {person}: {link}")
        first = next(iter(links.values())) if len(links) == 1 else f"{base}/"
        with suppress(Interrupted):  # Ctrl-C before the server handles it itself
            _ask_when_uncertain(live)
            announcement = f"open {first if not others else 'a personal link'}; Ctrl-C stops, and nothing is lost"
            serve(application(live, guard, frames), sock, first if browser and not others else None, announcement)
        count = live.store.rows("SELECT count(*) AS n FROM every_answer WHERE undoes = ''")[0]["n"]
        live.store.close()  # the log is written into the file, which can then be copied
        print(f"stopped; {count:,} answers are in {live.store.path}")


def _hostname() -> str:
    import socket

    return socket.gethostname()


def _render(folder: Path, source: Path | None) -> None:
    from safefeedback.annotate.material import Material
    from safefeedback.annotate.opening import frames_folder
    from safefeedback.annotate.rendering import render

    with Progress("rendering") as progress:
        material = Material(folder)
        rendered = render(material, frames_folder(folder, material.content_sha256), progress, source)
    print(f"frames of {rendered:,} segments made")


def _ask_when_uncertain(live: LiveStudy) -> None:
    """Has `presa ask` choose the next pairs, if that is the order."""
    if live.study.order != "uncertain":
        return
    from safefeedback.annotate.uncertainty import UncertaintyRanker, missing_packages

    if (line := missing_packages()) is not None:
        print(f"note: {line}", file=sys.stderr)
        return
    show = lambda line: print(f"note: {line}", file=sys.stderr)  # noqa: E731
    live.on_answer = UncertaintyRanker(
        live.material.folder, live.store.path, live.cost_limit, live.assigner.set_order, show
    ).notice
