"""What the studies of answers, errors, coverage and settings are made of: groups of runs that are trained as one stack.

Pairs, seeds and settings are those of cards/table2, whose rows are the levels "all answers", "no error" and "all episodes".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LIMIT = 20.0
SEEDS = (10, 11, 12)  # of the draw of pairs, of the training and of its evaluation
TASKS = ("BallRun", "CarCircle", "AntRun", "BallCircle", "CarRun", "DroneRun", "DroneCircle")
ALL_TASKS = (*TASKS, "AntCircle")  # on whose recordings cloning fails, whatever the weights
JUDGED_BY_COST = ("BallRun", "CarCircle", "BallCircle", "DroneRun", "DroneCircle")


@dataclass(frozen=True)
class Level:
    """What differs in the data of a group's runs.

    Attributes:
        name: as it is printed.
        labels: fields of the labels' recipe.
        coverage: from which recorded episodes pairs are drawn.
        pairs: how many of the pairs are answered; None for all.
        asked: how many more are answered, chosen by `presa ask` after those.
        unlabelled: whether all recorded steps are known, without rewards and costs.
    """

    name: str
    labels: dict[str, Any] = field(default_factory=dict)
    coverage: str = "all"
    pairs: int | None = None
    asked: int = 0
    unlabelled: bool = False


@dataclass(frozen=True)
class Group:
    """Runs of one algorithm under equal settings, on several tasks and levels; `reads_truth` as in cards/table2."""

    name: str
    levels: tuple[Level, ...]
    algorithm: str = "weighted-bc"
    settings: dict[str, Any] = field(default_factory=dict)
    preset: str | None = None
    tasks: tuple[str, ...] = TASKS
    seeds: tuple[int, ...] = SEEDS
    reads_truth: bool = False
    episodes: int = 20


def few(pairs: int, unlabelled: bool, asked: int = 0) -> Level:
    """Some answered pairs, with or without all recorded steps."""
    return Level(f"{pairs + asked}", pairs=pairs, asked=asked, unlabelled=unlabelled)


FLIPS = tuple(Level(f"{share:g} of safety labels", {"noise": share}) for share in (0.1, 0.2, 0.3))
PEOPLE = (
    Level("0.2 of both", {"noise": 0.2, "preference_noise": 0.2}),
    Level("any violation is unsafe", {"safety_noise": "any-violation"}),
    Level("half the limit", {"safety_noise": "strict"}),
    Level("twice the limit", {"safety_noise": "lenient"}),
    Level("drift to half the limit", {"safety_noise": "drift"}),
    Level("halo 0.25", {"teacher": "halo"}),
    Level("halo 0.5", {"teacher": "halo:halo=0.5"}),
    Level("recency", {"teacher": "myopic"}),
    Level("speed for progress", {"teacher": "speed"}),
)
COVERAGE = (
    Level("without the best 10%", coverage="without-best:share=0.1"),
    Level("without the best 30%", coverage="without-best:share=0.3"),
    Level("without any good one", coverage="without-best:share=1"),
    Level("1% good", coverage="scarce-good:share=0.01"),
)
FEW_WRONG = tuple(
    Level(
        f"200 answers, {share:g} of both wrong",
        {"noise": share, "preference_noise": share},
        pairs=200,
        unlabelled=True,
    )
    for share in (0.1, 0.2)
)
EVERYTHING = Level("")
GROUPS = (
    Group("answers-with-recordings", tuple(few(count, True) for count in (10, 20, 50, 100, 200, 500, 1000))),
    Group("errors-flips", FLIPS, tasks=JUDGED_BY_COST),
    Group("errors-people", PEOPLE, tasks=JUDGED_BY_COST),
    Group("errors-few", FEW_WRONG),
    Group("coverage", COVERAGE),
    Group("answers-asked", tuple(few(half, True, asked=half) for half in (10, 25, 100))),
    Group("answers-shown-only", tuple(few(count, False) for count in (100, 200, 500, 1000))),
    Group("coverage-none", COVERAGE, settings={"weights": "none"}),
    Group("coverage-true-sums", COVERAGE, settings={"weights": "true-sums"}, reads_truth=True),
    *(
        Group(
            f"presa-{cloning}",
            (EVERYTHING,),
            "presa",
            {"cloning": cloning, "precision": "bf16"},
            "paper-bullet",
            ALL_TASKS,
            (0,),
        )
        for cloning in ("steps", "segments")
    ),
)
# How PreSa's multiplier may settle: nu free under a bound that was reached, the same with log p, and nu that ends at 2.
REPAIRED = (
    Group("presa-reachable", (EVERYTHING,), "presa", {"precision": "bf16"}, "reachable"),
    Group("presa-log", (EVERYTHING,), "presa", {"precision": "bf16", "safety_form": "log"}, "reachable"),
    Group(
        "presa-bounded",
        (EVERYTHING,),
        "presa",
        {"precision": "bf16", "nu_initial": 1.0, "nu_learning_rate": 0.005, "nu_maximum": 2.0},
        "anchored",
    ),
)
SETTINGS = (
    Group("settings-raw-observations", (EVERYTHING,), settings={"normalize_observations": False}),
    Group("settings-flat-rates", (EVERYTHING,), settings={"bc_schedule": "flat", "schedule": "flat"}),
)
FROM_FEEDBACK = (
    Group("trac-feedback", (EVERYTHING,), "trac-feedback"),
    Group("caps-feedback", (EVERYTHING,), "caps-feedback"),
    Group("caps-feedback-soft", (EVERYTHING,), "caps-feedback", {"temperature": 1.0}),
)
OTHERS = tuple(  # the other methods that learn from feedback, with fewer answers
    Group(f"answers-{name}", tuple(few(count, True) for count in (100, 1000)), algorithm, settings, preset)
    for name, algorithm, settings, preset in (
        ("trac-feedback", "trac-feedback", {}, None),
        ("caps-feedback", "caps-feedback", {}, None),
        ("presa-anchored", "presa", {"precision": "bf16"}, "anchored"),
    )
)
SHORT_CDT = {
    "steps": 1_500,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "warm_up_steps": 100,
    "reward_scale": None,
    "cost_scale": None,
}
FROM_TRUTH = (  # shortened: their authors train 100,000 steps of 96 whole episodes, and 100,000 of 2,048 windows
    Group("trac", (EVERYTHING,), "trac", {"steps": 10_000, "bc_steps": 3_000}, reads_truth=True),
    Group("cdt", (EVERYTHING,), "cdt", SHORT_CDT, reads_truth=True),
)
STUDIES = (*GROUPS, *REPAIRED, *SETTINGS, *FROM_FEEDBACK, *OTHERS, *FROM_TRUTH)
BENCHMARK = (
    Group("benchmark-weighted-bc", (EVERYTHING,), tasks=ALL_TASKS, seeds=(0, 1, 2, 3, 4), episodes=100),
    Group("benchmark-bc-all", (EVERYTHING,), "bc-all", tasks=ALL_TASKS, seeds=(0, 1, 2, 3, 4), reads_truth=True, episodes=100),
    Group(
        "benchmark-shuffled",
        (EVERYTHING,),
        settings={"weights": "shuffled"},
        tasks=ALL_TASKS,
        seeds=(0, 1, 2, 3, 4),
        episodes=100,
    ),
)
# Which groups are trained by one process, one after another.
SHARES = (
    ("presa-steps",),
    ("presa-segments",),
    ("answers-with-recordings", "answers-shown-only", "answers-asked", "benchmark-bc-all"),
    ("errors-flips", "errors-people", "errors-few", "coverage-none", "benchmark-shuffled"),
    ("presa-reachable", "presa-log", "presa-bounded"),
    ("settings-raw-observations", "settings-flat-rates"),
    ("trac-feedback", "caps-feedback", "caps-feedback-soft", "trac", "cdt"),
    tuple(group.name for group in OTHERS),
    ("benchmark-weighted-bc", "coverage", "coverage-true-sums"),
)
