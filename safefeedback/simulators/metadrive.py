"""The domain MetaDrive: DSRL's nine driving tasks, three roads with three densities of traffic each.

Source: dsrl 0.1.0, offline_metadrive/gym_envs.py, on metadrive-simulator 0.2.6.0 (tests/test_metadrive.py compares every number
with that package's own classes). MetaDrive runs one engine a process, so one environment a process plays at a time.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.imports import install_command
from safefeedback.simulators.uninterrupted import uninterrupted
from safefeedback.tasks import Task

if TYPE_CHECKING:
    import gymnasium

PACKAGES = ("gymnasium", "metadrive", "panda3d", "gltf", "simplepbr", "pygame", "seaborn", "tqdm")
EXTRA = "metadrive"
INSTALL = install_command(EXTRA)
DISTRIBUTIONS = ("gymnasium", "metadrive-simulator", "panda3d", "pygame")
TRIAL_TASK = "easysparse"

ROADS = {"easy": (0, "SCS"), "medium": (100, "XST"), "hard": (200, "TRO")}  # seed of the road's map, and its blocks
TRAFFIC = {"sparse": 0.1, "mean": 0.15, "dense": 0.2}
MAPS = 10  # of a road were driven for DSRL's recordings; its environments, and so evaluations, have the first alone
FRAME = (480, 360)  # width and height of a picture from above; a metre is some six pixels
FILM = (2400, 2400)


def make(task: Task) -> gymnasium.Env:
    """The task's environment; `reset(seed=n)` starts the same episode, on the road's first map.

    `reset(options={"map": m})` plays on map m of the road's ten, as DSRL's recordings do. Steps report in `info` what MetaDrive
    does, and the parts of the cost: `velocity_cost` and `proximity_cost`, and `crash_cost` or `out_of_road_cost`, which is 1
    on the step that ends the episode so.

    Raises:
        InputError: if the task is none of DSRL's.
    """
    road = next((name for name in ROADS if task.name.startswith(name)), "")
    traffic = task.name.removeprefix(road)
    if task.env_id != f"OfflineMetadrive-{task.name}-v0" or traffic not in TRAFFIC:
        roads = ", ".join(road + traffic for road in ROADS for traffic in TRAFFIC)
        raise InputError(f"task {task.name}: the simulator has no environment {task.env_id}; MetaDrive's tasks are {roads}")
    import gymnasium

    return gymnasium.wrappers.TimeLimit(_driving(road, traffic), task.horizon)


def configuration(road: str, traffic: str, maps: int = 1) -> dict[str, Any]:
    """DSRL's own settings of a task, and how many maps its road has."""
    start, blocks = ROADS[road]
    return {
        "start_seed": start,
        "traffic_density": TRAFFIC[traffic],
        "map": 3,
        "map_config": {"type": "block_sequence", "config": blocks},
        "accident_prob": 0.0,
        "environment_num": maps,
        "horizon": 1000,
        "crash_vehicle_penalty": 0.0,
        "random_traffic": True,
        "traffic_mode": "hybrid",
    }


