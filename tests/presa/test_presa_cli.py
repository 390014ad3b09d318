"""The command line from recordings to an evaluated policy, and its messages when something is wrong."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from safefeedback import simulators as simulator
from safefeedback.imports import install_command
from safefeedback.tasks import find_task

pytest.importorskip("torch")

from feedback_cases import TINY_WORDS, presa, write_dataset

SHARED = Path(__file__).parents[3] / "shared" / "data" / "rollouts"

NOBODY = ["--policy", "a:b", "--task", "BallRun"]


@pytest.fixture
def folder(tmp_path: Path, ball_file: Path) -> Path:
    return write_dataset(tmp_path / "data", ball_file)


def command(*words: object, capsys: pytest.CaptureFixture) -> tuple[int, str, str]:
    """`presa` in this process: exit code, stdout, stderr."""
    from presa.cli import main

    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    printed = capsys.readouterr()
    return caught.value.code or 0, printed.out, printed.err  # type: ignore[return-value]


def test_training_on_a_folder_imports_torch_and_nothing_else_that_is_slow(folder: Path, tmp_path: Path) -> None:
    """A person waits for these imports before the first step."""
    words = [str(word) for word in ("train", folder, *TINY_WORDS, "--out", tmp_path / "run")]
    code = (
        "import sys, contextlib\nfrom presa.cli import main\n"
        f"with contextlib.suppress(SystemExit): main({words!r})\nprint(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    seen = {name.partition(".")[0] for name in result.stdout.split()}
    assert (tmp_path / "run" / "policy.safetensors").is_file() and "torch" in seen
    assert not {"datasets", "pandas", "httpx", "httpx2", "gymnasium", "pybullet", "mujoco", "metadrive", "tensorboard"} & seen


def test_help_loads_neither_torch_nor_a_simulator_and_tells_every_algorithm(tmp_path: Path) -> None:
    code = (
        "import sys, contextlib\nfrom presa.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "with contextlib.suppress(SystemExit): main(['train', '--help'])\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'datasets', 'gymnasium', 'pybullet', 'matplotlib'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]" and "--bc-steps" in done.stdout
    from presa.algorithms import ALGORITHMS
    from presa.cli.app import ALGORITHM_HELP

    assert re.findall(r"[a-z-]+", ALGORITHM_HELP)[: len(ALGORITHMS)] == list(ALGORITHMS)


def test_an_algorithm_that_is_added_stands_in_the_help_and_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import reload

    import presa.cli.app as app
    from presa.algorithms import find_algorithm
    from presa.algorithms.base import Algorithm, Training
    from presa.choices import ALGORITHMS

    assert Training is Algorithm  # the name in earlier versions
    monkeypatch.setitem(ALGORITHMS, "one-more", "presa.algorithms.safety:Safety")
    try:
        assert "one-more" in reload(app).ALGORITHM_HELP and find_algorithm("one-more") is find_algorithm("safety")
    finally:
        monkeypatch.undo()
        reload(app)


def test_loading_and_evaluating_need_no_torch(tmp_path: Path) -> None:
    modules = "presa, presa.rollouts.evaluate, presa.rollouts.play, presa.runs.card"
    code = f"import sys, {modules}\npresa.load\nprint('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_from_recordings_to_a_judged_policy(tmp_path: Path) -> None:
    recordings = SHARED / "SafetyBallCircle-v0-80-800.hdf5"
    if not recordings.is_file():
        pytest.skip("the recordings are not beside this checkout")
    if (reason := simulator.can_simulate(find_task("BallCircle"))) is not None:
        pytest.skip(reason)
    words = ["--task", "BallCircle", "--source", str(recordings), "--pairs", "200", "--test-fraction", "0.2", "--out", "data"]
    subprocess.run([sys.executable, "-m", "safefeedback", "build", *words], cwd=tmp_path, check=True, capture_output=True)
    arguments = [
        "train",
        "data",
        "--out",
        "run",
        *TINY_WORDS,
        "--evaluate-every",
        20,
        "--evaluate-episodes",
        1,
        "--set",
        "selection=best",
    ]
    trained = presa(*arguments, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "presa, 60 steps" in trained.stdout and "presa evaluate run" in trained.stdout
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60]
    assert all(line["evaluated_cost"] >= 0 for line in lines[1:])
    judged = presa("evaluate", "run", "--episodes", 2, "--video", "film.gif", "--video-episodes", 1, "--json", cwd=tmp_path)
    assert judged.returncode == 0, judged.stderr
    result = json.loads(judged.stdout)
    assert result == json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert result["summary"]["algorithm"] == "presa" and result["summary"]["cost_limit"] == 20
    words = ("evaluate", "run", "--episodes", 2, "--cost-limit", 10, "--json")
    other = json.loads(presa(*words, cwd=tmp_path, fresh=True).stdout)  # in its own process, as a person starts it
    assert [r["cost"] for r in other["rows"]] == [r["cost"] for r in result["rows"]] and other["summary"]["cost_limit"] == 10
    assert (tmp_path / "film.gif").read_bytes()[:4] == b"GIF8"
    card = (tmp_path / "run" / "README.md").read_text()
    assert "2 episodes in the simulator" in card and "lambda_scale" in card
    again = "presa train DATASET --algorithm presa --pairs 160 --seed 0 --set steps=60 --set batch_size=8 --set hidden=16,16"
    assert f"{again} --set selection=best --set bc_steps=20\n" in card
    left = {path.name for path in (tmp_path / "run").iterdir()} - {"learning_curve.png", "best.safetensors"}
    assert left == {
        "config.json",
        "metrics.jsonl",
        "checkpoints",
        "reference.safetensors",
        "policy.safetensors",
        "README.md",
        "evaluation.json",
    }


def test_the_algorithms_with_trajectories_and_the_same_command_again(
    folder: Path, ball_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path))
    words = ["train", "data", "--steps", 20, "--set", "hidden=8", "--set", "batch_size=2", "--device", "cpu", "--out", "run"]
    words += ["--algorithm", "bc-safe"]
    code, _, error = command(*words, capsys=capsys)
    assert code == 2 and "--trajectories FILE" in error and len(error.splitlines()) == 1
    words += ["--trajectories", ball_file]
    assert command(*words, capsys=capsys)[0] == 0
    assert "finished already" in command(*words, capsys=capsys)[1]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["trajectories_sha256"] == config["data"]["source_sha256"]
    assert config["configuration"]["hidden"] == [8] and config["versions"]["torch"]


def test_precision_auto_stores_what_it_took_and_a_run_resumed_elsewhere_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    words = ["train", folder, *TINY_WORDS, "--out", tmp_path / "run", "--precision", "auto"]
    monkeypatch.setattr("presa.networks.backprop.has_bf16", lambda device: False)
    code, told, _ = command(*words, capsys=capsys)
    assert code == 0 and "note: --precision auto takes fp32 here" in told
    assert json.loads((tmp_path / "run" / "config.json").read_text())["configuration"]["precision"] == "fp32"
    monkeypatch.setattr("presa.networks.backprop.has_bf16", lambda device: True)
    code, _, error = command(*words, capsys=capsys)
    assert code == 2 and "holds another run (configuration.precision is fp32, not bf16)" in error
    (tmp_path / "choiceless.py").write_text(
        "from presa.algorithms.cloning import BCSafeSeg\nclass Mine(BCSafeSeg):\n    choices = {'schedule': ('flat',)}\n"
    )
    monkeypatch.chdir(tmp_path)
    own = ["train", folder, "--algorithm", "choiceless:Mine", "--steps", 2, "--precision", "auto", "--out", tmp_path / "own"]
    code, told, error = command(*own, capsys=capsys)
    assert code == 0 and "note: --precision auto takes fp32 here" in told, error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "nowhere"], "there is no folder nowhere"),
        (["train", "data", "--algorithm", "presto"], "there is no algorithm 'presto'"),
        (["train", "data", "--preset", "paper"], "there is no preset 'paper'"),
        (["train", "data", "--set", "eta_=1"], "no setting 'eta_': did you mean eta?"),
        (["train", "data", "--set", "eta"], "--set takes NAME=VALUE"),
        (["train", "data", "--labels", "mine"], "no label set 'mine'"),
        (["train", "data", "--pairs", "0"], "--pairs must lie between 1 and"),
        (["train", "data", "--seed", "-1"], "--seed must be 0 or more"),
        (["train", "data", "--algorithm", "bc-safe-seg", "--unlabelled", "own"], "bc-safe-seg clones none of them"),
        (["train", "data", "--unlabelled", "own", "--set", "cloning=segments"], "presa with cloning=segments clones none"),
        (["train", "data", "--precision", "fp16"], "precision must be fp32 or bf16"),
        (["train", "data", "--precision", "bf16", "--algorithm", "cdt"], "precision bf16 is for policies that are a tanh MLP"),
        (["train", "data", "--seeds", "0"], "--seeds must be at least 1"),
        (["train", "data", "--cost-limits", "10,x"], "--cost-limits takes numbers with commas"),
        (["train", "data", "--cost-limits", "10,10"], "--cost-limits takes different numbers, 0 or more"),
        (["train", "data", "--cost-limits", "nan"], "--cost-limits takes different numbers, 0 or more"),
        (["train", "data", "--report-every", "0"], "--report-every must be at least 1"),
        (["train", "data", "--trajectories", "x.hdf5"], "--trajectories is for algorithms that need"),
        (["train", "data", "--set", "selection=best"], "give --evaluate-every as well"),
        (["train", "data", "--device", "moon"], "--device moon cannot be used here"),
        (["evaluate"], "give either the folder of a run, or --policy"),
        (["evaluate", "--policy", "a:b"], "--policy needs --task"),
        (["evaluate", "data"], "holds no policy"),
        (["evaluate", *NOBODY, "--video", "film.avi"], "--video must end with .gif or .mp4"),
        (["evaluate", *NOBODY, "--video", "film.gif", "--video-episodes", "0"], "--video-episodes must be at least 1"),
        (["evaluate", *NOBODY, "--video", "nowhere/film.gif"], "nowhere/film.gif cannot be written"),
        *((["evaluate", *NOBODY, "--cost-limit", limit], "--cost-limit must be") for limit in ("inf", "nan", "-1")),
        (["evaluate", "--policy", "a:b", "--task", "BallRum"], "did you mean BallRun?"),
    ],
)
def test_one_line_and_code_2(
    words: list[str], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(folder.parent)
    code, _, error = command(*words, capsys=capsys)
    assert code == 2 and message in error
    assert len(error.splitlines()) == 1 and error.startswith("error: ")


def test_a_film_that_cannot_be_written_is_refused_before_the_episodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Because the package is missing, or because it has no writer of H.264."""
    av = pytest.importorskip("av")

    def fail(*_: object, **__: object) -> None:
        raise av.codec.codec.UnknownCodecError("libx264")

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as without:
        without.setattr(av, "open", fail)
        code, _, error = command("evaluate", *NOBODY, "--video", "x.mp4", capsys=capsys)
    assert code == 2 and error == "error: x.mp4 cannot be written: libx264\n"
    monkeypatch.setattr("safefeedback.imports.find_spec", lambda name: None)
    code, _, error = command("evaluate", *NOBODY, "--video", "x.mp4", capsys=capsys)
    assert code == 2 and error == f"error: a film as MP4 needs av: {install_command('video')}\n"
    assert list(tmp_path.iterdir()) == []


