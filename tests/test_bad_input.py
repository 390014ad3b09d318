"""Every kind of bad input ends in one clear line, exit code 2, and nothing left behind."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import run_cli, write_hdf5

from safefeedback.cli import main
from safefeedback.files import new_folder, replacing

STEPS = 1737  # of the small file
MAZE = 'name = "Maze"\ndomain = "Mine"\nobservation_dim = 8\naction_dim = 2\nhorizon = 200\ncost_limits = [5, 10]\n'


def refused(capsys, *words: object) -> str:
    """The one line with which the command line refuses."""
    with pytest.raises(SystemExit) as ended:
        main(["build", "--task", "BallCircle", "--pairs", "20", *map(str, words)])
    printed = capsys.readouterr()
    assert ended.value.code == 2 and printed.out == "", printed
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), printed.err
    return lines[0]


def column(value: float, row: int = 7) -> np.ndarray:
    values = np.zeros(STEPS, np.float32)
    values[row] = value
    return values


def table(value: float, dims: int = 8) -> np.ndarray:
    values = np.zeros((STEPS, dims), np.float32)
    values[1000, 3 % dims] = value
    return values


DATASETS: list[tuple[dict, str]] = [
    ({"observations": None}, "the key 'observations' is missing"),
    ({"actions": None}, "the key 'actions' is missing"),
    ({"rewards": None}, "the key 'rewards' is missing"),
    ({"costs": None}, "the key 'costs' is missing"),
    ({"terminals": None}, "the key 'terminals' is missing"),
    ({"timeouts": None}, "the key 'timeouts' is missing"),
    ({"rewards": np.zeros(STEPS - 1)}, "rewards has 1736 steps but observations has 1737"),
    ({"actions": np.zeros((5, 2))}, "actions has 5 steps but observations has 1737"),
    ({"timeouts": np.ones(3, bool), "terminals": np.zeros(3, bool)}, "terminals has 3 steps but observations has 1737"),
    ({"timeouts": np.ones(STEPS + 1, bool)}, "timeouts has 1738 steps but observations has 1737"),
    ({"observations": table(np.nan)}, "observations is NaN, infinite or too large for float32 at step 1000"),
    ({"observations": table(np.inf)}, "observations is NaN, infinite or too large for float32 at step 1000"),
    ({"observations": table(0).astype(np.float64) + 1e300}, "observations is NaN, infinite or too large for float32 at step 0"),
    ({"actions": table(-np.inf, 2)}, "actions is NaN, infinite or too large for float32 at step 1000"),
    ({"rewards": column(np.nan)}, "rewards is NaN, infinite or too large for float64 at step 7"),
    ({"costs": column(np.nan)}, "costs is NaN, infinite or too large for float64 at step 7"),
    ({"costs": column(-1)}, "costs is negative at step 7 (-1)"),
    ({"observations": table(0, 9)}, "observations has shape (1737, 9) but the task needs (steps, 8)"),
    ({"actions": np.zeros(STEPS)}, "actions has shape (1737,) but the task needs (steps, 2)"),
    ({"rewards": np.zeros((STEPS, 2))}, "rewards has shape (1737, 2) but must be (steps,) or (steps, 1)"),
    ({"rewards": np.zeros((STEPS, 1, 1))}, "rewards has shape (1737, 1, 1) but must be"),
    ({"rewards": 3.0}, "rewards has shape () but must be"),
    ({"timeouts": np.zeros(STEPS, bool)}, "no episode ends"),
    ({"timeouts": np.full(STEPS, 2.0)}, "timeouts holds 2 at step 0; it must be true or false"),
    ({"rewards": np.full(STEPS, b"x")}, "rewards is not an array of numbers"),
    ({"costs": h5py.Empty("f4")}, "costs is not an array of numbers"),
    ({"observations": h5py.SoftLink("/actions")}, "observations is a link to elsewhere"),
    ({"rewards": h5py.ExternalLink("other.hdf5", "rewards")}, "rewards is a link to elsewhere"),
    ({"observations": np.zeros((0, 8))}, "actions has 1737 steps but observations has 0"),
]


@pytest.mark.parametrize(("values", "message"), DATASETS)
def test_broken_datasets(values: dict, message: str, edit_hdf5: Callable[..., Path], capsys, tmp_path: Path):
    path = edit_hdf5(**values)
    line = refused(capsys, "--source", path, "--out", tmp_path / "out")
    assert message in line and str(path) in line
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["ball.hdf5"]


def group(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["costs"]
        file.create_group("costs")


def external(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["costs"]
        file.create_dataset("costs", (STEPS,), "f4", external=[(str(path.with_name("raw")), 0, STEPS * 4)])
    path.with_name("raw").write_bytes(bytes(STEPS * 4))


def virtual(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["costs"]
        layout = h5py.VirtualLayout((STEPS,), "f4")
        layout[:] = h5py.VirtualSource(str(path), "rewards", (STEPS,))
        file.create_virtual_dataset("costs", layout)


def bomb(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["observations"]
        file.create_dataset("observations", (10**10, 8), "f4", chunks=(1024, 8), compression="gzip")


def empty_dataset(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        for key in list(file):
            shape = (0, *file[key].shape[1:])
            dtype = file[key].dtype
            del file[key]
            file[key] = np.zeros(shape, dtype)


def corrupt(path: Path) -> None:
    with h5py.File(path) as file:
        info = file["observations"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[info.byte_offset : info.byte_offset + info.size] = bytes(info.size)
    path.write_bytes(content)


FILES: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: path.write_bytes(path.read_bytes()[:20_000]), "cannot be read as HDF5"),
    (lambda path: path.write_bytes(b""), "(file signature not found); it is empty"),
    (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        "it is a pointer of Git LFS: `git lfs pull`",
    ),
    (lambda path: path.write_text("\n<!DOCTYPE html><html>"), "it is a web page: the download failed"),
    (lambda path: path.write_bytes(gzip.compress(path.read_bytes())), "it is packed with gzip: unpack it first"),
    (lambda path: path.write_text("observations,actions\n"), "cannot be read as HDF5"),
    (lambda path: path.unlink(), "there is no file"),
    (lambda path: (path.unlink(), path.mkdir()), "is a folder; give the HDF5 file itself"),
    (group, "costs is not an array of numbers"),
    (external, "costs keeps its data in another file"),
    (virtual, "costs keeps its data in another file"),
    (bomb, "declares 320,000,000,000 bytes but stores only 0"),
    (empty_dataset, "no episode ends"),
    (corrupt, "cannot be read as HDF5"),
]


@pytest.mark.parametrize(("damage", "message"), FILES)
def test_broken_files(damage: Callable, message: str, ball_file: Path, capsys, tmp_path: Path):
    damage(ball_file)
    line = refused(capsys, "--source", ball_file, "--out", tmp_path / "out")
    assert message in line and str(ball_file) in line
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))


ARGUMENTS: list[tuple[tuple[object, ...], str]] = [
    (("--task", "BallCirlce"), "there is no task 'BallCirlce': did you mean BallCircle?"),
    (("--task", "none.toml"), "task file none.toml cannot be read"),
    (("--task", "DroneCircle"), "observations has shape (1737, 8) but the task needs (steps, 18)"),
    (("--pairs", 0), "--pairs must be at least 1, not 0"),
    (("--pairs", -5), "--pairs must be at least 1, not -5"),
    (("--pairs", "many"), "'--pairs'"),
    (("--pairs", 10**9), "1,000,000,000 pairs of 64 steps asked for in the train split, but there are only"),
    (("--pairs", 10**21), "different pairs: ask for fewer pairs or shorter segments"),
    (("--length", 0), "--length must be at least 1, not 0"),
    (("--length", 201), "no episode has 201 steps; the longest of 12 has 200"),
    (("--cost-limit", -1), "--cost-limit must be 0 or a positive number"),
    (("--cost-limit", "nan"), "--cost-limit must be 0 or a positive number"),
    (("--cost-limit", "inf"), "--cost-limit must be 0 or a positive number"),
    (("--horizon", "0"), "--horizon must be task, longest or a positive number of steps"),
    (("--horizon", "²"), "--horizon must be task, longest or a positive number of steps"),
    (("--horizon", "9" * 5000), "--horizon must be task, longest or a positive number of steps"),
    (("--horizon", 10**11), "--horizon must be task, longest or a positive number of steps"),
    (("--cost-limit", 1e308), "--cost-limit must be 0 or a positive number"),
    (("--pairs", 3, "--test-fraction", 0.2), "of 3 pairs leaves the test split without a pair"),
    (("--pairs", 10**6, "--test-fraction", 0.5), "500,000 pairs of 64 steps asked for in the test split, but"),
    (("--source", "dsrl", "--task", "maze.toml"), "Maze is not one of DSRL's tasks"),
    (("--out", "a[0]"), "which load_dataset takes for a pattern"),
    (("--horizon", "short"), "--horizon must be task, longest or a positive number of steps"),
    (("--horizon", "-3"), "--horizon must be task, longest or a positive number of steps"),
    (("--noise", 1.1), "--noise must lie in [0, 1], not 1.1"),
    (("--noise", -0.1), "--noise must lie in [0, 1], not -0.1"),
    (("--noise", "nan"), "--noise must lie in [0, 1], not nan"),
    (("--preference-noise", 2), "--preference-noise must lie in [0, 1], not 2.0"),
    (("--filter", "drop-all"), "there is no filter 'drop-all': choose from drop-both-unsafe, drop-preferred-unsafe"),
    (("--filter", "drop-both-unsafe", "--filter", "drop-both-unsafe"), "a --filter is given twice"),
    (("--test-fraction", 1), "--test-fraction must be at least 0 and less than 1"),
    (("--test-fraction", 0.01), "leaves one split without an episode"),
    (("--seed", -1), "--seed must lie between 0 and 2^63 - 1"),
    (("--citation", "none.bib"), "none.bib cannot be read"),
    (("--frobnicate",), "No such option: --frobnicate"),
    (("extra",), "unexpected extra argument"),
    (("--out", "taken/file"), "taken: File exists"),
    (("--out", "taken"), "taken exists and is not a folder"),
    (("--out", "mine"), "mine exists already: add --overwrite"),
    (("--out", "mine", "--overwrite"), "mine is not a dataset of safefeedback and will not be overwritten"),
]


@pytest.mark.parametrize(("words", "message"), ARGUMENTS)
def test_broken_arguments(words: tuple, message: str, ball_file: Path, capsys, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "mine").mkdir()
    (tmp_path / "maze.toml").write_text(MAZE)
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    source = () if "--source" in words else ("--source", ball_file)
    assert message in refused(capsys, *source, *words)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_nothing_left_by_the_filters(edit_hdf5, capsys, tmp_path: Path):
    path = edit_hdf5(costs=np.ones(STEPS))
    line = refused(capsys, "--source", path, "--filter", "drop-both-unsafe", "--out", tmp_path / "out")
    assert "leave a split without any pair" in line and not (tmp_path / "out").exists()


def test_no_network_ends_in_one_line_within_seconds(tmp_path: Path):
    for env in ({"HF_HUB_OFFLINE": "1"}, {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}):
        started = time.monotonic()
        env = {**env, "DSRL_DATASET_DIR": str(tmp_path / "dsrl"), "HF_HOME": str(tmp_path / "hf")}
        result = run_cli("build", "--task", "CarButton1", "--source", "dsrl", cwd=tmp_path, env=env)
        assert result.returncode == 2 and time.monotonic() - started < 20
        (line,) = result.stderr.strip().splitlines()
        assert "HF_ENDPOINT" in line and "SafetyCarButton1Gymnasium-v0-250-2656.hdf5" in line and "--source PATH" in line
        assert not (tmp_path / "hf").exists() or not list((tmp_path / "hf").rglob("*.hdf5"))


def test_an_address_of_the_hub_that_is_none_is_named(tmp_path: Path):
    env = {"HF_ENDPOINT": "http://127.0.0.1:port"}
    result = run_cli("verify", "somebody/data", cwd=tmp_path, env=env)
    (line,) = result.stderr.strip().splitlines()
    assert result.returncode == 2 and line.startswith("error: HF_ENDPOINT is not a web address (Port could not be cast")
    assert run_cli("tasks", cwd=tmp_path, env=env).returncode == 0  # which needs no network


def test_sums_that_overflow_are_refused(edit_hdf5, capsys, tmp_path: Path):
    for key in ("rewards", "costs"):
        path = edit_hdf5(**{"rewards": np.ones(STEPS), key: np.full(STEPS, 1e308)})
        assert "are so large that the sum over a segment is infinite" in refused(capsys, "--source", path)


def test_a_filter_may_not_empty_the_test_split(edit_hdf5, capsys, tmp_path: Path):
    costs = np.ones(STEPS)
    line = refused(capsys, "--source", edit_hdf5(costs=costs), "--test-fraction", 0.3, "--filter", "drop-both-unsafe")
    assert "leave a split without any pair" in line


def test_a_name_that_the_terminal_cannot_show_is_no_reason_to_fail(ball_file: Path, tmp_path: Path):
    words = ("build", "--task", "BallCircle", "--pairs", 20, "--source", ball_file, "--out", "é2")
    result = run_cli(*words, cwd=tmp_path, env={"PYTHONIOENCODING": "ascii"})
    assert result.returncode == 0 and r"\xe92" in result.stdout, result.stderr


def test_dsrl_terms_cannot_be_changed(capsys, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path))
    write_hdf5(tmp_path / "SafetyBallCircle-v0-80-886.hdf5", [200, 200])
    assert "credited as such" in refused(capsys, "--license", "mit")


def test_a_full_disk_leaves_nothing(ball_file: Path, tmp_path: Path):
    """RLIMIT_FSIZE makes every write past the limit fail, as a full disk does."""
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "from safefeedback.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    words = ["build", "--task", "BallCircle", "--pairs", "500", "--source", str(ball_file), "--out", str(tmp_path / "out")]
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert result.returncode == 2 and len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "File too large" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ball.hdf5"]


def test_a_full_disk_is_said_with_the_files_name(tmp_path: Path):
    """Writers of HDF5 and of pictures say it without, or with a hundred words."""
    with pytest.raises(OSError, match=r"^\[Errno 28\] No space left on device: '.*/x\.hdf5'$"), replacing(tmp_path / "x.hdf5"):
        raise OSError(errno.ENOSPC, "Unable to synchronously create file (file write failed: ...)")
    with pytest.raises(ValueError, match="mine"), replacing(tmp_path / "x.hdf5"):
        raise ValueError("mine")
    assert not list(tmp_path.iterdir())


def test_overwrite_replaces_a_dataset_whole(ball_file: Path, tmp_path: Path, capsys):
    words = ["build", "--task", "BallCircle", "--source", str(ball_file), "--out", str(tmp_path / "out"), "--pairs"]
    for count, more in (("30", []), ("20", ["--overwrite"])):
        with pytest.raises(SystemExit) as ended:
            main([*words, count, *more])
        assert ended.value.code == 0
    capsys.readouterr()
    import safefeedback

    assert len(safefeedback.read(tmp_path / "out")) == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ball.hdf5", "out"]


def test_overwriting_keeps_label_sets(ball_file: Path, tmp_path: Path, capsys):
    words = ["--source", str(ball_file), "--out", str(tmp_path / "out"), "--overwrite"]
    with pytest.raises(SystemExit):
        main(["build", "--task", "BallCircle", "--pairs", "20", *words])
    capsys.readouterr()
    (tmp_path / "out" / "labels" / "lab").mkdir(parents=True)
    assert "holds label sets, which --overwrite would delete" in refused(capsys, *words)


def dataset_like(folder: Path, text: str) -> None:
    (folder / "recipe.json").write_text(text)


def test_a_failure_while_overwriting_puts_the_old_folder_back(tmp_path: Path, monkeypatch):
    from safefeedback.errors import InputError
    from safefeedback.files import new_folder

    with new_folder(tmp_path / "out") as folder:
        dataset_like(folder, "old")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.suffix == ".partial":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fail)
        with (
            pytest.raises(InputError, match=r"cannot write .*Input/output error"),
            new_folder(tmp_path / "out", overwrite=True) as folder,
        ):
            dataset_like(folder, "new")
    assert (tmp_path / "out" / "recipe.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_killed_between_the_two_renames_the_old_folder_comes_back(tmp_path: Path):
    from safefeedback.errors import InputError
    from safefeedback.files import new_folder

    old, half = tmp_path / ".out.abc.replaced", tmp_path / ".out.abc.partial"
    for folder in (old, half):
        folder.mkdir()
        dataset_like(folder, folder.suffix)
    with pytest.raises(InputError, match="exists already"), new_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "recipe.json").read_text() == ".replaced"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_two_builds_of_one_folder_do_not_disturb_each_other(tmp_path: Path):
    from safefeedback.errors import InputError
    from safefeedback.files import new_folder

    with pytest.raises(InputError, match="exists already"), new_folder(tmp_path / "out") as first:
        dataset_like(first, "first")
        with new_folder(tmp_path / "out") as second:
            assert first.is_dir()
            dataset_like(second, "second")
    assert (tmp_path / "out" / "recipe.json").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_builds_work_where_the_file_system_has_no_locks(tmp_path: Path, monkeypatch):
    from safefeedback import files

    def unsupported(handle: int, operation: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    for text in ("old", "new"):
        with files.new_folder(tmp_path / "out", overwrite=True) as folder:
            dataset_like(folder, text)
    assert (tmp_path / "out" / "recipe.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_build_leaves_does_not_load(ball_file: Path, tmp_path: Path):
    """The system kills it just before the manifest is written, when every table is complete."""
    import datasets

    code = (
        "import os, signal, sys\n"
        "from safefeedback.dataset import store\n"
        "from safefeedback.cli import main\n"
        "write = store.write_text\n"
        "def kill(path, text):\n"
        "    if path.name == 'recipe.json':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    write(path, text)\n"
        "store.write_text = kill\n"
        "main(sys.argv[1:])\n"
    )
    words = ["build", "--task", "BallCircle", "--pairs", "20", "--source", str(ball_file), "--out", str(tmp_path / "out")]
    assert subprocess.run([sys.executable, "-c", code, *words], check=False).returncode == -signal.SIGKILL
    (leftover,) = tmp_path.glob(".out.*")
    assert (leftover / "README.md").exists() and not (tmp_path / "out").exists()
    with pytest.raises(Exception, match=r"(?i)data ?files|no such file|doesn't exist"):
        datasets.load_dataset(str(leftover))
    from safefeedback import InputError, read

    with pytest.raises(InputError, match="not a dataset"):
        read(leftover)


def test_killed_at_any_moment_leaves_nothing_or_all(tmp_path: Path):
    """A build is killed at 50 moments of its run: the target does not exist, or is complete."""
    import safefeedback
    from safefeedback.files import file_sha256

    source = write_hdf5(tmp_path / "ball.hdf5", [200] * 30)
    out = tmp_path / "out"
    words = [sys.executable, "-m", "safefeedback", "build", "--task", "BallCircle", "--pairs", "4000"]
    words += ["--source", str(source), "--out", str(out), "--overwrite"]
    started = time.monotonic()
    subprocess.run(words, check=True, capture_output=True)
    life = time.monotonic() - started
    whole = safefeedback.read(out).recipe
    rng = np.random.default_rng(0)
    ended = {"whole": 0, "nothing": 0}
    for fraction in rng.permutation(np.linspace(0.2, 1.1, 50)):
        if rng.random() < 0.5 and out.exists():
            subprocess.run(["rm", "-r", str(out)], check=True)
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(fraction * life)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if not out.exists():
            ended["nothing"] += 1
            continue
        ended["whole"] += 1
        data = safefeedback.read(out)
        assert data.recipe == whole and len(data) == 4000
        for name, entry in whole["files"].items():
            assert file_sha256(out / name) == entry["sha256"]
    assert min(ended.values()) > 0, ended
    subprocess.run(words, check=True, capture_output=True)  # and the leftovers are removed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ball.hdf5", "out"]


def test_what_was_replaced_is_never_put_back_half_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "recipe.json").write_text("old")
    deleted: list[str] = []
    monkeypatch.setattr("safefeedback.files.shutil.rmtree", lambda path, **_: deleted.append(path.name))  # killed before it
    with new_folder(tmp_path / "out", overwrite=True) as partial:
        (partial / "recipe.json").write_text("new")
    monkeypatch.undo()
    shutil.rmtree(tmp_path / "out")
    assert deleted and all(name.endswith(".partial") for name in deleted)
    with new_folder(tmp_path / "out") as partial:
        (partial / "recipe.json").write_text("newer")
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (tmp_path / "out" / "recipe.json").read_text() == "newer"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_by_the_user(number: int, tmp_path: Path):
    source = write_hdf5(tmp_path / "ball.hdf5", [200] * 100)
    words = [sys.executable, "-m", "safefeedback", "build", "--task", "BallCircle", "--pairs", "60000", "--source", str(source)]
    process = subprocess.Popen(
        [*words, "--out", str(tmp_path / "out")], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(tmp_path.glob(".out.*.partial/pairs/*")):
        time.sleep(0.01)
    os.kill(process.pid, number)
    _, stderr = process.communicate()
    assert process.returncode == 130 and stderr.strip() == "error: interrupted"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ball.hdf5"]