def _driving(road: str, traffic: str) -> gymnasium.Env:
    import gymnasium

    package = load()
    initial = package.SafeMetaDriveEnv(configuration(road, traffic))

    class Driving(gymnasium.Env):
        """One MetaDrive environment at a time, created for each episode, because a used one is not reproducible."""

        metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
        render_mode = "rgb_array"
        observation_space = gymnasium.spaces.Box(0.0, 1.0, initial.observation_space.shape, np.float32)
        action_space = gymnasium.spaces.Box(-1.0, 1.0, initial.action_space.shape, np.float32)

        def __init__(self) -> None:
            self._seeds = np.random.default_rng()
            self.drive: Any = None

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
            if seed is None:
                seed = int(self._seeds.integers(2**31))
            else:
                self._seeds = np.random.default_rng(seed)
            number = (options or {}).get("map", 0)
            if number not in range(MAPS):
                raise InputError(f"MetaDrive's roads have maps 0 to {MAPS - 1}, not {number}")
            with uninterrupted():
                package.close_engine()
                package.seeds = np.random.default_rng(seed)
                self.drive = package.SafeMetaDriveEnv(configuration(road, traffic, 1 if number == 0 else MAPS))
                return self.drive.reset(force_seed=ROADS[road][0] + number), {"map": number}

        def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
            self._check_playing()
            with uninterrupted():  # Python's floats: the simulator's sums are then of 64 bits with every NumPy
                observation, reward, _, info = self.drive.step([float(part) for part in action])
            info["velocity_cost"] = max(0, 1e-2 * (info["velocity"] - 10.0))
            info["cost"] += info["velocity_cost"]
            info["proximity_cost"] = 1e-2 * max(0, 0.1 - np.min(observation[-240:])) ** 2
            info["cost"] += info["proximity_cost"]
            info["out_of_road_cost"] = self.drive.config["out_of_road_cost"] if info["out_of_road"] else 0
            info["crash_cost"] = self.drive.config["crash_vehicle_cost"] if info["crash"] else 0
            over = bool(info["arrive_dest"] or info["crash"] or info["out_of_road"])
            return observation, float(reward), over, bool(info["max_step"]), info

        def render(self) -> Any:
            """The road and its traffic from above, the car in the middle: uint8 [height, width, 3]."""
            import pygame

            self._check_playing()
            with uninterrupted():
                canvas = self.drive.render(
                    mode="top_down", film_size=FILM, screen_size=FRAME, num_stack=1, track_target_vehicle=True
                )
            return np.ascontiguousarray(pygame.surfarray.array3d(canvas).swapaxes(0, 1))

        def close(self) -> None:
            if self.drive is not None and self.drive.engine is package.engine():
                package.close_engine()
            self.drive = None

        def _check_playing(self) -> None:
            if self.drive is None or self.drive.engine is not package.engine():
                raise InputError(
                    "MetaDrive plays one environment a process: another one was reset since, or this one was never; reset it"
                )

    return Driving()


class Package:
    """The parts of MetaDrive in use, and the generator of its seeds."""

    def __init__(self) -> None:
        from panda3d.core import loadPrcFileData

        loadPrcFileData("", "notify-level fatal")  # it warns of missing input devices, and of each new engine
        with _stand_ins():
            from metadrive.component.vehicle_module import lidar
            from metadrive.engine.engine_utils import close_engine, get_engine
            from metadrive.engine.physics_node import BaseRigidBodyNode
            from metadrive.envs.safe_metadrive_env import SafeMetaDriveEnv
            from metadrive.utils import config, math_utils, random_utils
        self._close_engine, self.engine, self.SafeMetaDriveEnv = close_engine, get_engine, SafeMetaDriveEnv
        atexit.register(close_engine)  # an engine that is alive when Python ends may crash
        self._nodes: list[Any] = []
        begin = BaseRigidBodyNode.__init__

        def remembered(node: Any, *names: Any) -> None:
            begin(node, *names)
            self._nodes.append(node)

        BaseRigidBodyNode.__init__ = remembered
        self.seeds = np.random.default_rng()
        random_utils.create_seed = self._seed
        numpy = ModuleType("numpy")  # with the names that NumPy 1.24 dropped, for the modules that use them
        vars(numpy).update({**vars(np), "float": float, "int": int, "bool": bool})
        lidar.np = config.np = math_utils.np = numpy

    def close_engine(self) -> None:
        """Closes the engine, and frees the road's bodies, which hold themselves in C++: a megabyte an episode."""
        with uninterrupted():
            self._close_engine()
            for node in self._nodes:
                node.destroy()
            self._nodes.clear()

    def _seed(self, a: int | None = None, max_bytes: int = 8) -> int:
        """Replaces MetaDrive's `create_seed`, which takes a seed from the operating system if none is given."""
        return int(self.seeds.integers(2**63)) if a is None else a % 2 ** (8 * max_bytes)


@cache
def load() -> Package:
    """MetaDrive, imported and patched to be reproducible."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pictures from above are drawn without a screen
    return Package()


@contextmanager
def _stand_ins() -> Iterator[None]:
    """While MetaDrive is imported: gymnasium for gym 0.19, and nothing for what registers, reads Waymo's files, or resizes."""

    gym = {f"gym{name[9:]}": module for name, module in sys.modules.items() if f"{name}.".startswith("gymnasium.")}
    others: dict[str, ModuleType | None] = {
        "metadrive.register": ModuleType("metadrive.register"),
        "metadrive.utils.waymo_utils.protos": None,
    }
    if find_spec("cv2") is None:
        others["cv2"] = ModuleType("cv2")
    before = {name: sys.modules.get(name) for name in (*gym, *others)}
    sys.modules.update(gym | others)  # type: ignore[arg-type]
    try:
        from metadrive.obs import top_down_renderer  # noqa: F401

        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
