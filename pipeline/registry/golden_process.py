"""Load a registered model as a serving host does, by MLflow alone, and score rows with it.

It imports nothing of Nightjar: the code that the model brings is what is to be tried. MLflow finds its server by the
environment. Whoever starts it need not have a model yet: it imports what any of them needs, and waits for a line that
names one. At the end of its input it ends, at work or not, and its folder with it: whoever started it is no more.
"""

import gc
import importlib
import json
import os
import shutil
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

AHEAD = ("pyarrow.parquet", "pandas", "pydantic", "safetensors.torch", "torch", "mlflow.pyfunc.loaders.code_model")


def main(folder: Path) -> None:
    gc.disable()  # what it imports stays until its end: to look for garbage would take a third of its time
    asked: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_hear, args=(asked, folder), daemon=True).start()
    tempfile.tempdir = str(folder)  # where MLflow puts what it fetches
    _prepare()
    _score(asked.get(), folder)
    gc.freeze()  # nor at its end, which would take a second


def _hear(asked: "SimpleQueue[str]", folder: Path) -> None:
    """Unbuffered: at this process's own end nobody may hold the lock of a buffer."""
    with open(0, "rb", buffering=0, closefd=False) as said:
        for line in said:
            asked.put(json.loads(line))
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _prepare() -> None:
    """What takes seconds, and is the same for every model."""
    for name in AHEAD:
        importlib.import_module(name)
    import mlflow

    with suppress(Exception):  # it is asked again for the model, and what it answers then counts
        mlflow.MlflowClient().search_registered_models(max_results=1)


def _score(model_uri: str, folder: Path) -> None:
    import mlflow
    import numpy as np
    import pyarrow.parquet as pq

    # Its warnings, which nobody would see, are of packages that it requires: those that are installed here.
    model = mlflow.pyfunc.load_model(model_uri, suppress_warnings=True)
    scores = model.predict(pq.read_table(folder / "rows.parquet").to_pandas())
    np.save(folder / "scores.npy", scores.to_numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
