"""The data for drawing a segment: a description of the view, and the values of its channels at each step.

The view says once what the numbers mean; the numbers of a pair are a few channels of float32, a few kilobytes in all.
They come from observations alone: no return, cost or label can reach the page this way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from safefeedback.plots import geometry
from safefeedback.plots.driving import FREE_SPEED, LASERS, decode_driving, is_driving_task
from safefeedback.plots.driving import REACH as LASER_REACH

CURVES = 6  # observation dims drawn where nothing is known about their meaning
BUNDLE = 3  # lasers of MetaDrive's car drawn as one, by the nearest thing that any of them sees
PACKED_FROM = 40_000  # bytes of a pair; larger ones are sent as float16
REACH = 3.0  # metres at which a lidar of safety-gymnasium reads 0 outside its Circle tasks


def describe_view(task: str, observations: np.ndarray) -> dict[str, Any]:
    """How the segments of a task are drawn.

    Args:
        task: the task's name; another task's observations are drawn as curves.
        observations: float32 [M, L, O], segments from which the scales are taken.

    Returns:
        JSON-ready values. `kind` is "top" (seen from above), "lidar", "driving" or "curves"; `channels` and `units` name the
        numbers that `channels` gives, in its order; `packing` is the type in which they are sent, "float32", or "float16"
        (three digits) where a pair would be large.
    """
    length, dims = observations.shape[-2:]
    view = _top(task, dims) or _lidar(task, observations) or _driving(task, dims) or _curves(task, observations)
    packing = "float32" if 2 * length * len(view["channels"]) * 4 <= PACKED_FROM else "float16"
    return {**view, "task": task, "length": length, "packing": packing}


def channels(view: dict[str, Any], observations: np.ndarray) -> np.ndarray:
    """The numbers that a view draws, float32 [..., L, C] from observations [..., L, O]."""
    task = view["task"]
    if view["kind"] == "top":
        place = geometry.positions(task, observations)
        parts = {
            "x": place[..., 0],
            "y": place[..., 1],
            "speed": geometry.speeds(task, observations),
            "heading": geometry.headings(task, observations),
            "altitude": geometry.altitudes(task, observations),
        }
        return _stack(parts[name] for name in view["channels"])
    if view["kind"] == "lidar":
        lidars = geometry.lidars(task, observations)
        readings = [reading[..., bin_] for reading in lidars.values() for bin_ in range(geometry.LIDAR_BINS)]
        return _stack([geometry.speeds(task, observations), *readings])
    if view["kind"] == "driving":
        car = decode_driving(observations)
        lasers = car.lidar.reshape(*car.lidar.shape[:-1], -1, BUNDLE).min(axis=-1)
        of_car = [np.maximum(car.speed, 0), car.left, car.right, car.heading, car.lane_offset]
        return _stack([*of_car, *np.moveaxis(lasers, -1, 0)])
    limited = geometry.limited_speed(task, observations)
    first = [] if limited is None else [limited[0]]
    return _stack([*first, *(observations[..., dim] for dim in view["dims"])])


def _top(task: str, dims: int) -> dict[str, Any] | None:
    world = geometry.arena(task, dims)
    if world is None:
        return None
    blank = np.zeros(dims, np.float32)
    present = {
        "x": "m",
        "y": "m",
        "speed": "m/s",
        **({"heading": "rad"} if geometry.headings(task, blank) is not None else {}),
        **({"altitude": "m"} if geometry.altitudes(task, blank) is not None else {}),
    }
    return {
        "kind": "top",
        "channels": list(present),
        "units": list(present.values()),
        "body": next(body for body in (*geometry.BODIES, *geometry.SENSORS) if task.startswith(body)),
        "circle": world.circle,
        "direction": None if world.circle is None else "clockwise" if world.clockwise else "counter-clockwise",
        "x_limit": world.x_limit,
        "y_limit": world.y_limit,
        "speed_limit": world.speed_limit,
    }


def _lidar(task: str, observations: np.ndarray) -> dict[str, Any] | None:
    lidars = geometry.lidars(task, observations)
    if not lidars:
        return None
    bins = geometry.LIDAR_BINS
    names = [f"{name} {bin_}" for name in lidars for bin_ in range(bins)]
    return {
        "kind": "lidar",
        "channels": ["speed", *names],
        "units": ["m/s", *[""] * len(names)],
        "body": "Car" if task.startswith("Car") else "Point",
        "bins": bins,
        "reach": REACH,
        "rings": [{"name": name, "first": 1 + bins * index} for index, name in enumerate(lidars)],
    }


def _driving(task: str, dims: int) -> dict[str, Any] | None:
    if not is_driving_task(task, dims):
        return None
    lasers = LASERS // BUNDLE
    return {
        "kind": "driving",
        "channels": ["speed", "left", "right", "heading", "offset", *(f"laser {index}" for index in range(lasers))],
        "units": ["km/h", "m", "m", "rad", "m", *["m"] * lasers],
        "body": "Car",
        "lasers": lasers,
        "bundle": BUNDLE,
        "reach": LASER_REACH,
        "speed_limit": FREE_SPEED,
    }


def _curves(task: str, observations: np.ndarray) -> dict[str, Any]:
    """The dims that vary most within segments, relative to their total variation; first the speed if a task limits it."""
    values = observations.astype(np.float64)
    whole = values.std(axis=(0, 1))
    moving = values.std(axis=1).mean(axis=0) / np.where(whole > 0, whole, np.inf)
    limited = geometry.limited_speed(task, observations)
    count = CURVES - (limited is not None)
    dims = np.sort(np.argsort(-moving, kind="stable")[:count]).tolist()
    lows, highs = (values[..., dims].min(axis=(0, 1)), values[..., dims].max(axis=(0, 1)))
    names, units = [f"observation {dim}" for dim in dims], [""] * len(dims)
    limits: list[float | None] = [None] * len(dims)
    low, high = lows.tolist(), highs.tolist()
    if limited is not None:
        speed, limit = limited
        names, units, limits = ["speed", *names], ["m/s", *units], [limit, *limits]
        low, high = [min(0.0, float(speed.min())), *low], [max(limit, float(speed.max())), *high]
    return {"kind": "curves", "channels": names, "units": units, "dims": dims, "low": low, "high": high, "limits": limits}


def _stack(parts: Any) -> np.ndarray:
    return np.stack([np.asarray(part, np.float32) for part in parts], axis=-1)
