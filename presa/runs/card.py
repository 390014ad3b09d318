"""The model card of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from presa.files import read_failure, write_bytes
from presa.options import setting_text
from presa.runs.own_policy import is_own
from presa.runs.plots import PANELS, draw_learning_curve, draw_trust, own_numbers
from presa.runs.records import findings_warnings, metrics_warnings, read_config, read_evaluation, read_findings, read_metrics
from safefeedback.dataset.citation import CITATIONS
from safefeedback.errors import command_line
from safefeedback.simulators.ceilings import describe_ceiling
from safefeedback.tasks import Task

SHOWN = (*(key for _, keys in PANELS for key in keys), "z_ref")


def write_card(folder: Path) -> None:
    """Writes the run's README.md from its records."""
    write_bytes(folder / "README.md", render(folder).encode())


def render(folder: Path) -> str:
    """The card as Markdown."""
    config, lines, findings = read_config(folder), read_metrics(folder), read_findings(folder)
    task, data = config["task"], config["data"]
    acts_by = config.get("acts_by", "the mean of a tanh MLP")
    failure = read_failure(folder)
    parts = [
        f"# {config['algorithm']} on {task['name']}, cost limit {config['cost_limit']:g}, seed {config['seed']}",
        f"> **Given up: {failure}.**" if failure is not None else "",
        *[
            f"> **{warning}.**"
            for warning in (*metrics_warnings(lines), *findings_warnings(findings), *config.get("notes", ()))
        ],
        f"A policy learnt offline by {_whose(config)}`{config['algorithm']}` from {data['pairs']:,} pairs of "
        f"{data['length']}-step segments of {task['name']} ({task['domain']}). It acts by {acts_by}; "
        '`presa.load("<this folder>")` '
        "gives it, with `reset(n)` and `act(observations [n, O]) -> actions [n, A]`"
        + ("." if "acts_by" not in config else ", and `observe(rewards [n], costs [n])` for what each step gave."),
        "## Evaluation\n\n" + _evaluation(folder),
        _rests_on(findings),
        "![trust](trust.png)" if (folder / "trust.png").is_file() else "",
        "## Training\n\n```\n" + train_command(config) + "\n```",
        _table(config["configuration"] | {"seed": config["seed"], "device": config["device"]}),
        f"Code of `{config['algorithm']}`: sha256 `{config['code_sha256']}`." if "code_sha256" in config else "",
        "Data: " + ", ".join(f"{key} `{value}`" for key, value in data.items() if value is not None) + ".",
        *[f"Model of {stage}, last report:\n\n" + _table(numbers) for stage, numbers in _models(lines).items()],
        "Last report:\n\n"
        + _table({key: lines[-1][key] for key in (*SHOWN, *own_numbers(lines)) if lines[-1].get(key) is not None})
        if lines
        else "",
        "![learning curve](learning_curve.png)" if (folder / "learning_curve.png").is_file() else "",
        "## Limits\n\nIt was judged by simulated episodes of one task only. A cost within the limit on average says "
        "nothing about the worst episode, other tasks, or real robots. Where the recordings never went, it guesses.",
        f"## Citation\n\n```bibtex\n{CITATIONS}\n```",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in config["versions"].items()) + ".",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _whose(config: dict[str, Any]) -> str:
    """Whether the algorithm is one of presa's or one's own."""
    return "`presa` with the custom algorithm " if "code_sha256" in config else "`presa`'s "


def _rests_on(findings: dict[str, Any]) -> str:
    """A description of the episode weights behind the policy; "" if there are none."""
    if "effective_episodes" not in findings:
        return ""
    flipped = findings.get("flipped_labels")  # older runs do not record it, and few labels do not tell
    wrong = "" if flipped is None else f" At least {flipped:.0%} of the safety labels seem to be wrong."
    deviation = f" +- {findings['cost_spread']:.2f} between members" if findings.get("cost_spread") is not None else ""
    estimates = []  # a control that was not given an answer has none about it
    if findings["estimated_cost"] is not None:
        estimates.append(f"to cost {findings['estimated_cost']:.2f}{deviation}")
        estimates.append(f"to be safe with probability {findings['p_safe']:.2f}")
    if findings["estimated_return_rank"] is not None:
        estimates.append(f"to earn more than {findings['estimated_return_rank']:.0%} of all episodes")
    said = f" In proportion to their weights they are estimated {' and '.join(estimates)}." if estimates else ""
    return (
        f"## What it rests on\n\n{findings['effective_episodes']:.1f} effective episodes of {len(findings['episodes']):,} "
        f"({findings['episodes_partly_known']:,} of them known in part).{said}{wrong} `findings.json` has every episode."
    )


