"""A headless Chromium, spoken to by the DevTools protocol over two pipes, so that no websocket client is needed."""

import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BINARY = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
# Frames stay in their page's process, where the page's session reaches them.
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")
ONE_PROCESS = ("--disable-site-isolation-trials", "--disable-features=IsolateSandboxedIframes,IsolateOrigins")
# Chromium reads commands from descriptor 3 and answers on 4.
WITH_PIPES = ("bash", "-c", 'exec "${@:3}" 3<&"$1" 4>&"$2"', "bash")
TEXT = "document.body ? document.body.innerText : ''"


class Chromium:
    """One page. Text is what a reader sees: rendered, without what is hidden, a table's cells with tabs between."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._unread = b""
        self._numbers = itertools.count(1)
        self._session: str | None = None
        [page] = [target for target in self._ask("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        self._session = self._ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]

    def open(self, url: str, width: int = 1600, height: int = 1200) -> None:
        """Go there; by a blank page, since another `#` alone would not load anew."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        for stop in ("about:blank", url):
            self._ask("Page.navigate", url=stop)

    def value(self, expression: str) -> Any:
        """Of a JavaScript expression, in the page."""
        return self._ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def shown(self, *words: str, seconds: float = 120) -> str:
        """The text of the page and of its frames, as soon as it holds all the words."""
        deadline = time.monotonic() + seconds
        while True:
            text = "\n".join(self._texts())
            missing = [word for word in words if word not in text]
            if not missing:
                return text
            if time.monotonic() > deadline:
                raise TimeoutError(f"{missing} do not stand in:\n{text}")
            time.sleep(0.2)

    def _texts(self) -> Iterator[str]:
        tree = self._ask("Page.getFrameTree")["frameTree"]
        yield str(self.value(TEXT))
        for child in tree.get("childFrames", []):
            try:
                world = self._ask("Page.createIsolatedWorld", frameId=child["frame"]["id"])["executionContextId"]
                answer = self._ask("Runtime.evaluate", expression=TEXT, contextId=world, returnByValue=True)
            except ProtocolError:  # the frame went away in between
                continue
            yield str(answer["result"].get("value", ""))

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                if "error" in answer:
                    raise ProtocolError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            read = os.read(self._answers, 1 << 16)
            if not read:
                raise EOFError("Chromium has ended")
            self._unread += read
        message, _, self._unread = self._unread.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed


class ProtocolError(Exception):
    """A command that Chromium refused."""


@contextmanager
def chromium(profile: Path) -> Iterator[Chromium]:
    """Started with an empty `profile`; ended with the block."""
    assert BINARY
    their_commands, commands = os.pipe()
    answers, their_answers = os.pipe()
    ends = (str(their_commands), str(their_answers))
    browser = subprocess.Popen(
        [*WITH_PIPES, *ends, BINARY, *FLAGS, *ONE_PROCESS, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(their_commands, their_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_commands)
    os.close(their_answers)
    try:
        yield Chromium(commands, answers)
    finally:
        os.close(commands)  # which ends it
        os.close(answers)
        try:
            browser.wait(timeout=30)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
