"""A trained policy, published and played by whoever fetches it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hub_server import Hub

pytest.importorskip("torch")

from feedback_cases import write_dataset

from presa.cli import main
from presa.data.limits import load_limits
from presa.data.pairs import load_data
from presa.rollouts.policy import local_path
from presa.runs.release import run_release
from safefeedback import simulators as simulator
from safefeedback.dataset.label_sets import relabel
from safefeedback.errors import InputError
from safefeedback.inspection.dataset import inspect_dataset
from safefeedback.publish.collection import collection_release
from safefeedback.publish.dataset import dataset_release
from safefeedback.publish.push import publish
from safefeedback.tasks import find_task


def presa(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_a_policy_is_published_with_its_numbers_and_evaluated_from_there(
    hub: Hub, online: list[float], ball_file: Path, tmp_path: Path, capsys
):
    if (reason := simulator.can_simulate(find_task("BallCircle"))) is not None:
        pytest.skip(reason)
    data, run = write_dataset(tmp_path / "data", ball_file), tmp_path / "run"
    words = ("--steps", 6, "--bc-steps", 2, "--set", "hidden=8", "--set", "batch_size=4", "--device", "cpu", "--out", run)
    assert presa("train", data, *words) == 0
    with pytest.raises(InputError, match="is not a run"):
        run_release(tmp_path, "user/run")
    assert presa("evaluate", run, "--episodes", 1, "--processes", 1, "--json") == 0
    here = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert presa("publish", run, "user/run", "--public") == 0
    assert "published user/run v1.0.0 (public)" in capsys.readouterr().out
    files = hub.repos["model", "user/run"].commits[-1][1]
    assert {"policy.safetensors", "config.json", "metrics.jsonl", "evaluation.json", "README.md"} <= set(files)
    assert (
        not any("checkpoint" in path for path in files)
        and files["policy.safetensors"] == (run / "policy.safetensors").read_bytes()
    )
    card = files["README.md"].decode()
    values = yaml.safe_load(card.split("---\n")[1])
    (result,) = values["model-index"][0]["results"]
    told = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert told["return"] == here["summary"]["return"] and told["cost"] == here["summary"]["cost"]
    assert presa("evaluate", "user/run@v1.0.0", "--episodes", 1, "--processes", 1, "--json") == 0
    there = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert there["rows"] == here["rows"]
    assert not list((tmp_path / "cache").rglob("evaluation.json"))  # the cache is not written into
    assert publish(run_release(run, "user/run"), "user/run")["sent"] == {}
    (run / "evaluation.json").unlink()  # as in a newly trained run
    assert publish(run_release(run, "user/run"), "user/run")["removed"] == ["evaluation.json"]
    hub.put("model", "user/other", {"config.json": b'{"model_type": "bert"}'})
    with pytest.raises(InputError, match=r"its config\.json is not of presa"):
        publish(run_release(run, "user/other"), "user/other")
    with pytest.raises(InputError, match="user/none is no run here and cannot be fetched"):
        local_path("user/none")


def test_published_datasets_are_read_as_the_folder_is(hub: Hub, online: list[float], ball_file: Path, tmp_path: Path):
    data = write_dataset(tmp_path / "many" / "BallCircle", ball_file)
    relabel(data, [{"noise": 0.5}], "noisy")
    publish(dataset_release(data, "user/ball"), "user/ball")
    publish(collection_release(data.parent, "user/many"), "user/many")
    here, (numbers, _) = load_data(data, "noisy"), inspect_dataset(data, None, lambda done, total: None)
    for source in ("user/ball@v1.0.0", "user/many/BallCircle", "user/many/BallCircle@v1.0.0"):
        there, (theirs, _) = load_data(source, "noisy"), inspect_dataset(source, None, lambda done, total: None)
        assert there.identity == here.identity and there.train.observations.equal(here.train.observations)
        assert {**theirs, "dataset": ""} == {**numbers, "dataset": ""}
    with pytest.raises(InputError, match=r"user/ball@v9 is not a folder here and cannot be fetched .* no such revision"):
        load_data("user/ball@v9")


def test_a_push_meanwhile_does_not_mix_two_versions(hub: Hub, online: list[float], ball_file: Path, tmp_path: Path):
    """A repository is resolved once, to one commit, however often a training at three limits reads it."""
    first, second = (write_dataset(tmp_path / str(seed), ball_file, seed=seed) for seed in (1, 2))
    for folder, repo in ((first, "user/ball"), (second, "user/later")):
        relabel(folder, [{"cost_limit": 70.0}])
        publish(dataset_release(folder, repo), repo)
    later = hub.repos["dataset", "user/later"].commits[-1][1]
    begun, pushed = len(hub.log), []

    def push(index: int) -> None:
        if index == begun + 1:  # the first request was answered
            pushed.append(hub.repos["dataset", "user/ball"].commit(later, "v2.0.0: meanwhile"))

    hub.on_request = push
    there, here = load_limits("user/ball", (10, 20, 70)), load_limits(first, (10, 20, 70))
    assert len(pushed) == 1 and [one.identity for one in there] == [one.identity for one in here]
    (commit,) = {sha for sha, files, _ in hub.repos["dataset", "user/ball"].commits[:-1] if "recipe.json" in files}
    unpinned = [line for line in hub.log[begun:] if "/user/ball" in line and commit not in line]
    assert len(unpinned) == 1, unpinned
    hub.on_request = None
    now = load_data("user/ball").identity
    assert now["content_sha256"] == load_data(second).identity["content_sha256"] != here[0].identity["content_sha256"]
