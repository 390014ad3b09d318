"""`safefeedback verify`: no false alarm, and every kind of corruption caught, also from a forger who mends the hashes."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from conftest import run_cli, write_hdf5
from corruptions import (
    CORRUPTIONS,
    LENGTHS,
    edit,
    flipped_label,
    foreign_shard,
    mend,
    other_observation,
    put,
    truncated_shard,
    window_over_a_short_end,
)

import safefeedback
from safefeedback.cli import verify as command
from safefeedback.cli.inspect import inspect
from safefeedback.dataset import card, stats
from safefeedback.dataset.answers import import_answers
from safefeedback.dataset.content import ColumnHashes, content_hash
from safefeedback.dataset.label_sets import relabel
from safefeedback.dataset.reading import open_dataset
from safefeedback.feedback.recipe import Recipe
from safefeedback.files import check_target, file_sha256
from safefeedback.tasks import tasks
from safefeedback.verification.verify import verify

BALL = tasks()["BallCircle"]
LENGTH = 8
ANSWERS = "pair_id,annotator,preference,is_safe_0,is_safe_1\n7,ann,1,1,0\n7,bob,0,1,1\n7,cyd,1,1,\n3,ann,,0,\n3,bob,0.5,0,1\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 40 pairs in two splits with five label sets, its recordings, and a file of advantages."""
    place = tmp_path_factory.mktemp("verify")
    write_hdf5(place / "ball.hdf5", LENGTHS, trailing=3)
    with h5py.File(place / "advantages.hdf5", "w") as file:
        file["advantages"] = np.random.default_rng(1).normal(size=sum(LENGTHS) + 3)
    recipe = Recipe(BALL, pairs=40, length=LENGTH, noise=0.2, preference_noise=0.1, test_fraction=0.3)
    folder, _ = safefeedback.build_dataset(recipe, str(place / "ball.hdf5"), place / "data")
    shutil.copytree(folder, place / "bare")
    relabel(folder, [{"noise": 0.3}], "noisy")
    few = {"cost_limit": 10.0, "filters": ["drop-both-unsafe"], "safety_noise": "panel:consensus=dawid-skene"}
    relabel(folder, [few], "few")
    relabel(folder, [{"teacher": "myopic:gamma=0.5"}], "myopic", place / "ball.hdf5")
    relabel(folder, [{"teacher": "regret:beta=2"}], "regret", place / "ball.hdf5", place / "advantages.hdf5")
    (place / "answers.csv").write_text(ANSWERS)
    import_answers(folder, place / "answers.csv", "people", "dawid-skene", cost_limit=10.0)
    return place


@pytest.fixture
def folder(place: Path, tmp_path: Path) -> Path:
    """A copy of the dataset, to be broken."""
    return shutil.copytree(place / "data", tmp_path / "data")


@pytest.fixture
def bare(place: Path, tmp_path: Path) -> Path:
    """The same without label sets."""
    return shutil.copytree(place / "bare", tmp_path / "bare")


def failed(folder: Path, source: Path | None = None, advantages: Path | None = None) -> dict[str, str]:
    """The problems, by check."""
    return {check.name: "\n".join(check.problems) for check in verify(folder, source, advantages) if check.problems}


def notes(folder: Path, source: Path | None = None, advantages: Path | None = None) -> dict[str, str]:
    return {check.name: check.note for check in verify(folder, source, advantages)}


@pytest.mark.parametrize("corrupt", CORRUPTIONS, ids=lambda corrupt: corrupt.__name__)
def test_a_corruption_is_caught(bare: Path, place: Path, corrupt: Callable[[Path], None]):
    folder = bare
    plain, forged, forged_with_source = (set(names.split()) for names in CORRUPTIONS[corrupt])
    corrupt(folder)
    assert plain <= failed(folder).keys()
    assert plain <= failed(folder, place / "ball.hdf5").keys()
    if corrupt in (truncated_shard, foreign_shard):
        return  # nothing to mend
    mend(folder)
    assert failed(folder).keys() >= forged and bool(failed(folder)) == bool(forged), failed(folder)
    found = failed(folder, place / "ball.hdf5")
    assert found.keys() >= forged_with_source and bool(found) == bool(forged_with_source), found


