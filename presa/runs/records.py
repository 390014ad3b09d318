"""The folder of a training run and the records in it.

config.json            every choice, the data's hashes, versions; written first
metrics.jsonl          one line a report
checkpoints/           step-<n>.safetensors, from each of which training can continue
reference.safetensors  the policy cloned from all segments, for algorithms that have one
policy.safetensors     the result; a run that has it is finished
findings.json          facts about the prepared data, such as episode weights
failure.json           why and at which step the run failed; a run has this or the policy
evaluation.json, learning_curve.png, README.md
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from presa.files import FAILURE_FILE, POLICY_FILE, read_failure, write_bytes, write_json
from safefeedback.errors import InputError
from safefeedback.files import is_system_file
from safefeedback.values import convert_fields

FORMAT_VERSION = 1
RUN_KEYS = ("format_version", "algorithm", "configuration", "data")  # a config.json without them is not one of ours
CONFIG: dict[str, Any] = {  # what whoever reads a config.json relies on
    **{"algorithm": str, "seed": int, "cost_limit": (int, float)},
    **dict.fromkeys(("task", "configuration", "data"), dict),
}
SUMMARY = (
    "episodes",
    "cost_limit",
    "safe",
    "return",
    "cost",
    "normalized_cost",
    "length",
)  # numbers of an evaluation's summary
WRONG_SHAPE = (KeyError, TypeError, AttributeError, IndexError, ArithmeticError, ValueError, RuntimeError)  # JSON's, by others
EARLIER_DEFAULTS = {"cloning": "segments"}  # what a setting that came later was before it came, where that is not its default
MACHINE_KEYS = ("device", "versions")  # keys of config.json about where it was trained
FINDINGS_FILE = "findings.json"
FEWEST_EPISODES = 20  # effective ones, below which a policy rests on too few: cards/weighted_bc.md, "Few episodes"
DOUBTFUL = 0.9  # mean P(safe) of the episodes that a policy rests on, below which it warns (cards/weighted_bc.md)
OVERSATURATED = 0.5  # share of action components at the bounds up to which no run is warned about


@dataclass(frozen=True)
class MonitorSettings:
    """How a run is monitored; none of it changes what is learnt, unless the best policy is selected.

    Attributes:
        report_every: steps between reports.
        checkpoint_every: steps between checkpoints, which are written with the first report at or after each multiple.
        evaluate_every: steps between rollouts in the simulator, 0 for none.
        evaluate_episodes: episodes of each.
    """

    report_every: int = 500
    checkpoint_every: int = 5_000
    evaluate_every: int = 0
    evaluate_episodes: int = 5

    def __post_init__(self) -> None:
        convert_fields(self)
        for name in ("report_every", "checkpoint_every", "evaluate_episodes"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}")
        if self.evaluate_every < 0:
            raise InputError(f"--evaluate-every must be 0 or more, not {self.evaluate_every}")


def read_config(folder: Path) -> dict[str, Any]:
    """What config.json says.

    Raises:
        InputError: if the folder is not a run's.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("it is not an object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{folder} is not a run of `presa train`: its config.json cannot be read ({error})") from None
    wrong = [name for name, kind in CONFIG.items() if not isinstance(config.get(name), kind)]
    if wrong or not isinstance(config["task"].get("name"), str):
        raise InputError(f"{folder} is not a run of `presa train`: its config.json does not say {(wrong or ['task'])[0]}")
    return config


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; one that was cut off while it was written is left out."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        if not all(line.keys() >= {"stage", "step"} for line in lines):
            raise ValueError("a line has no stage and step")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    return lines


