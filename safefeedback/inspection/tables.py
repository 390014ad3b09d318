"""The numbers as a table, each with its meaning for training."""

from __future__ import annotations

from typing import Any

from safefeedback.dataset.history import contradictions
from safefeedback.dataset.stats import percent

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
RARE = 0.05  # share below which a class is too rare to learn
SATURATED = 0.2


def dataset_table(result: dict[str, Any]) -> Table:
    """One column for each split."""
    splits = result["splits"]
    first = next(iter(splits.values()))
    columns = [_dataset_column(numbers) for numbers in splits.values()]
    readings = _dataset_readings(first)
    title = " ".join([result["dataset"], *([f"({result['labels']})"] if result["labels"] else [])])
    rows = [(name, *(column[name] for column in columns), readings.get(name, "")) for name in columns[0]]
    return (title, *splits, "what it means"), rows


def _dataset_column(numbers: dict[str, Any]) -> dict[str, str]:
    safety, preference, conflict = numbers["safety"], numbers["preference"], numbers["conflict"]
    episodes, windows = numbers["episodes"], numbers["windows"]
    column = {
        "pairs": f"{numbers['pairs']:,}",
        "safe segments": percent(safety["segments_safe"]),
        "pairs with 2, 1, 0 safe": ", ".join(
            percent(safety[f"pairs_{name}"]) for name in ("both_safe", "one_safe", "both_unsafe")
        ),
        "unanswered safety, preference": f"{safety['unanswered']:,}, {preference['unanswered']:,}",
        "ties": f"{preference['ties']:,}",
        "segment 1 is preferred": percent(preference["preferred_segment_1"]),
        "preferred is unsafe": percent(conflict["preferred_is_unsafe"]),
        "the one safe is preferred": percent(conflict["safe_one_is_preferred"]),
    }
    if numbers["agreement"] is not None:
        safety_untrue, untrue = (numbers["agreement"][name]["contradict"] for name in ("safety", "preference"))
        column |= {
            "not the truth": contradictions(safety_untrue, untrue),
            "lower cost is preferred": percent(conflict["lower_cost_is_preferred"]),
            "preference agrees with truth": _agreement(numbers["agreement"]["preference"]),
            "safety agrees with truth": _agreement(numbers["agreement"]["safety"]),
            **_margin(numbers["margin"]),
        }
    for entry in numbers["limits"] or []:
        column[f"safe at limit {entry['cost_limit']:g}"] = percent(entry["segments_safe"])
    in_source = f" of {episodes['in_source']:,}" if episodes["in_source"] is not None else ""
    counts = episodes["segments_per_episode"]
    return {
        **column,
        "episodes used": f"{episodes['used']:,}{in_source}",
        "segments an episode": f"{counts['min']} to {counts['max']}, median {counts['median']}",
        "distinct windows": f"{windows['distinct_windows']:,} of {windows['segments']:,}, one {windows['most_used']} times",
        "windows that overlap": percent(windows["overlapping"]),
        "distinct steps": f"{windows['distinct_steps']:,}",
        **_values(numbers),
    }


def _dataset_readings(numbers: dict[str, Any]) -> dict[str, str]:
    windows, length = numbers["windows"], numbers["length"]
    return {
        "safe segments": _balance(numbers["safety"]["segments_safe"]),
        "pairs with 2, 1, 0 safe": "with 0, a preference can only name an unsafe segment",
        "segment 1 is preferred": "if far from 50%, one side is favoured",
        "preferred is unsafe": "what preference alone would teach",
        "the one safe is preferred": "if near 50%, preferences say nothing about safety",
        "lower cost is preferred": "if near 50%, return says nothing of cost; below, they conflict",
        "preference agrees with truth": "the accuracy of a perfect model on these labels",
        "safety agrees with truth": "likewise",
        "margin / RMS, 5% to 95%": "a Boltzmann annotator errs where it is small",
        "near-ties (below 0.1 RMS)": "small changes of the rewards would turn them",
        "distinct steps": f"each is shown {windows['segments'] * length / max(1, windows['distinct_steps']):.1f} times",
        "distinct windows": "the rest are repetitions",
        **_value_readings(numbers),
    }


