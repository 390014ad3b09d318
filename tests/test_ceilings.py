"""The highest scores that a policy can reach, as documented."""

from __future__ import annotations

import numpy as np
import pytest

from safefeedback import simulators
from safefeedback.simulators.ceilings import ARRIVING, ceiling, describe_ceiling, ended_early
from safefeedback.tasks import find_task, tasks


def test_by_hand() -> None:
    easy, hard = find_task("easysparse"), find_task("harddense")
    low, high = hard.reference_returns
    assert ceiling(hard) == ceiling(hard, 10) == pytest.approx((306 - low) / (high - low))
    assert [round(ceiling(find_task(name)), 2) for name in ("easysparse", "mediummean", "harddense")] == [1.0, 0.97, 0.62]
    # 1,000 steps of 0.1 s at 12 km/h cost 0.02 each, 20 in all, and go 333.3 m, which earn 1.045 each
    low, high = easy.reference_returns
    assert ceiling(easy, 20) == pytest.approx((1.045 * 1000 / 3 - low) / (high - low))
    assert ceiling(easy, 10) < ceiling(easy, 20) < ceiling(easy, 40) < ceiling(easy) == ceiling(easy, 1000)
    assert {ceiling(task) for task in tasks().values() if task.domain != "MetaDrive"} == {None}


def test_in_words() -> None:
    assert "about 0.61: that is the most that any policy can score." in describe_ceiling(find_task("hardmean"), 20)
    assert "about 0.81 within a cost of 20, since speed above 10 km/h costs." in describe_ceiling(find_task("easymean"), 20)
    assert describe_ceiling(find_task("BallRun"), 20) is None


def test_arriving_is_no_early_end() -> None:
    medium, ball = find_task("mediummean"), find_task("BallRun")
    assert not ended_early(medium, 700, 262.0) and ended_early(medium, 700, 200.0) and not ended_early(medium, 1000, 200.0)
    assert ended_early(ball, 99, 9999.0) and not ended_early(ball, 100, 0.0)


@pytest.mark.parametrize("road", ["easy", "medium"])
def test_arriving_earns_what_is_said(road: str) -> None:
    """A driver that keeps its lane and 25 km/h on an empty road."""
    task = find_task(f"{road}sparse")
    if (reason := simulators.can_simulate(task)) is not None:
        pytest.skip(reason)
    from safefeedback.recorder.driver import driver_class

    env = simulators.make(task)
    env.reset(seed=0)
    inner = env.unwrapped.drive
    inner.engine.traffic_manager.clear_objects(
        [car.id for car in inner.engine.traffic_manager.vehicles if car is not inner.vehicle]
    )
    inner.engine.traffic_manager.block_triggered_vehicles = []
    driver, total, over = driver_class()(inner.vehicle, 0, 1.0, 25), 0.0, False
    while not over:
        steering, _ = driver.act()
        throttle = 0.2 * (25 - inner.vehicle.speed)
        _, reward, terminated, truncated, info = env.step(np.clip([steering, throttle], -1, 1).astype(np.float32))
        total, over = total + reward, terminated or truncated
    assert info["arrive_dest"] and total == pytest.approx(ARRIVING[road], rel=0.01)


def test_a_reports_figure_marks_it() -> None:
    pytest.importorskip("matplotlib")
    from presa.report.figures import scatter
    from presa.report.tables import Entry, Line, Run, Table
    from presa.study.studies import Column, Study

    def drawn(*names: str) -> tuple[list[float], str]:
        entry = Entry((Run(20, 0, 0.4, 0.5),), 0, None, None)
        table = Table(Study("s", "", (Column("PreSa", "presa"),)), tuple(Line(name, "", (entry,)) for name in names), (), False)
        _, figure, caption = scatter(table)
        marks = [dots.get_offsets() for dots in figure.axes[0].collections]
        assert figure.axes[0].get_ylim()[1] > max(mark[0, 1] for mark in marks)
        return sorted(float(mark[0, 1]) for mark in marks), caption

    hard = ceiling(find_task("harddense"))
    marks, caption = drawn("BallRun", "harddense")
    assert marks == pytest.approx([0.4, 0.4, hard]) and "the most that any policy can score" in caption
    marks, caption = drawn("BallRun", "CarRun")
    assert marks == [0.4, 0.4] and "any policy" not in caption
