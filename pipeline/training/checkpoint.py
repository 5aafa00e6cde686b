"""A stage's whole state as one folder: tensors in safetensors, the rest in JSON; never a pickle.

state.safetensors            the model's tensors and the optimizer's
table-0-of-1.safetensors     the table, or one such file for each rank that holds a shard of it
progress.json                how far it is
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from pipeline.data.target import CLICKS, Target
from pipeline.embedding.table import CHUNK_ROWS, Shard, Table
from pipeline.models import CTRModel
from pipeline.runtime import trusted
from pipeline.training import tensor_files

TENSORS = "state.safetensors"
PROGRESS = "progress.json"


@dataclass(slots=True)
class Progress:
    """Where a stage stands; `step` counts over all epochs, `rows_seen` over all ranks, `seconds` only time in steps."""

    stage: str
    step: int = 0
    rows_seen: int = 0
    seconds: float = 0.0
    results: dict[str, float] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    curve: list[list[float]] = field(default_factory=list)
    """[rows seen, NE on a sample of the held-out rows], as training went."""
    best_ne: float | None = None
    """The lowest on the validation rows, where the stage looks at them, and the step it was found at."""
    best_step: int = 0
    looks_since_best: int = 0
    batch_size: int = 0
    """Rows of a step of all ranks together; 0: not told."""
    began: float = 0.0
    """When the stage was begun, and when it was over, in seconds since 1970; 0: not told."""
    ended: float = 0.0
    steps_began: float = 0.0
    """When its first step was begun, and its last one over, told likewise; of a stage that was resumed, the rest's."""
    steps_ended: float = 0.0

    @property
    def published_ne(self) -> float | None:
        """The curve's NE where the state is from that the stage publishes: its end, or its best."""
        rows = self.rows_seen * (self.best_step / self.step if self.best_step else 1.0)
        return next((ne for rows_seen, ne in reversed(self.curve) if rows_seen <= rows), None)


@dataclass(slots=True)
class StageState:
    """What a stage changes as it trains."""

    table: Table
    model: CTRModel
    optimizer: torch.optim.Optimizer
    progress: Progress
    target: Target = CLICKS
    """What the model's outputs are of; it stays as it is."""


def save(state: StageState, folder: Path, with_dense: bool = False) -> None:
    """Write this rank's part into an existing local folder: its shard of the table, and on rank 0 all the rest.

    Where the table is not sharded, rank 0 alone is to save. `with_dense`: the rest too, whatever the rank.
    """
    save_table(state.table, folder)
    if state.table.shard.index == 0 or with_dense:
        _save_dense(state, folder)


def save_table(table: Table, folder: Path) -> None:
    tensors = {"rows": table.rows, "accumulators": table.accumulators}
    if table.moments is not None:
        tensors["moments"] = table.moments
    tensor_files.save({name: values.cpu() for name, values in tensors.items()}, folder / _table_file(table.shard))


def save_origin(name: str, batch_size: int, table: Table, model: Mapping[str, Tensor], folder: Path) -> None:
    """Write a model's tensors, trained elsewhere, as a stage of that name for others to start from; no optimizer."""
    save_table(table, folder)
    dense = {f"model.{name}": value for name, value in model.items()}
    _write(folder, dense, Progress(name, batch_size=batch_size), table)


def _save_dense(state: StageState, folder: Path) -> None:
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    scalars: dict[str, Any] = {}
    for position, slots in state.optimizer.state_dict()["state"].items():
        for name, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{position}.{name}"] = value
            elif value is not None:
                scalars[f"{position}.{name}"] = value
    _write(folder, tensors, state.progress, state.table, scalars)


def _write(
    folder: Path,
    tensors: Mapping[str, Tensor],
    progress: Progress,
    table: Table,
    optimizer_scalars: Mapping[str, Any] | None = None,
) -> None:
    tensor_files.save({name: value.detach().contiguous().cpu() for name, value in tensors.items()}, folder / TENSORS)
    saved = {
        "progress": asdict(progress),
        "optimizer": optimizer_scalars or {},
        "table": {"scale": table.scale, "num_shards": table.shard.count},
    }
    (folder / PROGRESS).write_bytes(trusted.sealed(saved))


def restore(state: StageState, folder: Path) -> None:
    """Overwrite `state` with the saved one of the same stage, optimizer included, of whatever number of ranks."""
    saved, tensors = _read(folder), load_dense(folder)
    load_table(state.table, folder)
    state.model.load_state_dict(_under("model.", tensors))
    slots: dict[int, dict[str, Any]] = {}
    for key, value in {**_under("optimizer.", tensors), **saved["optimizer"]}.items():
        position, _, name = key.partition(".")
        slots.setdefault(int(position), {})[name] = value
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": slots})
    state.progress = Progress(**saved["progress"])


