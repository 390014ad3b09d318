"""A scripted person answers pairs of BallCircle through the page, and a policy learns from the answers (a script, no test).

    python tests/benchmarks/annotate.py --out FOLDER [--pairs 200] [--slips 0.05] [--steps 4000] [--episodes 20]
    python tests/benchmarks/annotate.py --out FOLDER --only page [--pairs 10000]

The person sees what the page draws, never the truth: its table of numbers gives the way along the circle and the steps beyond
the lines. Every answer is one key; a share of them are slips. Afterwards `--finish`, `verify`, `presa train` and
`presa evaluate`, once with these labels and once with simulated ones of the same noise. It tests the chain, and says nothing
of people. Printed besides: from the key that goes on to the next pair drawn, and between frames while clips play, in
milliseconds; how long the page takes to start, and what the server's memory peaks at.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
from fixtures import BROWSERS, FLAGS
from person import Person, judge_circle
from server import Server

from safefeedback import read

KEYS = """() => {
    window.waits = []; // until the next pair is on the canvas, and until that frame is shown
    addEventListener('keydown', (event) => { if (event.key === 'Enter') window.pressed = performance.now(); }, true);
    new PerformanceObserver((list) => {
        if (window.pressed === undefined) return;
        const pressed = window.pressed;
        window.pressed = undefined;
        const drawn = list.getEntries().at(-1).startTime - pressed;
        requestAnimationFrame(() => setTimeout(() => window.waits.push([drawn, performance.now() - pressed])));
    }).observe({entryTypes: ['mark']});
}"""
THREE = ("Left is better", "Left is safe", "Right is unsafe")
FRAMES = """() => new Promise((done) => {
    const times = [];
    let last = performance.now();
    const tick = (now) => {
        times.push(now - last);
        last = now;
        if (times.length < 600) requestAnimationFrame(tick); else done(times.slice(30));
    };
    requestAnimationFrame(tick);
})"""


def run(*words: object, program: str = "safefeedback") -> str:
    """Runs one of our commands and returns its output. Ends this script if it fails."""
    print("$", program, *words, flush=True)
    done = subprocess.run([sys.executable, "-m", program, *map(str, words)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"it failed with code {done.returncode}:\n{done.stdout}")
    return done.stdout


def label(data: Path, slips: float, only_page: bool) -> dict[str, Any]:
    """Answers every pair through the page, unless only the page is measured; returns the measurements."""
    server = Server(data, "--name", "scripted", "--annotators", "scripted", "--quick")
    path = next(filter(None, map(shutil.which, BROWSERS)))
    rng, told = np.random.default_rng(0), {}
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=path, args=FLAGS.split())
            tab = browser.new_page(viewport={"width": 1280, "height": 720})
            person = Person.at(tab, server.link("scripted"))
            told["page_start_seconds"] = tab.evaluate("performance.getEntriesByName('pair-drawn')[0].startTime") / 1000
            tab.evaluate(KEYS)
            frames = sorted(tab.evaluate(FRAMES))
            told |= {"frame_ms_median": frames[len(frames) // 2], "frame_ms_99": frames[int(len(frames) * 0.99)]}
            before = time.perf_counter()
            total = server.progress("scripted")["total"]
            total = min(total, 50) if only_page else total
            for index in range(total):
                answer = THREE if only_page else judge_circle(person, rng, slips)
                person.answer(*answer)
                if tab.locator("dialog[open]").count():  # a break is offered
                    tab.keyboard.press("Enter")
                if index < total - 1:
                    person.await_pair()
            waits = tab.evaluate("window.waits")
            told |= {"pairs": total, "seconds_a_pair": (time.perf_counter() - before) / total}
            for index, name in enumerate(("key_to_drawn_ms", "key_to_shown_ms")):
                times = sorted(wait[index] for wait in waits)
                told |= {f"{name}_median": statistics.median(times), f"{name}_90": times[int(len(times) * 0.9)]}
            told["answered"] = server.progress("scripted")["answered"]
            told["page_heap_mb"] = tab.evaluate("performance.memory.usedJSHeapSize") / 1e6
            status = Path(f"/proc/{server.process.pid}/status")
            if status.is_file():
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                told["server_peak_mb"] = int(lines["VmHWM"].split()[0]) / 1000
            browser.close()
    finally:
        server.kill()
    return told


def compare(data: Path, labels: str) -> dict[str, float]:
    """How often the labels of a label set are true."""
    truth, said = read(data), read(data, labels=labels)
    rows = np.searchsorted(truth.pair_id, said.pair_id)
    given = ~np.isnan(said.preference)
    right = said.preference[given] == truth.preference[rows][given]
    safe = ~np.isnan(said.safe)
    return {"preference": float(right.mean()), "safety": float((said.safe[safe] == truth.safe[rows][safe]).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--slips", type=float, default=0.05)
    parser.add_argument("--algorithm", default="weighted-bc")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of the algorithm")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--bc-steps", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument(
        "--only", choices=["page", "label", "learn"], help="one part of it; the others come from the same folder"
    )
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    given.out.mkdir(parents=True, exist_ok=True)
    data = given.out / "ball"
    if not data.is_dir():
        run("build", "--task", "BallCircle", "--pairs", given.pairs, "--source", "recordings", "--out", data)
    file = given.out / "measured.json"
    told: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    if given.only != "learn":
        told["page"] = label(data, given.slips, given.only == "page")
    if given.only in (None, "learn"):
        run("annotate", data, "--name", "scripted", "--finish", "--overwrite")
        noise = ["--noise", given.slips, "--preference-noise", given.slips]
        run("relabel", data, *noise, "--name", "simulated", "--overwrite")
        run("verify", data)
        for labels in ("scripted", "simulated"):
            told[labels] = {"agrees_with_the_truth": compare(data, labels)}
            out = given.out / f"run-{labels}"
            words = ["--labels", labels, "--algorithm", given.algorithm, "--steps", given.steps, "--bc-steps", given.bc_steps]
            words += [word for one in given.set for word in ("--set", one)]
            run("train", data, *words, "--out", out, "--overwrite", program="presa")
            rows = json.loads(run("evaluate", out, "--episodes", given.episodes, "--json", program="presa"))
            told[labels]["evaluation"] = rows
    file.write_text(json.dumps(told, indent=2))
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
