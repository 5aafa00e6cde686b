"""Does the registered model, loaded in a process of its own, score as the trained one did?"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.registry import model_uri
from pipeline.registry.bundle import Bundle
from pipeline.registry.tracking import Tracking
from schemas.errors import Failure
from schemas.features import Objective
from schemas.redaction import redacted

SCRIPT = Path(__file__).with_name("golden_process.py")
TIMEOUT_SECONDS = 300


class Host:
    """Where registered models are tried: each in a process of its own, which ends with this one, however it ends.

    One may be started before there is a model, for its imports take seconds; it waits with 300 MB of memory.
    """

    def __init__(self, tracking: Tracking, num_rows: int) -> None:
        """`num_rows`: of those that a model is to score; 0: none is tried."""
        self.tracking, self.num_rows = tracking, num_rows
        self._waiting: _Process | None = None
        self._processes = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self._processes.close()

    def start(self) -> None:
        """Have a process wait for a model; nothing, where one waits already, which nobody has ended meanwhile."""
        if self.num_rows and (self._waiting is None or self._waiting.popen.poll() is not None):
            self._waiting = self._processes.enter_context(_process(self.tracking.uri))

    def ask(self, uri: str, bundle: Bundle, rows: pa.Table) -> "Trial":
        """Let the registered model that came of the bundle score the rows.

        Raises Refusal where its bundle is not what was registered: before the code runs that lies beside it.
        """
        model_uri.contents_of(self.tracking, uri)
        self.start()
        assert self._waiting, "rows are asked for"
        process, self._waiting = self._waiting, None
        features = rows.select(list(bundle.spec.feature_columns))
        process.ask(uri, features)
        return Trial(uri, process, bundle.scores(features), bundle.spec.objective)


@dataclass(frozen=True, slots=True)
class Trial:
    """A registered model that is being tried, and the scores that it is to come to."""

    uri: str
    _process: "_Process"
    _expected: NDArray[np.float32]
    """[R, columns]"""
    _objective: Objective

    def largest_difference(self) -> float:
        """How far apart the two models' scores of a row are at most, once they are there.

        Of numbers, as a share of the largest.

        Raises Failure if the registered one can't be used.
        """
        found = self._process.scores()
        if isinstance(found, str):
            raise Failure(f"the registered model {self.uri} cannot be loaded and used: {redacted(found)}")
        largest = np.abs(self._expected).max(initial=0.0) if self._objective == "regression" else 1.0
        return float(np.abs(found - self._expected).max(initial=0.0) / (largest or 1.0))


@dataclass(frozen=True, slots=True)
class _Process:
    popen: "subprocess.Popen[bytes]"
    folder: Path

    def ask(self, uri: str, rows: pa.Table) -> None:
        pq.write_table(rows, self.folder / "rows.parquet")
        assert self.popen.stdin
        with suppress(BrokenPipeError):  # it is over: its last words tell why
            self.popen.stdin.write(json.dumps(uri).encode() + b"\n")
            self.popen.stdin.flush()

    def scores(self) -> "NDArray[np.float32] | str":
        """Of the rows; or why there are none."""
        try:
            exit_code = self.popen.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return f"nothing came within {TIMEOUT_SECONDS} s"
        if exit_code:
            said = (self.folder / "said.txt").read_text(errors="replace").strip().splitlines()
            return said[-1] if said else f"exit code {exit_code}"
        scores: NDArray[np.float32] = np.load(self.folder / "scores.npy")
        return scores


@contextmanager
def _process(tracking_uri: str) -> Iterator[_Process]:
    """At work or waiting for it until the body is over."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        # -P: it finds what is installed and what the model brings, and nothing because it lies beside the script.
        command = [sys.executable, "-P", str(SCRIPT), name]
        # Whoever is on this machine can read a command, and nobody else an environment.
        environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "MLFLOW_REGISTRY_URI": tracking_uri}
        with Path(name, "said.txt").open("wb") as said:
            popen = subprocess.Popen(  # noqa: S603 (our own)
                command, env=environment, stdin=subprocess.PIPE, stdout=said, stderr=said
            )
        try:
            yield _Process(popen, Path(name))
        finally:
            popen.kill()
            with suppress(BrokenPipeError):
                popen.communicate()
