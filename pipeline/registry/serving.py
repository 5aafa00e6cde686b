"""A registered model behind MLflow's own scoring server, which answers raw rows of the log over HTTP."""

import json
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.compute as pc

from pipeline.data.vocabulary import Vocabulary
from pipeline.registry import server
from pipeline.registry.bundle import Bundle
from schemas.errors import Failure
from schemas.features import FeatureField, HashEncoder, QuantileBucketEncoder, ScaleEncoder

HOST = "127.0.0.1"
START_SECONDS = 120.0  # to import torch and read the model, on a busy machine
END_SECONDS = 10.0  # for requests under way, before it is killed
POLL_SECONDS = 0.1
Value = str | float | list[str] | None


@contextmanager
def served(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The process that serves the model in MLflow's folder, once it answers; it is over when the body is.

    It runs by this interpreter, and on the loopback address alone. Raises Failure where it does not come to answer.
    """
    server.be_quiet()
    from mlflow.pyfunc import scoring_server

    command, environment = scoring_server.get_cmd(str(folder), port, HOST, nworkers=1)
    _, *arguments = shlex.split(command)  # after `uvicorn`, which would be looked for on the PATH
    # -P: nothing is imported because it lies where the command stands.
    process = subprocess.Popen(  # noqa: S603 (our own; whoever is on this machine sees a folder and a port)
        [sys.executable, "-P", "-m", "uvicorn", "--log-level", "warning", *arguments], env=environment
    )
    try:
        _wait_for(process, port)
        yield process
    finally:
        _end(process)


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Failure(f"the scoring server has ended by itself, with exit code {process.returncode}")
        with suppress(OSError), urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=1):
            return
        time.sleep(POLL_SECONDS)
    raise Failure(f"the scoring server does not answer after {START_SECONDS:.0f} s")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def curl(bundle: Bundle, port: int) -> str:
    """A command for a shell that asks for one row's probability, with a value in each column that the model reads."""
    row = {field.name: example(field, bundle.vocabulary) for field in bundle.spec.fields}
    body = json.dumps({"dataframe_records": [row]}, ensure_ascii=False)
    address = f"http://{HOST}:{port}/invocations"
    return f"curl {address} -H 'Content-Type: application/json' -d {shlex.quote(body)}"


def example(field: FeatureField, vocabulary: Vocabulary) -> Value:
    """A value as a row may hold it: the commonest, of a number one from the middle; null where none is known."""
    own = vocabulary.fields[[one.name for one in vocabulary.fields].index(field.name)]
    if field.kind == "numeric":
        if isinstance(field.encoder, QuantileBucketEncoder):
            return own.edges[len(own.edges) // 2] if own.edges else None
        return own.shift if isinstance(field.encoder, ScaleEncoder) else 1.0
    if isinstance(field.encoder, HashEncoder):
        value: str | None = "any"
    else:
        first = pc.index(vocabulary.values["field"], field.name).as_py()
        value = None if first < 0 else vocabulary.values["value"][first].as_py()
    return value if field.kind == "categorical" or value is None else [value]
