"""A stage's whole state as one folder: tensors in safetensors, the rest in JSON; never a pickle."""

import json
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.data import files
from pipeline.models import CTRModel
from pipeline.models.table import Table

TENSORS = "state.safetensors"
PROGRESS = "progress.json"


@dataclass(slots=True)
class Progress:
    """Where a stage stands; `step` counts over all epochs, `seconds` only time spent in steps."""

    stage: str
    step: int = 0
    rows_seen: int = 0
    seconds: float = 0.0
    results: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class StageState:
    """What a stage changes as it trains."""

    table: Table
    model: CTRModel
    optimizer: torch.optim.Optimizer
    progress: Progress


def save(state: StageState, folder: Path) -> None:
    """Write the state into an existing local folder."""
    tensors = {"table.rows": state.table.rows, "table.accumulators": state.table.accumulators}
    tensors |= {f"model.{name}": value for name, value in state.model.state_dict().items()}
    scalars: dict[str, Any] = {}
    for position, slots in state.optimizer.state_dict()["state"].items():
        for name, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{position}.{name}"] = value
            elif value is not None:
                scalars[f"{position}.{name}"] = value
    save_file({name: value.detach().contiguous().cpu() for name, value in tensors.items()}, folder / TENSORS)
    progress = {"progress": asdict(state.progress), "optimizer": scalars}
    (folder / PROGRESS).write_text(json.dumps(progress, indent=1), encoding="utf-8")


def restore(state: StageState, folder: Path) -> None:
    """Overwrite `state` with the saved one of the same stage, optimizer included."""
    tensors = load_tensors(folder)
    saved = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
    load_table(state.table, tensors)
    state.model.load_state_dict(_under("model.", tensors))
    slots: dict[int, dict[str, Any]] = {}
    for key, value in {**_under("optimizer.", tensors), **saved["optimizer"]}.items():
        position, _, name = key.partition(".")
        slots.setdefault(int(position), {})[name] = value
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": slots})
    state.progress = Progress(**saved["progress"])


def load_table(table: Table, tensors: dict[str, Tensor]) -> None:
    """Copy saved rows and accumulators into the table's first rows; ids added since keep their fresh rows."""
    known = len(tensors["table.rows"])
    table.rows[:known] = tensors["table.rows"]
    table.accumulators[:known] = tensors["table.accumulators"]


def load_tensors(folder: Path) -> dict[str, Tensor]:
    return dict(load_file(folder / TENSORS))


def read_progress(folder: Path) -> Progress:
    return Progress(**json.loads((folder / PROGRESS).read_text(encoding="utf-8"))["progress"])


def publish(state: StageState, extra: dict[str, bytes], uri: str) -> None:
    """Save a finished stage at `uri`, any fsspec URI, `_SUCCESS` last; what an earlier attempt left is overwritten."""
    fs, path = fsspec.core.url_to_fs(uri)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(state, folder)
        for file_name, content in extra.items():
            (folder / file_name).write_bytes(content)
        fs.makedirs(path, exist_ok=True)
        for file in sorted(folder.iterdir()):
            fs.put_file(str(file), f"{path}/{file.name}")
    files.write_bytes(f"{uri}/_SUCCESS", b"")


def is_published(uri: str) -> bool:
    return files.exists(f"{uri}/_SUCCESS")


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