def test_what_is_wrong_is_said_where_it_is(bare: Path, place: Path):
    folder = bare
    other_observation(folder)
    mend(folder)
    feedback = open_dataset(folder).feedback()
    pair = feedback.pairs.pair_id[~feedback.pairs.test][5]
    assert failed(folder, place / "ball.hdf5") == {"content": f"pairs/train, pair {pair}: observations_1"}
    window_over_a_short_end(folder)
    assert "steps 9 to 16 of episode 2, which is not that long" in failed(folder, place / "ball.hdf5")["rows"]


def test_another_source_file(bare: Path, place: Path, tmp_path: Path):
    other = write_hdf5(tmp_path / "other.hdf5", LENGTHS, seed=1, trailing=3)
    assert failed(bare, other).keys() == {"source"} and "is not the file" in failed(bare, other)["source"]
    with pytest.raises(safefeedback.InputError, match="there is no file"):
        verify(bare, tmp_path / "nowhere.hdf5")


@pytest.mark.parametrize(
    ("where", "change", "check"),
    [
        ("labels/few", lambda made: made["statistics"].update(ties=3), "labels/few"),
        ("labels/few", lambda made: made["recipe"].update(seed=3), "labels/few"),
        ("labels/few", lambda made: made["base"].update(content_sha256="0"), "labels/few"),
        ("labels/myopic", lambda made: made["statistics"].update(preferred_segment_1=0.123), "labels/myopic"),
        ("labels/people", lambda made: made["recipe"].update(consensus="majority"), "labels/people"),
        ("labels/people", lambda made: made["recipe"].update(consensus="x"), "labels/people"),
        ("labels/people", lambda made: made.pop("history"), "labels/people"),
        (".", lambda made: made.pop("history"), "manifest"),
        (".", lambda made: made["history"][0].update(episodes="many"), "manifest"),
        (".", lambda made: made["recipe"].update(pairs="many"), "manifest"),
        (".", lambda made: made["recipe"].update(pairs=40.0), "manifest"),
        (".", lambda made: made["recipe"].update(pairs=10**15), "manifest"),
        (".", lambda made: made["recipe"].update(length=8.0), "manifest"),
        (".", lambda made: made["recipe"].update(length=10**15), "manifest"),
        (".", lambda made: made["recipe"].update(seed=1.5), "manifest"),
        (".", lambda made: made["shape"].update(length=2**70), "manifest"),
        (".", lambda made: [made[key].update(length=10**15) for key in ("recipe", "shape")], "manifest"),
        (".", lambda made: made["files"].update({"../x.parquet": {"bytes": 1, "sha256": ""}}), "manifest"),
        (".", lambda made: made.update(extra=1), "manifest"),
        (".", lambda made: made["statistics"].clear(), "manifest"),
    ],
)
def test_manifests_that_disagree(folder: Path, where: str, change: Callable[[dict[str, Any]], Any], check: str):
    edit(folder / where, change)
    assert check in failed(folder)


