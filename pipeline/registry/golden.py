"""Does the registered model, loaded in a process of its own, score as the trained one did?"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.registry.bundle import Bundle
from schemas.errors import Failure
from schemas.redaction import redacted

SCRIPT = Path(__file__).with_name("golden_process.py")
TIMEOUT_SECONDS = 300


def largest_difference(tracking_uri: str, model_uri: str, bundle: Bundle, rows: pa.Table) -> float:
    """How far apart the two models' probabilities of a row are at most. Failure if the registered one can't be used."""
    with tempfile.TemporaryDirectory() as name:
        rows_path, scores_path = Path(name, "rows.parquet"), Path(name, "scores.npy")
        features = rows.select(list(bundle.spec.feature_columns))
        pq.write_table(features, rows_path)
        # -P: it finds what is installed and what the model brings, and nothing because it lies beside the script.
        command = [sys.executable, "-P", str(SCRIPT), model_uri, str(rows_path), str(scores_path)]
        # Whoever is on this machine can read a command, and nobody else an environment.
        environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "MLFLOW_REGISTRY_URI": tracking_uri}
        done = subprocess.run(  # noqa: S603 (our own)
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise Failure(f"the registered model {model_uri} cannot be loaded and used: {redacted(last)}")
        scores = np.load(scores_path)
    return float(np.abs(scores - bundle.probabilities(features)).max(initial=0.0))
