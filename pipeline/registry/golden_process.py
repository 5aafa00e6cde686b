"""Load a registered model as a serving host does, by MLflow alone, and score rows with it.

It imports nothing of Nightjar: the code that the model brings is what is to be tried. MLflow finds its server by the
environment.
"""

import sys

import mlflow
import numpy as np
import pyarrow.parquet as pq


def main(model_uri: str, rows_path: str, scores_path: str) -> None:
    model = mlflow.pyfunc.load_model(model_uri)
    scores = model.predict(pq.read_table(rows_path).to_pandas())
    np.save(scores_path, scores["probability"].to_numpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
