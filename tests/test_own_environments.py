"""The user's own environments: the README's Maze from end to end, and what is refused, each in one line."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import run_cli
from replaying import replay

from safefeedback import simulators
from safefeedback.errors import InputError
from safefeedback.tasks import Task, find_task

pytest.importorskip("gymnasium")
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
TINY = """
    import gymnasium, numpy as np
    from gymnasium.spaces import Box, Dict, Discrete

    class Tiny(gymnasium.Env):
        observation_space = Box(-9, 9, (2,))
        action_space = Box(-1, 1, (1,))
        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            self.state = self.np_random.normal(size=2)
            return self.observation(), {}
        def step(self, action):
            self.state = self.state + np.array([float(np.asarray(action).ravel()[0]), 0.1])
            return self.observation(), 1.0, False, False, self.info()
        def observation(self):
            return self.state.astype(np.float32)
        def info(self):
            return {"cost": 0.5}
"""

LATE = """
class Late(Tiny):
    def step(self, action):
        found = super().step(action)
        return found[0], {} if self.state[1] > 9 else 1.0, *found[2:]
    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.state[1] = 7.75
        return self.observation(), {{}}
Tiny = Late
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    """A task whose environment is what a test writes into own_tiny.py; it begins as TINY."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("safefeedback.simulators.own._tried", set())
    write("")
    yield Task("Tiny", "Mine", 2, 1, 20, (5.0,), env="own_tiny:Tiny")
    sys.modules.pop("own_tiny", None)


def write(change: str) -> None:
    """Writes the environment with some of its code replaced."""
    Path("own_tiny.py").write_text(textwrap.dedent(TINY) + textwrap.dedent(change))
    sys.modules.pop("own_tiny", None)


def tells(task: Task) -> str:
    with pytest.raises(InputError) as error:
        simulators.make(task)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_environment_that_a_function_returns(tiny: Task) -> None:
    assert simulators.can_simulate(tiny) is None
    env = simulators.make(tiny)
    first = env.reset(seed=3)[0]
    steps = [env.step(np.zeros(1, np.float32)) for _ in range(20)]
    assert [step[4]["cost"] for step in steps] == [0.5] * 20
    assert [step[3] for step in steps] == [False] * 19 + [True]  # cut at the task's horizon
    np.testing.assert_array_equal(first, simulators.make(tiny).reset(seed=3)[0])
    assert Task.from_dict(tiny.to_dict()) == tiny


def test_the_cost_may_lie_deep_in_info(tiny: Task) -> None:
    write("Tiny.info = lambda self: {'costs': {'wall': np.array([2.0]), 'all': {'sum': 3}}}")
    assert simulators.make(replace(tiny, cost_key="costs.wall")).unwrapped is not None
    env = simulators.make(replace(tiny, cost_key="costs.all.sum"))
    env.reset(seed=0)
    assert env.step(np.zeros(1, np.float32))[4]["cost"] == 3.0
    assert tells(tiny) == "task Tiny: info has no 'cost' (field cost_key); it has costs"
    assert "info has no 'costs.floor' (field cost_key); it has wall, all" in tells(replace(tiny, cost_key="costs.floor"))
    assert "info['costs.all'] must be a number, not dict" in tells(replace(tiny, cost_key="costs.all"))


def test_observations_of_parts_are_flattened(tiny: Task) -> None:
    write(
        """
        Tiny.observation_space = Dict({"b": Box(-9, 9, (2,)), "a": Box(-9, 9, (1,))})
        Tiny.observation = lambda self: {"b": self.state.astype(np.float32), "a": np.ones(1, np.float32)}
        """
    )
    env = simulators.make(replace(tiny, observation_dim=3))
    assert env.reset(seed=1)[0].shape == (3,) and env.reset(seed=1)[0][0] == 1  # "a" comes first in a Dict


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("Tiny.observation = lambda self: np.random.default_rng().normal(size=2)", "differ from the start"),
        ("draw = np.random.default_rng().normal\nTiny.info = lambda self: {'cost': abs(draw())}", "differ after 1 steps"),
        ("Tiny.info = lambda self: {'cost': -1}", "info['cost'] must be 0 or more, not -1"),
        ("Tiny.info = lambda self: {'cost': float('nan')}", "info['cost'] must be 0 or more, not nan"),
        ("Tiny.info = lambda self: {'cost': 'much'}", "info['cost'] must be a number, not str"),
        ("Tiny.observation = lambda self: np.array([np.nan, 0])", "an observation or reward is NaN or infinite"),
        ("Tiny.action_space = Box(-2, 2, (1,))", "wrap it in gymnasium.wrappers.RescaleAction(env, -1, 1)"),
        ("Tiny.action_space = Discrete(3)", "actions must lie in Box(-1, 1), not Discrete(3)"),
        ("Tiny.observation_space = Box(-9, 9, (3,))", "an observation has shape (2,), its space (3,)"),
        (
            "Tiny.observation_space = Box(-9, 9, (3,))\nTiny.observation = lambda self: np.zeros(3, np.float32)",
            "observation and action shapes are ((2,), (1,)), the simulator's are ((3,)",
        ),
        ("del Tiny.observation_space", "own_tiny:Tiny failed: AttributeError: "),
        ("raise OSError('no map\\nhere')", "own_tiny failed: OSError: no map here (own_tiny.py, line 19)"),
        ("def :", "own_tiny failed: SyntaxError: "),
        ("import sys; sys.exit(3)", "own_tiny failed: SystemExit: 3 (own_tiny.py, line 19)"),
        ("Tiny.step = lambda self, action: __import__('sys').exit(4)", "own_tiny:Tiny failed: SystemExit: 4"),
        ("Tiny.step = lambda self, action: next(iter([]))", "own_tiny:Tiny failed: StopIteration (own_tiny.py, line 19)"),
        ("Tiny = Tiny()", "task Tiny: own_tiny:Tiny must be a class or function, not a Tiny"),
        ("Tiny.__init__ = lambda self: 1 / 0", "own_tiny:Tiny failed: ZeroDivisionError: division by zero (own_tiny.py, line"),
        ("Tiny.__init__ = lambda self, size: None", "own_tiny:Tiny failed: TypeError: "),
        ("Tiny.reset = lambda self: (self.observation(), {})", "own_tiny:Tiny failed: TypeError: "),
        ("Tiny.step = lambda self, action: (self.observation(), 1.0, False, {})", "failed: ValueError: not enough values"),
        ("Tiny.step = lambda self, action: {}['wall']", "own_tiny:Tiny failed: KeyError: 'wall' (own_tiny.py, line"),
        (LATE.format("np.nan"), "an observation or reward is NaN or infinite"),
        (LATE.format("np.random.default_rng().normal()"), "with equal actions differ after 13 steps"),
        ("Tiny = lambda: 5", "own_tiny:Tiny must return a gymnasium.Env, not int"),
        ("del Tiny", "the module own_tiny has no 'Tiny'"),
    ],
)
def test_what_must_hold(tiny: Task, change: str, words: str) -> None:
    write(change)
    assert words in tells(tiny)


def test_a_collection_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    """In one line, with the exit code of bad input."""
    pytest.importorskip("stable_baselines3", reason="the extra 'collect' is not installed")
    (tmp_path / "maze.py").write_text((EXAMPLES / "maze.py").read_text())
    (tmp_path / "maze.toml").write_text((EXAMPLES / "maze.toml").read_text() + 'cost_key = "wall"\n')
    before = sorted(tmp_path.iterdir())
    for out in ("maze.hdf5", "new"):
        done = run_cli("collect", "--task", "maze.toml", "--steps", 500, "--out", out, cwd=tmp_path)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "info has no 'wall' (field cost_key); it has cost" in done.stderr
        assert [path for path in sorted(tmp_path.iterdir()) if path.name != "__pycache__"] == before


def test_names_that_lead_nowhere(tiny: Task) -> None:
    assert "needs the module no_such_module" in tells(replace(tiny, env="no_such_module:Tiny"))
    assert "has no environment Tiny-v7" in tells(replace(tiny, env=None, env_id="Tiny-v7"))
    assert "needs the module no_such" in tells(replace(tiny, env=None, env_id="no_such:Tiny-v0"))
    for fields in ({"env": "a b:c"}, {"env_module": "1a"}, {"cost_key": ""}, {"env_id": "Tiny-v0"}):
        with pytest.raises(InputError, match=r"field '(env|env_module|cost_key)' must be"):
            replace(tiny, **fields)


def test_an_id_may_name_the_module_that_registers_it(tiny: Task) -> None:
    write("gymnasium.register('OwnTiny-v0', entry_point=Tiny)")
    assert simulators.make(replace(tiny, env=None, env_id="own_tiny:OwnTiny-v0")).reset(seed=1)[0].shape == (2,)


def test_a_task_of_ones_own_is_played_by_no_script(tiny: Task) -> None:
    """Whatever its name or domain is: the scripts know the benchmark's environments alone."""
    from safefeedback.recorder.collect import reason_not_collectable
    from safefeedback.recorder.script import find_script

    for domain in ("MetaDrive", "SafetyGym"):
        assert "collecting needs" in (reason_not_collectable(replace(tiny, domain=domain)) or "collecting needs")
    assert find_script(find_task("PointGoal1")) is not None and find_script(find_task("easysparse")) is not None
    assert find_script(replace(tiny, name="PointGoal1")) is find_script(replace(tiny, domain="MetaDrive")) is None


