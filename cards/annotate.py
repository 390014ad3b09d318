"""Writes the screenshots of cards/annotate.md: the page of `safefeedback annotate` in Debian's Chromium.

    python cards/annotate.py [--source PointGoal1=FILE.hdf5 ...] [--only PICTURE,PICTURE]

Recordings that are shipped are used where a task has some; a task that has none needs a file, or its picture is left as it is.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from safefeedback import InputError, Recipe, build_dataset, find_task

HERE = Path(__file__).parent / "annotate"
COLOURS = 255
TO_STEP = """step => {
    const scrub = document.getElementById('scrub');
    scrub.value = step;
    scrub.dispatchEvent(new Event('input'));
}"""


@dataclass(frozen=True)
class Picture:
    """One screenshot.

    Attributes:
        name: of the file.
        task: whose pairs are shown.
        keys: pressed before the picture is taken.
        step: at which the clips stand.
        scheme: "light" or "dark".
        size: of the window.
        options: of the command.
    """

    name: str
    task: str
    keys: str = "1S"
    step: int = 44
    scheme: str = "light"
    size: tuple[int, int] = (1280, 720)
    options: tuple[str, ...] = ()


PICTURES = (
    Picture("ball-circle", "BallCircle", keys="1S"),
    Picture("car-run", "CarRun", keys="3SJ"),
    Picture("drone-circle", "DroneCircle", keys="1D", scheme="dark", options=("--cost-cues",)),
    Picture("ant-run", "AntRun", keys="2", scheme="dark"),
    Picture("point-goal", "PointGoal1", keys="", step=20),
    Picture("medium-dense", "mediumdense", keys="", step=30),
    Picture("hopper-velocity", "HopperVelocity", keys="", scheme="dark"),
    Picture("tablet", "BallRun", keys="3", size=(1024, 768)),
)


@contextmanager
def served(data: Path, options: tuple[str, ...]) -> Iterator[str]:
    """A quick study of a dataset; the link to it."""
    words = ["annotate", data, "--name", "pictures", "--annotators", "ann", "--quick", "--no-browser", "--port", "0", *options]
    with subprocess.Popen([sys.executable, "-m", "safefeedback", *words], stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout or ():
                if line.startswith("open "):
                    yield line.split()[1].rstrip(";")
                    break
        finally:
            process.terminate()


def shoot(browser: Any, picture: Picture, link: str) -> bytes:
    """The screenshot, as a PNG of few colours."""
    width, height = picture.size
    tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=picture.scheme)
    tab.goto(link)
    tab.locator("main[data-pair-id]").wait_for()
    for key in picture.keys:
        tab.keyboard.press(key)
    tab.evaluate(TO_STEP, picture.step)
    tab.mouse.move(width / 2, height / 2)
    tab.wait_for_timeout(400)
    image = Image.open(BytesIO(tab.screenshot())).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    tab.close()
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", action="append", default=[], metavar="TASK=FILE")
    parser.add_argument("--only", default=",".join(picture.name for picture in PICTURES))
    given = parser.parse_args()
    sources = dict(one.split("=", 1) for one in given.source)
    HERE.mkdir(exist_ok=True)
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        for picture in PICTURES:
            if picture.name not in given.only.split(","):
                continue
            try:
                recipe = Recipe(find_task(picture.task), pairs=40, seed=3)
                data, _ = build_dataset(recipe, sources.get(picture.task, "recordings"), Path(folder) / picture.name)
            except InputError as error:
                print(f"{picture.name}: left as it is: {error}")
                continue
            with served(data, picture.options) as link:
                png = shoot(browser, picture, link)
            (HERE / f"{picture.name}.png").write_bytes(png)
            print(f"{picture.name}: {len(png) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
