"""Load a registered model as a serving host does, by MLflow alone, and score rows with it.

It imports nothing of Nightjar: the code that the model brings is what is to be tried.
"""

import sys

import mlflow
import numpy as np
import pyarrow.parquet as pq


def main(tracking_uri: str, model_uri: str, rows_path: str, scores_path: str) -> None:
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    model = mlflow.pyfunc.load_model(model_uri)
    scores = model.predict(pq.read_table(rows_path).to_pandas())
    np.save(scores_path, scores["probability"].to_numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