def test_a_failure_while_it_is_played_is_one_line(tiny: Task) -> None:
    env = simulators.make(tiny)
    env.reset(seed=0)
    env.unwrapped.state = None
    with pytest.raises(InputError, match=r"^own_tiny:Tiny failed: TypeError: .* \(own_tiny.py, line \d+\)$"):
        env.step(np.zeros(1, np.float32))
    env.unwrapped.state = np.array([np.inf, 0])
    with pytest.raises(InputError, match="NaN or infinite"):
        env.step(np.zeros(1, np.float32))


def test_episodes_of_changed_code_are_recorded_again(tiny: Task) -> None:
    """The parts of a collection know which code played them."""
    from safefeedback.recorder.plan import CollectConfig, Unit, fingerprint

    first = fingerprint(tiny, Unit(0, None, 0), CollectConfig())
    write("")
    assert fingerprint(tiny, Unit(0, None, 0), CollectConfig()) == first
    write("Tiny.info = lambda self: {'cost': 3.0}")
    assert fingerprint(tiny, Unit(0, None, 0), CollectConfig()) != first
    Path("pack").mkdir()
    Path("pack/__init__.py").write_text("from pack.walls import Walls")
    Path("pack/walls.py").write_text("Walls = 1")
    packed = [replace(tiny, env=env) for env in ("pack:Walls", "pack.walls:Walls")]
    before = [fingerprint(task, Unit(0, None, 0), CollectConfig()) for task in packed]
    Path("pack/walls.py").write_text("Walls = 2")
    assert not set(before) & {fingerprint(task, Unit(0, None, 0), CollectConfig()) for task in packed}
    assert "pack" not in sys.modules