DAMAGED = {  # file -> contents that it cannot have; a run's folder is copied about, cut off, and mixed up with others'
    "config.json": (b"", b"{", b"[1]", b"\xff\xfe{\x00", b'{"architectures": ["LlamaForCausalLM"]}'),
    "evaluation.json": (
        b"",
        b"[1]",
        b"\xff\xfe{\x00",
        b'{"rows": [], "summary": {}}',
        b'{"rows": [{"task": "x"}], "summary": {}}',
    ),
    "metrics.jsonl": (b"[1]}\n", b"\xff\xfe{\x00}\n", b'{"a": 1}\n', b'{"stage": }\n'),
    "policy.safetensors": (b"", b"version https://git-lfs.github.com/spec/v1\n", b"\x08" + bytes(7) + b"{}      "),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_of_a_run_are_one_line_with_their_name(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    shutil.copytree(Path(__file__).parents[1] / "data" / "e5be358" / "run", tmp_path / "runs" / "good")
    run = shutil.copytree(tmp_path / "runs" / "good", tmp_path / "runs" / "bad")
    monkeypatch.chdir(tmp_path)
    for content in DAMAGED[name]:
        (run / name).write_bytes(content)
        answers = {words[0]: command(*words, capsys=capsys) for words in (
            ("publish", run, "user/x", "--dry-run"), ("report", run), ("evaluate", run, "--episodes", 1),
        )}  # fmt: skip
        if name == "config.json":
            answers.pop("evaluate")  # it needs the policy alone
        for code, _, error in answers.values():
            assert "Traceback" not in error and (code != 2 or (len(error.splitlines()) == 1 and "bad" in error)), (
                content,
                error,
            )
        told = [code for code, _, error in answers.values() if code == 2]
        assert told or name == "metrics.jsonl", (content, answers)
        code, listed, error = command("runs", "runs", capsys=capsys)
        assert code == 0 and "good" in listed and "bad" in listed, (content, error)


def test_the_default_name_is_of_the_folder_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(folder)
    words = ["--algorithm", "bc-safe-seg", "--steps", 2, "--set", "hidden=8", "--device", "cpu"]
    assert command("train", ".", *words, capsys=capsys)[0] == 0
    assert (folder / "data-bc-safe-seg-seed0" / "policy.safetensors").is_file()


def test_a_tracker_that_is_missing_is_one_line_and_nothing_is_begun(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("safefeedback.imports.find_spec", lambda name: None if name == "tensorboard" else True)
    code, _, error = command("train", folder, *TINY_WORDS, "--tensorboard", "--out", tmp_path / "run", capsys=capsys)
    assert code == 2 and "--tensorboard needs tensorboard: " in error and not (tmp_path / "run").exists()


def test_an_interruption_says_how_to_go_on(folder: Path, tmp_path: Path) -> None:
    words = [
        "train",
        folder,
        "--algorithm",
        "safety",
        "--steps",
        "1000000",
        "--bc-steps",
        "0",
        "--set",
        "hidden=8",
        "--out",
        "run",
    ]
    running = subprocess.Popen(
        [sys.executable, "-m", "presa", *map(str, words), "--report-every", "10", "--checkpoint-every", "20"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    for _ in range(3):
        running.stdout.readline()
    running.send_signal(signal.SIGTERM)
    _, error = running.communicate(timeout=60)
    last = max((tmp_path / "run" / "checkpoints").iterdir()).stem.partition("-")[2]
    assert running.returncode == 130 and len(error.splitlines()) == 1
    assert error == f"error: interrupted; the same command goes on from the checkpoint of step {int(last):,}\n"


def test_what_is_said_of_interrupted_runs(tmp_path: Path) -> None:
    from presa.runs.display import estimate, interruption_message

    runs = [tmp_path / name for name in "ab"]
    assert interruption_message(runs) == "interrupted; 0 of 2 runs are finished; nothing was begun"
    for run in runs:
        (run / "checkpoints").mkdir(parents=True)
        (run / "config.json").touch()
    assert "there is no checkpoint yet, so the same command begins anew" in interruption_message(runs[:1])
    (runs[0] / "checkpoints" / "step-000001200.safetensors").touch()
    (runs[1] / "checkpoints" / "step-000000007.safetensors").touch()
    assert interruption_message(runs) == (
        "interrupted; 0 of 2 runs are finished; the same command goes on from their checkpoints of step 7 to 1,200"
    )
    for run in runs:
        (run / "policy.safetensors").touch()
    assert interruption_message(runs) == "interrupted, but the training is finished"
    assert estimate(90_000, 100.0, "cpu") == "about 15 minutes to go on cpu: 90,000 steps at 100 a second"
    assert estimate(10, 100.0, "cuda").startswith("about 1 seconds") and "25 hours" in estimate(9_000_000, 100.0, "cpu")


def test_the_bar_moves_with_every_step_and_the_total_is_known_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from presa.runs import display
    from safefeedback.terminal import Progress

    class Bar(Progress):
        def __call__(self, done: int, total: int | None, doing: str | None = None) -> None:
            seen.append((done, total))

        def say(self, text: str) -> None:
            said.append(text)

    seen: list[tuple[int, int | None]] = []
    said: list[str] = []
    clock = iter(range(100, 1000))
    monkeypatch.setattr(display.time, "perf_counter", lambda: next(clock))
    runs = {tmp_path / name: lambda line: None for name in "ab"}
    watch = display.TrainingDisplay(runs, 100, Bar("training"), quiet=False)
    assert seen == [(0, 200)]
    for done in (41, 42, 43, 44):  # it continued from step 40: earlier steps do not count for the speed
        watch.step(tmp_path / "a", done)
    assert seen[1:] == [(41, 200), (42, 200), (43, 200), (44, 200)]
    assert said == ["at most about 3 minutes to go on cpu: 156 steps at 1 a second"]
