"""`safefeedback annotate` in its own process, which can be killed and started again at the same address."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

WAIT = 120


class Server:
    """A study that is being served.

    Attributes:
        folder: of the dataset.
        url: where it listens.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        words = ["annotate", str(self.folder), "--no-browser", "--port", str(self.port), *self.options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "safefeedback", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        timer = threading.Timer(WAIT, self.process.kill)
        timer.start()
        said = []
        for line in self.process.stdout or ():
            said.append(line)
            if line.startswith("open "):
                break
        else:
            raise AssertionError(f"annotate ended: {''.join(said)}")
        timer.cancel()

    def link(self, name: str) -> str:
        return f"{self.url}/?name={name}"

    def progress(self, name: str) -> dict[str, Any]:
        with urlopen(Request(f"{self.url}/api/progress", headers={"X-Annotator": name}), timeout=WAIT) as response:
            return json.load(response)["state"]["progress"]

    def kill(self) -> None:
        """As if the power failed."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