def test_gymnasiums_own_environments_work_as_well(tmp_path: Path) -> None:
    task = Task("Cart", "Mine", 4, 1, 50, (5.0,), env_id="CartPole-v1")
    assert "actions must lie in Box(-1, 1), not Discrete(2)" in tells(task)


def test_the_maze_from_recording_to_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README shows: everything works for an environment of one's own."""
    pytest.importorskip("stable_baselines3", reason="the extra 'collect' is not installed")
    pytest.importorskip("torch")
    for name in ("maze.py", "maze.toml"):
        (tmp_path / name).write_text((EXAMPLES / name).read_text())

    def run(program: str, *words: object) -> str:
        done = run_cli(*words, cwd=tmp_path, program=program)
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = run("safefeedback", "collect", "--task", "maze.toml", "--episodes", 12, "--steps", 2100, "--cost-limits", "none",
               "--out", "maze.hdf5")  # fmt: skip
    assert "cost more" not in told  # no benchmark defines an excessive cost
    words = ("build", "--task", "maze.toml", "--source", "maze.hdf5", "--pairs", 40, "--length", 16, "--out", "maze")
    run("safefeedback", *words)
    run("safefeedback", "verify", "maze", "--source", "maze.hdf5")
    run("presa", "train", "maze", "--steps", 4, "--bc-steps", 2, "--out", "run")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    check_frames(tmp_path)
    film = ("--video", "maze.gif") if _has("imageio") else ()
    assert "no reference returns" in run("presa", "evaluate", "run", "--episodes", 2, *film)
    assert not film or (tmp_path / "maze.gif").stat().st_size > 1000


def check_frames(folder: Path) -> None:
    """What `safefeedback annotate maze --render --source maze.hdf5` makes before it serves: the Maze's own pictures."""
    image = pytest.importorskip("PIL.Image")
    from safefeedback import read
    from safefeedback.annotate.frames import HEIGHT, WIDTH
    from safefeedback.annotate.material import Material
    from safefeedback.annotate.rendering import render

    material = Material(folder / "maze")
    assert render(material, folder / "frames", source=folder / "maze.hdf5") == 2 * 40
    first = read(folder / "maze").observations[0, 0, 0]
    tile = np.asarray(image.open(folder / "frames" / "0-0.jpg"))[:HEIGHT, :WIDTH].astype(int)
    at = [round(float(HEIGHT * (0.5 - 0.5 * first[1]))), round(float(WIDTH * (0.5 + 0.5 * first[0])))]  # where the point is
    assert tile[min(at[0], HEIGHT - 2), min(at[1], WIDTH - 2)].max() < 110, "the point is black"
    goal = first[:2] + first[4:6]
    red, green, blue = tile[round(float(HEIGHT * (0.5 - 0.5 * goal[1]))), round(float(WIDTH * (0.5 + 0.5 * goal[0])))]
    assert green > red + 50 and green > blue + 50, "the goal is green"


def test_an_environment_that_cannot_draw_is_told_in_one_line(tiny: Task) -> None:
    from safefeedback.simulators.drawing import drawer

    env = simulators.make(tiny)
    env.reset(seed=0)
    with pytest.raises(InputError, match="Tiny cannot draw here"):
        drawer(env, 160, 160)()
    write("Tiny.render = lambda self: None")
    env = simulators.make(tiny)
    env.reset(seed=0)
    with pytest.raises(InputError, match=r"Tiny.render\(\) must give a picture \[height, width, 3\]"):
        drawer(env, 160, 160)()


def test_recorded_episodes_of_the_maze_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("stable_baselines3", reason="the extra 'collect' is not installed")
    from safefeedback.recorder.collect import CollectConfig, collect
    from safefeedback.recorder.recording import read_recording

    monkeypatch.syspath_prepend(str(EXAMPLES))
    task = find_task(str(EXAMPLES / "maze.toml"))
    collect(task, tmp_path / "maze.hdf5", CollectConfig(episodes=4, steps=1000, cost_limits=(5.0,)))
    for episode in read_recording(tmp_path / "maze.hdf5")[0]:
        replay(task, episode)


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None