def read_evaluation(folder: Path) -> dict[str, Any] | None:
    """What evaluation.json says, {"rows", "summary"}; None if the run was not evaluated.

    Raises:
        InputError: if the file is damaged, or holds what no evaluation gives.
    """
    path = folder / "evaluation.json"
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        check_rows(found["rows"])
        if not all(math.isfinite(found["summary"][name]) for name in SUMMARY):
            raise ValueError("a mean is not finite")
        return {"rows": list(found["rows"]), "summary": dict(found["summary"])}
    except (OSError, *WRONG_SHAPE):
        raise InputError(f"{path} is not an evaluation of presa's: `presa evaluate {folder}` writes it again") from None


@contextmanager
def readable(refusal: Callable[[str], str]) -> Iterator[None]:
    """Turns any error caused by records of another shape into an InputError, whose words `refusal` gives for a reason."""
    try:
        yield
    except InputError:
        raise
    except WRONG_SHAPE as error:
        raise InputError(refusal(f"{type(error).__name__}: {error}"[:200])) from None


def check_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Raises one of WRONG_SHAPE if a row of an evaluation lacks a number that a table needs, or one is not finite."""
    for row in rows:
        scored = ("normalized_return",) * (row["normalized_return"] is not None)
        values = [row[name] for name in ("cost_limit", "seed", "return", "normalized_cost", *scored)]
        if not isinstance(row["task"], str) or not all(math.isfinite(value) for value in values):
            raise ValueError(f"episode {row.get('episode')} holds {[*values, row['task']]}, which cannot be so")


def write_failure(folder: Path, error: str) -> None:
    """Records that a run failed, and why."""
    write_json(folder / FAILURE_FILE, {"error": error})


def read_findings(folder: Path) -> dict[str, Any]:
    """The run's `Algorithm.findings`; {} if it has none."""
    path = folder / FINDINGS_FILE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def findings_warnings(findings: dict[str, Any]) -> list[str]:
    """Warnings about a run's findings."""
    warnings = []
    for facts in (findings, *findings.get("limits", ())):
        where = f"at cost limit {facts['cost_limit']:g} " if "cost_limit" in facts else ""
        if (p_safe := facts.get("p_safe")) is not None and p_safe < DOUBTFUL:
            warnings.append(
                f"DOUBTFUL EPISODES: {where}the episodes that it rests on keep the limit with probability {p_safe:.2f}, "
                "by its own estimates: it found too few that do, or has too few answers to tell"
            )
        if facts.get("effective_episodes", FEWEST_EPISODES) < FEWEST_EPISODES:
            warnings.append(
                f"FEW EPISODES: {where}it rests on {facts['effective_episodes']:.1f} effective episodes, fewer than "
                f"{FEWEST_EPISODES}: what it earns and costs may be far from what they did"
            )
    if findings.get("episodes_of_supposed_length"):
        warnings.append(
            f"the dataset does not say how long {findings['episodes_of_supposed_length']:,} of its episodes are: each is "
            "taken to be as long as the task's horizon"
        )
    return warnings


def metrics_warnings(lines: list[dict[str, Any]]) -> list[str]:
    """Warnings about a run, from its metrics."""
    bad = [line for line in lines if oversaturated(line)]
    if not bad:
        return []
    first, last = bad[0], lines[-1]
    return [
        f"SATURATED: at step {first['step']:,} the policy put {first['saturated']:.0%} of its actions at the bounds, far more "
        f"than the recordings ({first['saturated_recorded']:.0%}); at the last report {last['saturated']:.0%}. "
        "This is how this family of losses fails: such a policy has left the data"
    ]


def oversaturated(line: dict[str, Any]) -> bool:
    """Whether more actions lie at the bounds than in the recordings; a reward model has no actions."""
    return "saturated" in line and line["saturated"] > max(OVERSATURATED, line["saturated_recorded"] + 0.2)