def places(value: Any, at: tuple = ()) -> Iterator[tuple]:
    """The path to every value inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield (*at, key)
        yield from places(item, (*at, key))


def test_whatever_is_changed_in_a_manifest_is_caught(bare: Path):
    text, rng = (bare / "recipe.json").read_text(), random.Random(6)
    ways = [way for way in places(json.loads(text)) if way[0] != "not_hashed"]
    for _ in range(40):
        manifest, way = json.loads(text), rng.choice(ways)
        table = manifest
        for key in way[:-1]:
            table = table[key]
        old, new = table[way[-1]], rng.choice([None, "", "x", -1, 10**9, 2**70, 1.5, [], {}, [1], {"a": 1}, True])
        if old == new:
            continue
        table[way[-1]] = new
        (bare / "recipe.json").write_text(json.dumps(manifest))
        if way == ("format_version",) and isinstance(new, int):
            with pytest.raises(safefeedback.InputError, match="format version"):
                verify(bare)
        else:
            assert failed(bare), (way, old, new)


@pytest.mark.parametrize("name", ["few", "people", "noisy", "regret"])
def test_a_changed_label_set_is_caught(folder: Path, place: Path, name: str):
    """Also if its own hashes are repaired; for a teacher that scores single steps this needs the recordings."""
    given = (place / "ball.hdf5", place / "advantages.hdf5")
    file = min((folder / "labels" / name).glob("*.parquet"))
    table = pq.read_table(file)
    column = "preference" if name == "regret" else "is_safe_0"
    changed = put(table, **{column: [None, *table[column][1:]]})
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), file)
    assert f"labels/{name}" in failed(folder, *given) and "files" in failed(folder, *given)

    def mended(made: dict[str, Any]) -> None:
        made["files"][file.name] = {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
        digest = ColumnHashes()
        digest.add(column, changed[column].combine_chunks())
        made["content"]["columns"][f"{file.name.split('-')[0]}/{column}"] = digest.hex()[column]
        made["content"]["sha256"] = content_hash(made["content"]["columns"])
        feedback = open_dataset(folder).feedback(name)
        made["statistics"] = stats.statistics(feedback, len(LENGTHS))

    edit(folder / "labels" / name, mended)
    card.rewrite(open_dataset(folder))
    assert failed(folder, *given).keys() == {f"labels/{name}"}
    assert name == "regret" or failed(folder).keys() == {f"labels/{name}"}


def test_no_false_alarm_whatever_was_done_to_the_folder(folder: Path, place: Path, tmp_path: Path, monkeypatch):
    """load_dataset, inspect with plots, notes below the card, files of git and of the Hub's client."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    assert not failed(folder) and not failed(folder, place / "ball.hdf5", place / "advantages.hdf5")
    assert "every window" in notes(folder, place / "ball.hdf5")["content"] and "not at hand" in notes(folder)["source"]
    assert "--advantages" in notes(folder, place / "ball.hdf5")["labels/regret"]
    assert len(datasets.load_dataset(str(folder), "few", split="train")) > 0
    for name in (".gitattributes", ".git/HEAD", ".cache/huggingface/x", "croissant.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    with open(folder / "README.md", "a") as text:
        text.write("My own notes.\n")
    pytest.importorskip("matplotlib")
    inspect(str(folder))
    inspect(str(folder), labels="few")
    text = (folder / "README.md").read_text()
    assert "(plots/return-cost.png)" in text and "(plots/pairs.png)" in text and text.endswith("My own notes.\n")
    assert not failed(folder) and "later" not in notes(folder)["card"]
    (folder / "plots" / "pairs.png").unlink()
    assert failed(folder).keys() == {"card"}


TEACHERS = (
    "oracle",
    "boltzmann:beta=2",
    "skip:eps_skip=0.5",
    "equal:eps_equal=0.2",
    "myopic:gamma=0.8,beta=1",
    "regret:beta=3",
)
ANNOTATORS = ("none", "none", "rates:miss=0.3", "boundary:scale=1", "panel", "panel:consensus=dawid-skene")
SAMPLERS = ("uniform", "windows", "stratified:safe=0.5", "near-limit", "cover:bins=4")


def random_labelling(rng: np.random.Generator) -> dict[str, Any]:
    filters = [(), (), ("drop-both-unsafe",), ("drop-preferred-unsafe", "drop-both-unsafe")]
    return {
        "cost_limit": float(rng.choice([0.0, 10.0, 20.0, 33.3])),
        "horizon": [40, "task", "longest"][rng.integers(3)],
        "teacher": str(rng.choice(TEACHERS)),
        "safety_noise": str(rng.choice(ANNOTATORS)),
        "noise": float(rng.choice([0.0, 0.1, 0.25])),
        "preference_noise": float(rng.choice([0.0, 0.2])),
        "filters": filters[rng.integers(4)],
        "seed": int(rng.integers(2**40)),
    }


@pytest.mark.parametrize("seed", range(8))
def test_no_false_alarm_about_a_random_recipe(place: Path, tmp_path: Path, seed: int):
    """A dataset and a label set of it, whatever the recipe; verified with and without the recordings."""
    rng, given = np.random.default_rng([3, seed]), (place / "ball.hdf5", place / "advantages.hdf5")
    advantages = file_sha256(given[1])
    for _ in range(100):
        drawn, relabelled = random_labelling(rng), random_labelling(rng)
        shape = {"pairs": int(rng.integers(5, 60)), "length": int(rng.integers(1, 17)), "sampler": str(rng.choice(SAMPLERS))}
        try:
            regret = advantages if drawn["teacher"].startswith("regret") else ""
            recipe = Recipe(BALL, **drawn, **shape, advantages=regret, test_fraction=float(rng.choice([0, 0.4])))
            folder, _ = safefeedback.build_dataset(recipe, str(given[0]), tmp_path / "data", True, advantages=given[1])
            regret = advantages if relabelled["teacher"].startswith("regret") else ""
            relabel(folder, [{**relabelled, "advantages": regret}], "more", *given[:1], given[1] if regret else None)
        except safefeedback.InputError:  # filters that leave nothing, recordings that cannot give what the recipe needs
            shutil.rmtree(tmp_path / "data", ignore_errors=True)
            continue
        break
    assert not failed(folder, *given)
    assert not failed(folder)


def test_what_operating_systems_leave_is_no_foreign_file(bare: Path, tmp_path: Path):
    for name in (
        *(".DS_Store", "Thumbs.db", "pairs/._train-00000-of-00001.parquet", "oracle/desktop.ini", ".directory"),
        *("__MACOSX/pairs/x", ".ipynb_checkpoints/README-checkpoint.md", "pairs/.nfs0000000001", ".Trash-1000/info/a"),
        "labels/@eaDir/recipe.json",
    ):
        (bare / name).parent.mkdir(parents=True, exist_ok=True)
        (bare / name).write_bytes(b"litter")
    assert open_dataset(bare).label_set_names() == []
    assert not {"files", "labels/@eaDir"} & failed(bare).keys()
    (bare / "notes.db").touch()
    assert "notes.db does not belong" in failed(bare)["files"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").touch()
    check_target(tmp_path / "out", overwrite=True)


def test_the_command(bare: Path, place: Path, capsys: pytest.CaptureFixture[str]):
    """One line per check, one at the end, and the exit code; or JSON alone."""
    result = run_cli("verify", bare, "--source", place / "ball.hdf5", cwd=place)
    assert result.returncode == 0 and result.stdout.splitlines()[-1].startswith("ok: ") and result.stderr == ""
    flipped_label(bare)
    result = run_cli("verify", bare, cwd=place)
    last = result.stdout.splitlines()[-1]
    assert result.returncode == 1 and last.startswith("FAILED: files: pairs/train-00000-of-00001.parquet has")
    with pytest.raises(typer.Exit):
        command.verify(bare, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert not printed["ok"] and {check["name"] for check in printed["checks"] if not check["ok"]} >= {"files", "content"}
    for missing, message in ((place / "nowhere", "there is no folder"), (place, "holds no recipe.json")):
        with pytest.raises(safefeedback.InputError, match=message):
            verify(missing)


def test_recordings_are_found_by_their_sha256(tmp_path: Path):
    """The shipped ones need not be named."""
    folder, _ = safefeedback.build_dataset(Recipe(tasks()["BallRun"], pairs=5), "recordings", tmp_path / "data")
    assert "found on this machine" in notes(folder)["source"] and not failed(folder)
    edit(folder, lambda manifest: manifest["source"].update(license="cc0-1.0"))
    card.rewrite(open_dataset(folder))
    assert failed(folder).keys() == {"source"}


# adds and replaces label sets in copies of a folder; each process is killed at its n-th step that changes something on disk
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from safefeedback.dataset.answers import import_answers
from safefeedback.cli.inspect import inspect
from safefeedback.dataset.label_sets import relabel

folder, answers, moments = Path(sys.argv[1]), Path(sys.argv[2]), map(int, sys.argv[3:])
for moment in moments:
    copy = shutil.copytree(folder, folder.with_name(f"killed-{moment}"))
    if os.fork() == 0:
        left = [moment]
        def hook(event, arguments):
            writes = event == "open" and "w" in (arguments[1] or "")
            if (writes or event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir")) and str(copy) in str(arguments[0]):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        relabel(copy, [{"noise": 0.1, "seed": 4}], "noisy", overwrite=True)
        import_answers(copy, answers, "people")
        os._exit(0)
    print(os.wait()[1], end=" ")
"""
MOMENTS = [3, 10, 17, 26, 35, 44]  # of 49


def test_commands_that_are_killed_leave_a_whole_dataset(bare: Path, place: Path, tmp_path: Path):
    """With or without the label set, and the next command repairs everything."""
    relabel(bare, [{"noise": 0.1}], "noisy")
    words = [str(bare), str(place / "answers.csv"), *map(str, MOMENTS)]
    result = subprocess.run([sys.executable, "-c", KILLED, *words], capture_output=True, text=True, check=False)
    assert result.stdout.split() == ["9"] * len(MOMENTS), result.stderr
    for moment in MOMENTS:
        killed = tmp_path / f"killed-{moment}"
        assert not failed(killed), moment
        relabel(killed, [{"noise": 0.1}], "noisy", overwrite=True)
        assert not [check for check in verify(killed) if check.problems or "later" in check.note]
        assert not list((killed / "labels").glob(".noisy*"))
