"""What a row costs a server: the exported file, the pyfunc in the caller's own process, and MLflow's server over HTTP.

    make demo && taskset -c 0 .venv/bin/python tests/benchmarks/serving.py

The demo's champion answers requests of one row and of 1,000, by the clock, each on one thread; a server and whoever
asks it share the processor that `taskset` leaves them. The exported file gets tensors, the pyfunc a DataFrame, and the
server JSON over one connection that stays open: MLflow's, as `nightjar serve` and as `mlflow models serve` start it.
"""

import argparse
import http.client
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from pipeline.export import onnx_file
from pipeline.export.inputs import PROBABILITY, feeds
from pipeline.registry import model_uri, serving
from pipeline.registry.bundle import Bundle
from schemas.config import MLflowConfig

PORT, MLFLOW_PORT = 5017, 5018
REQUESTS = {
    1: {"onnxruntime": 3000, "pyfunc": 500, "nightjar serve": 300, "mlflow models serve": 300},
    1000: {"onnxruntime": 200, "pyfunc": 100, "nightjar serve": 50, "mlflow models serve": 50},
}
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
SERVERS = {"nightjar serve": PORT, "mlflow models serve": MLFLOW_PORT}
Answer = Callable[[pa.Table], Callable[[], object]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models:/ctr@champion")
    parser.add_argument("--work", default=".nightjar", type=Path)
    parser.add_argument("--logs", default="data/demo/logs", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    tracking = model_uri.where_registered(chosen.model, MLflowConfig(), str(chosen.work.absolute()))
    newest = max(chosen.logs.glob("date=*"))
    with model_uri.fetched(tracking, chosen.model) as (folder, bundle), tempfile.TemporaryDirectory() as name:
        rows = (
            pq.read_table(newest, partitioning=None).select(list(bundle.spec.feature_columns)).slice(0, max(REQUESTS))
        )
        of_file = exported(bundle, f"{name}/served")
        of_pyfunc = in_process(folder)
        with serving.served(folder, PORT), by_mlflow(folder):
            of_servers = {server: over_http(port) for server, port in SERVERS.items()}
            show({"onnxruntime": of_file, "pyfunc": of_pyfunc, **of_servers}, rows)


def exported(bundle: Bundle, out: str) -> Answer:
    """It shows what the file takes, too."""
    card = onnx_file.export(bundle, "", out, ())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    began = time.perf_counter()
    session = onnxruntime.InferenceSession(f"{out}/{onnx_file.GRAPH}", options)
    loaded, megabytes = time.perf_counter() - began, sum(card.files.values()) / 1e6
    print(f"{bundle.stage.model} of {bundle.vocabulary.num_ids:,} ids: {megabytes:.1f} MB, open in {loaded:.2f} s")
    print(f"{card.checked.largest_difference:.1g} apart in p from the bundle at most")

    def answer(rows: pa.Table) -> Callable[[], object]:
        tensors = feeds(rows, bundle.spec, ())
        return lambda: session.run([PROBABILITY], tensors)

    return answer


def in_process(folder: Path) -> Answer:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    model = mlflow.pyfunc.load_model(str(folder))

    def answer(rows: pa.Table) -> Callable[[], object]:
        frame = rows.to_pandas()
        return lambda: model.predict(frame)

    return answer


@contextmanager
def by_mlflow(folder: Path) -> Iterator[None]:
    """Served by MLflow's own command, once it answers."""
    where = ["--model-uri", str(folder), "--host", serving.HOST, "--port", str(MLFLOW_PORT)]
    command = [sys.executable, "-m", "mlflow", "models", "serve", *where, "--env-manager", "local", "--workers", "1"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # it looks for uvicorn
    with subprocess.Popen(command, env=environment, start_new_session=True, **QUIET) as process:
        try:
            while not answers(MLFLOW_PORT):
                assert process.poll() is None, f"it ended by itself: {command}"
                time.sleep(0.1)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://{serving.HOST}:{port}/health"):
        return True
    return False


def over_http(port: int) -> Answer:
    connection = http.client.HTTPConnection(serving.HOST, port)

    def answer(rows: pa.Table) -> Callable[[], object]:
        body = json.dumps({"dataframe_records": rows.to_pylist()})

        def ask() -> object:
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            said = response.read()
            assert response.status == http.HTTPStatus.OK, said
            return said

        return ask

    return answer


def show(answers: dict[str, Answer], rows: pa.Table) -> None:
    for num_rows, of_way in REQUESTS.items():
        for way, num_requests in of_way.items():
            ask = answers[way](rows.slice(0, num_rows))
            taken = [clocked(ask) for _ in range(num_requests // 10 + num_requests)][num_requests // 10 :]
            p50, p99 = np.percentile(taken, [50, 99]) * 1e3
            print(f"{num_rows:5,} rows  {way:19}  p50 {p50:8.3f} ms  p99 {p99:8.3f} ms")


def clocked(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