def _models(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The last numbers of each model that was trained before the policy."""
    last = {line["stage"]: line for line in lines if line["stage"] not in ("bc", "main")}
    keys = {"stage", "step"}
    return {
        stage: {name: value for name, value in line.items() if name not in keys and value is not None}
        for stage, line in last.items()
    }


def train_command(config: dict[str, Any]) -> str:
    """The command that trains a run again, whose dataset's place is not known; or that evaluates a policy of one's own."""
    if is_own(config):
        return command_line("presa", "evaluate", "--policy", config["policy"], "--task", config["task"]["name"])
    data = config["data"]
    words = ["presa", "train", "DATASET", "--algorithm", config["algorithm"]]
    words += ["--pairs", str(data["pairs"]), "--seed", str(config["seed"])]
    words += ["--labels", data["labels"]] if data["labels"] else []
    words += ["--cost-limits", setting_text(config["cost_limit"])] if "safety_labels" in data else []
    words += ["--unlabelled", "FILE"] if "unlabelled_sha256" in data else []
    words += ["--trajectories", "FILE"] if "trajectories_sha256" in data else []
    words += [word for name, value in config["changed"].items() for word in ("--set", f"{name}={setting_text(value)}")]
    return command_line(*words)


def _evaluation(folder: Path) -> str:
    found = read_evaluation(folder)
    if found is None:
        return "Not evaluated yet: `presa evaluate <this folder>`."
    summary = found["summary"]
    ceiling = describe_ceiling(Task.from_dict(read_config(folder)["task"]), summary["cost_limit"])
    return (
        f"{summary['episodes']} episodes in the simulator, evaluation seed {summary['evaluation_seed']}, cost limit "
        f"{summary['cost_limit']:g}: {'**safe**' if summary['safe'] else '**unsafe**'} on average{_endings(summary)}.\n\n"
        + _table(
            {
                f"{name} (mean +- deviation over episodes)": f"{summary[name]:.3f} +- {summary[f'{name}_std']:.3f}"
                for name in ("normalized_return", "normalized_cost", "return", "cost", "length")
                if summary[name] is not None
            }
        )
        + (f"\n\n{ceiling}" if ceiling else "")
    )


def _endings(summary: dict[str, Any]) -> str:
    """How episodes ended, and the returns of the data's segments beside the policy's; older evaluations do not have them."""
    if "ended_early" not in summary:
        return ""
    text = f"; {summary['ended_early']:.0%} of the episodes ended early, before their {summary['horizon']} steps"
    recorded = summary.get("recorded_return")
    return text if recorded is None else f"{text}, and the data's segments earn {recorded:.2f} in as many steps (median)"


def _table(values: dict[str, Any]) -> str:
    shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}
    return "| | |\n|---|---|\n" + "\n".join(f"| {key} | {value} |" for key, value in shown.items())


def write_card_and_plots(folder: Path) -> None:
    """Draws the learning curve, where matplotlib is installed, and writes the card."""
    config, lines = read_config(folder), read_metrics(folder)
    if lines:
        title = f"{config['algorithm']} on {config['task']['name']}, limit {config['cost_limit']:g}, seed {config['seed']}"
        draw_learning_curve(lines, title, folder / "learning_curve.png", config["configuration"].get("delta"))
        findings = read_findings(folder)
        if findings.get("episodes"):
            accuracy = {
                stage: value
                for stage, numbers in _models(lines).items()
                for key, value in numbers.items()
                if key.startswith("left_out_")
            }
            draw_trust(findings, accuracy, title, folder / "trust.png")
    write_card(folder)