def load_table(table: Table, folder: Path, names: Sequence[str] = ("rows", "accumulators", "moments")) -> None:
    """Copy what is saved of the ids that `table` holds, from however many shards; later ids keep their fresh rows."""
    saved, own = _read(folder)["table"], table.shard
    table.scale = saved["scale"]
    for shard in _shards(saved["num_shards"]):
        if shard.count == own.count and shard.index != own.index:
            continue
        tensor_files.check(str(folder / _table_file(shard)))
        with safe_open(folder / _table_file(shard), framework="pt") as file:
            for name in set(names) & set(file.keys()):
                target, values = getattr(table, name), file.get_slice(name)
                if target is not None:
                    _copy_own(target, own, values, shard)


def _copy_own(target: Tensor, own: Shard, values: Any, shard: Shard) -> None:
    """Chunk by chunk, so that a rank never holds its table twice. `values` are a slice of a file."""
    for start in range(0, values.get_shape()[0], CHUNK_ROWS):
        chunk = values[start : start + CHUNK_ROWS]
        ids = torch.arange(start, start + len(chunk)) * shard.count + shard.index
        is_own = ids % own.count == own.index
        target[(ids[is_own] // own.count).to(target.device)] = chunk[is_own].to(target.device)


def deviation_of_v(folder: Path) -> float:
    """Root mean square of v over the saved rows that were ever trained on, of all shards; 0.0 where none was."""
    squares, count = 0.0, 0
    for shard in _shards(_read(folder)["table"]["num_shards"]):
        with safe_open(folder / _table_file(shard), framework="pt") as file:
            rows, accumulators = file.get_slice("rows"), file.get_slice("accumulators")
            for start in range(0, rows.get_shape()[0], CHUNK_ROWS):
                is_trained = accumulators[start : start + CHUNK_ROWS] > 0
                v = rows[start : start + CHUNK_ROWS][is_trained, 1:]
                squares, count = squares + float(v.double().square().sum()), count + v.numel()
    return sqrt(squares / max(count, 1))


def load_dense(folder: Path) -> dict[str, Tensor]:
    """The model's tensors under `model.`, the optimizer's under `optimizer.`."""
    return tensor_files.load(folder / TENSORS)


def load_tensors(folder: Path) -> dict[str, Tensor]:
    """The model's tensors under `model.`, and the whole table's `table.rows` and `table.accumulators`."""
    tables = [tensor_files.load(folder / _table_file(shard)) for shard in _shards(_read(folder)["table"]["num_shards"])]
    tensors = {name: value for name, value in load_dense(folder).items() if name.startswith("model.")}
    for name in ("rows", "accumulators"):
        tensors[f"table.{name}"] = _interleaved([table[name] for table in tables])
    return tensors


def _interleaved(parts: list[Tensor]) -> Tensor:
    if len(parts) == 1:
        return parts[0]
    whole = parts[0].new_empty(sum(map(len, parts)), *parts[0].shape[1:])
    for index, part in enumerate(parts):
        whole[index :: len(parts)] = part
    return whole


def read_progress(folder: Path) -> Progress:
    """Raises trusted.Damaged."""
    return trusted.read(str(folder / PROGRESS), parse_progress)


def parse_progress(content: bytes) -> Progress:
    """What a file called PROGRESS says of its stage."""
    return Progress(**trusted.unsealed(content)["progress"])


def parse_num_shards(content: bytes) -> int:
    """How many files its table is saved in."""
    return int(trusted.unsealed(content)["table"]["num_shards"])


def state_files(num_shards: int) -> set[str]:
    """Names of what all ranks together have saved of a stage's state."""
    return {name for shard in _shards(num_shards) for name in own_files(shard)}


def _read(folder: Path) -> dict[str, Any]:
    return trusted.read(str(folder / PROGRESS), trusted.unsealed)


def _shards(count: int) -> list[Shard]:
    return [Shard(index, count) for index in range(count)]


def _table_file(shard: Shard) -> str:
    return f"table-{shard.index}-of-{shard.count}.safetensors"


def own_files(shard: Shard) -> list[str]:
    """What a rank with that shard saves: names in the folder."""
    return [_table_file(shard), *((TENSORS, PROGRESS) if shard.index == 0 else ())]


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