def recordings_table(result: dict[str, Any]) -> Table:
    """One column."""
    shares = [result["limits"][index]["segments_safe"] for index in range(len(result["limits"]))]
    rows = {
        "task": result["task"],
        "episodes": f"{result['episodes']:,}",
        "steps": f"{result['steps']:,}",
        "episode length": _range(result["episode_length"]),
        "episodes of full length": percent(result["episodes_full_length"]),
        "episodes too short": f"{result['episodes_too_short']:,}",
        "steps after the last end": f"{result['steps_after_last_episode']:,}",
        "episode return": _range(result["episode_return"]),
        "episode cost": _range(result["episode_cost"]),
        **{
            f"safe at limit {entry['cost_limit']:g}": (
                f"{percent(entry['episodes_safe'])} of episodes, {percent(entry['segments_safe'])} of windows"
            )
            for entry in result["limits"]
        },
    }
    jump = result["first_step"]
    if jump is not None:
        rows["first step"] = f"median {jump['median']:.3g} m; no other step beyond {jump['farthest_other']:.3g} m"
    rows |= _values(result)
    readings = {
        "episodes of full length": f"{result['horizon']} steps; the others ended early",
        "episodes too short": f"shorter than a window of {result['length']} steps: never sampled",
        "steps after the last end": "belong to no episode, and are left out" if result["steps_after_last_episode"] else "",
        f"safe at limit {result['limits'][len(shares) // 2]['cost_limit']:g}": _balance(shares[len(shares) // 2]),
        **_value_readings(result),
    }
    if jump is not None and jump["episodes_jumping"]:
        readings["first step"] = f"{percent(jump['episodes_jumping'])} of the episodes begin with an observation from elsewhere"
    return (result["file"], "recordings", "what it means"), [
        (name, text, readings.get(name, "")) for name, text in rows.items()
    ]


def _agreement(numbers: dict[str, Any]) -> str:
    classes = ", ".join(f"{name} {percent(share)}" for name, share in numbers["agree_by_class"].items() if share is not None)
    return f"{percent(numbers['agree'])} ({classes.replace('_', ' ')})"


def _margin(margin: dict[str, Any]) -> dict[str, str]:
    relative = margin["quantiles_relative"]
    return {
        "margin, return": f"median {margin['quantiles']['median']:.4g}, RMS {margin['rms']:.4g}",
        "margin / RMS, 5% to 95%": "-" if relative is None else f"{relative['q05']:.2g} to {relative['q95']:.2g}",
        "near-ties (below 0.1 RMS)": percent(margin["near_ties"]),
    }


def _values(numbers: dict[str, Any]) -> dict[str, str]:
    actions, constant = numbers["actions"], numbers["observations"]["constant_dims"]
    named = numbers["observations"].get("names", [])
    of_action = [f"{name} " for name in actions.get("names", [])] or [""] * len(actions["saturated_by_dim"])
    by_dim = " ".join(f"{name}{100 * share:.0f}" for name, share in zip(of_action, actions["saturated_by_dim"], strict=True))
    return {
        **({"readings": ", ".join(named)} if named else {}),
        "saturated actions": f"{percent(actions['saturated'])} (by dim {by_dim})",
        "actions beyond 1": f"{percent(actions['beyond_one'])}, {min(actions['lowest']):.3g} to {max(actions['highest']):.3g}",
        "constant observations": ", ".join(named[dim] if named else str(dim) for dim in constant) or "none",
        "NaN or infinite values": "none",
    }


def _value_readings(numbers: dict[str, Any]) -> dict[str, str]:
    actions = numbers["actions"]
    many = actions["saturated"] > SATURATED
    return {
        "saturated actions": "above 0.99 in size: " + ("many; unbounded densities pile up there" if many else "few"),
        "actions beyond 1": "the simulator clips them; so must a policy that is compared with them"
        if actions["beyond_one"]
        else "",
        "constant observations": "carry nothing; standardising divides by 0"
        if numbers["observations"]["constant_dims"]
        else "",
        "NaN or infinite values": "a file that holds one is refused",
    }


def _balance(share: float | None) -> str:
    if share is None:
        return "nothing to learn safety from"
    if share < RARE or share > 1 - RARE:
        return f"almost all {'unsafe' if share < RARE else 'safe'}: nothing to learn the difference from"
    return "both classes are there"


def _range(numbers: dict[str, float]) -> str:
    return f"{numbers['min']:.4g} to {numbers['max']:.4g}, median {numbers['median']:.4g}"