def open_folder(folder: Path, config: dict[str, Any], overwrite: bool = False) -> int | None:
    """Makes the folder, or opens the same run in it; returns the step it continues from, None for a new run.

    Raises:
        InputError: if something else is there.
    """
    check_folder(folder, config, overwrite)
    path = folder / "config.json"
    if path.is_file() and overwrite:
        try:
            shutil.rmtree(folder.resolve())  # not a link to it
        except OSError as error:
            raise InputError(f"cannot delete {folder}: {error}") from None
    try:
        if path.is_file():
            stored = read_config(folder)
            code = stored.pop("code_sha256", None)
            if code is not None and code != config.get("code_sha256"):  # nothing was trained by the code before
                write_json(path, stored | {key: config[key] for key in ("code_sha256",) if key in config})
            (folder / "checkpoints").mkdir(exist_ok=True)
            for left in (folder / "checkpoints").glob(".*.partial"):  # of a process that was killed
                left.unlink()
            checkpoint = last_checkpoint(folder)
            return 0 if checkpoint is None else int(checkpoint.stem.partition("-")[2])
        folder.resolve().mkdir(parents=True, exist_ok=True)
        write_json(path, config)  # first: a folder with anything in it is known as a run
        (folder / "checkpoints").mkdir()
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}") from None
    return None


def check_folder(folder: Path, config: dict[str, Any], overwrite: bool = False) -> None:
    """Raises InputError if the folder holds anything but the same run, or with `overwrite` anything but a run."""
    if not (folder / "config.json").is_file():
        if folder.exists() and (not folder.is_dir() or not all(is_system_file(path.name) for path in folder.iterdir())):
            raise InputError(f"{folder} exists and is not a run of presa: choose another --out")
        return
    _require_run(folder)
    if overwrite:
        return
    stored, requested = _flat(read_config(folder)), _flat(config)
    _require_same_code(folder, stored, requested.pop("code_sha256", None))
    chooses = requested.get("configuration.selection") == "best"  # then monitoring affects the result
    for key, value in requested.items():
        stage, _, name = key.partition(".")
        if key not in stored and stage in ("configuration", "changed") and name in EARLIER_DEFAULTS:
            stored[key] = EARLIER_DEFAULTS[name]
        if key not in stored and stage == "configuration" and f"changed.{name}" not in requested:
            continue  # a setting of a later version; the run used its default
        if stage in MACHINE_KEYS and (folder / POLICY_FILE).is_file():
            continue  # a finished run counts, wherever it was trained
        if stored.get(key) != value and (chooses or not key.startswith("watching.")):
            raise InputError(
                f"{folder} holds another run ({key} is {stored.get(key)}, not {value}): choose another --out or --overwrite"
            )


def _require_same_code(folder: Path, stored: dict[str, Any], code_sha256: str | None) -> None:
    """Raises InputError if steps of a custom algorithm were trained by code that has changed since, or cannot be compared."""
    begun = (folder / POLICY_FILE).is_file() or last_checkpoint(folder) is not None or read_failure(folder) is not None
    begun = begun or any(line["stage"] == "main" for line in read_metrics(folder))
    if begun and stored.get("code_sha256", code_sha256) != code_sha256:
        raise InputError(
            f"{folder} was trained by {stored['algorithm']} before its code changed: --overwrite trains it again, another "
            "--out keeps both"
        )


def started_elsewhere(folder: Path, config: dict[str, Any]) -> bool:
    """Whether an unfinished run was started on another device or with other versions; its result would match neither."""
    if not (folder / "config.json").is_file() or (folder / POLICY_FILE).is_file():
        return False
    stored = read_config(folder)
    return any(stored.get(key) != config[key] for key in MACHINE_KEYS)


def _require_run(folder: Path) -> None:
    """Raises InputError if the folder's config.json is of something else, such as a model of Hugging Face."""
    if not read_config(folder).keys() >= set(RUN_KEYS):
        raise InputError(f"{folder} is not a run of presa, though it holds a config.json: choose another --out")


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested dict as one with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def last_checkpoint(folder: Path) -> Path | None:
    return max((folder / "checkpoints").glob("step-*.safetensors"), default=None)


def write_metrics(folder: Path, lines: list[dict[str, Any]]) -> None:
    write_bytes(folder / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
