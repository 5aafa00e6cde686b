"""Where a run's finished stages lie, for other stages, the figures and the registry to read.

A folder of them holds the state that the stage ended with (training/checkpoint.py) and what it made of the held-out
rows; `_SUCCESS` comes last.
"""

import io
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import fsspec
import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.calibration import CALIBRATION as CALIBRATION_LAYER
from pipeline.evaluation.calibration import Isotonic, Platt
from pipeline.runtime import files, trusted
from pipeline.training import checkpoint
from pipeline.training.checkpoint import StageState
from schemas.stage import ORIGIN

HELD_OUT_SUMS = "held_out.npz"
HELD_OUT_LOGITS = "logits-"  # and the rank
VALIDATION_LOGITS = "validation-"  # and the rank; of a look, where these are kept
CALIBRATION = "calibration.json"  # where it has one


def stage_uri(run_uri: str, name: str) -> str:
    """Where a finished stage of the run is published."""
    return f"{run_uri}/stages/{name}"


def origin_name(uri: str) -> str:
    """By what name the registered model at `uri` lies among the run's stages."""
    return f"{ORIGIN}{sha256(uri.encode()).hexdigest()[:16]}"


def put(state: StageState | None, extra: dict[str, bytes], uri: str) -> dict[str, int]:
    """Save this rank's part of a finished stage at `uri`, any fsspec URI, over what an earlier attempt left.

    None: of the state it has none to save. Returns the files that it has written, and their bytes.
    """
    assert state is None or state.table.scale == 1.0, "settle the table before it is published"
    fs, path = fsspec.core.url_to_fs(uri)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if state is not None:
            checkpoint.save(state, folder)
        for file_name, content in extra.items():
            (folder / file_name).write_bytes(content)
        files.make_folder(fs, path)
        for file in sorted(folder.iterdir()):
            fs.put_file(str(file), f"{path}/{file.name}")
        return {file.name: file.stat().st_size for file in folder.iterdir()}


def npz(of_window: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Window of the split -> logits, as files of logits hold them."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **of_window)
    return buffer.getvalue()


def publish(uri: str, written: Mapping[str, int | None] | None = None) -> None:
    """Say that all ranks have put their parts there. Raises Failure where a file that they have `written` is not."""
    trusted.mark_complete(uri, written)


def is_published(uri: str) -> bool:
    return files.is_complete(uri)


def parse_calibration(content: bytes) -> Platt | Isotonic:
    return CALIBRATION_LAYER.validate_python(trusted.unsealed(content))
