"""The embedding table, and the update that costs what a batch holds, never what the vocabulary holds.

A step is IdGroups -> pull the distinct rows -> a model reads them by a Lookup -> backward -> update of just those rows.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.embedding.lookup import IdGroups, Lookup
from schemas.config import TableConfig
from schemas.optimization import ClipConfig, EmbeddingConfig

CHUNK_ROWS = 65_536
# Below it the stored rows, which are the rows over the scale, are written anew before they lose range.
LEAST_SCALE = 1e-12


@dataclass(frozen=True, slots=True)
class Shard:
    """Which ids a table holds: index, index + count, index + 2 count, ... as its rows 0, 1, 2, ..."""

    index: int = 0
    count: int = 1

    def num_rows(self, num_ids: int) -> int:
        return len(range(self.index, num_ids, self.count))


WHOLE = Shard()


@dataclass(slots=True, eq=False)
class Table:
    """Rows [w | v], which pull reads and update changes in place. No autograd, no DDP sees them."""

    rows: Tensor
    """float32 [n, D], times `scale` the rows."""
    accumulators: Tensor
    """float32 [n]. Row-wise Adagrad: sum over the steps of the mean squared gradient of a row; Adam: decaying mean."""
    moments: Tensor | None = None
    """float32 [n, D], row-wise Adam's first moment; None under Adagrad."""
    scale: float = 1.0
    """Weight decay multiplies all rows by a factor each step: by this one number."""
    shard: Shard = WHOLE
    """The ids whose rows these are."""

    @classmethod
    def create(
        cls,
        num_ids: int,
        config: TableConfig,
        seed: int,
        optimizer: Literal["adagrad", "adam"] = "adagrad",
        shard: Shard = WHOLE,
    ) -> "Table":
        """w = 0, v ~ Normal(0, init_deviation^2). Id i's row depends on seed and i alone: longer tables start alike."""
        num_rows, num_floats = shard.num_rows(num_ids), 1 + config.dimension
        rows = _zeros(num_rows, num_floats)
        generator = np.random.default_rng(seed)  # unlike torch's, it draws one number after another, at any length
        for start in range(0, num_ids, CHUNK_ROWS):
            ids = range(start, min(start + CHUNK_ROWS, num_ids))
            normal = generator.standard_normal((len(ids), config.dimension), dtype=np.float32)
            own = normal[(shard.index - start) % shard.count :: shard.count]
            first = len(range(shard.index, start, shard.count))
            rows[first : first + len(own), 1:] = torch.from_numpy(own).mul_(config.init_deviation)
        moments = _zeros(num_rows, num_floats) if optimizer == "adam" else None
        return cls(rows, _zeros(num_rows), moments, shard=shard)

    def to(self, device: torch.device | str) -> "Table":
        moments = None if self.moments is None else self.moments.to(device)
        return Table(self.rows.to(device), self.accumulators.to(device), moments, self.scale, self.shard)

    def read(self, batch: Batch) -> Lookup:
        """To score `batch`: without a copy of its rows, and without a gradient. Raises ValueError as `check` does."""
        assert self.scale == 1.0, "settle the table before it is read"
        check(batch.ids_N, len(self.rows))
        return Lookup(self.rows, batch.ids_N, batch)

    def pull(self, unique_U: Tensor) -> Tensor:
        """[U, D] copies of those rows."""
        rows_UD = self.rows.index_select(0, unique_U)
        return rows_UD if self.scale == 1.0 else rows_UD.mul_(self.scale)

    def update(
        self,
        groups: IdGroups,
        rows_UD: Tensor,
        grad_UD: Tensor,
        config: EmbeddingConfig,
        learning_rate: float,
        step: int,
    ) -> None:
        """Step number `step`, from 0, in place, on the distinct rows of `groups`, pulled as `rows_UD`; no other.

        g = clip(grad) + l2 row
        adagrad:  acc += mean(g^2);                              row -= learning_rate g / (sqrt(acc) + epsilon)
        adam:     m = b1 m + (1 - b1) g;  acc = b2 acc + (1 - b2) mean(g^2);
                  row -= learning_rate m / (1 - b1^t) / (sqrt(acc / (1 - b2^t)) + epsilon),  t = step + 1

        where mean is over the D floats. Weight decay then has every row of the table multiplied by
        1 - learning_rate weight_decay, the change of this step aside. `learning_rate` is the schedule's for this step;
        config.learning_rate is not looked at.
        """
        if config.clip is not None:
            grad_UD = clip(grad_UD, rows_UD, groups.counts_U, config.clip)
        if config.l2:
            grad_UD = grad_UD.add(rows_UD, alpha=config.l2)
        direction_UD, step_U = (
            self._adagrad(groups, grad_UD, config, learning_rate)
            if self.moments is None
            else self._adam(groups, grad_UD, config, learning_rate, step)
        )
        factor = 1 - learning_rate * config.weight_decay
        if factor == self.scale == 1.0:
            _write(self.rows, groups, torch.addcmul(rows_UD, direction_UD, step_U[:, None]))
            return
        changed_UD = torch.addcmul(rows_UD * factor, direction_UD, step_U[:, None])
        _write(self.rows, groups, changed_UD.div_(self.scale * factor))
        self.decay(factor)

    def decay(self, factor: float) -> None:
        """Multiply all rows by `factor`, at no cost."""
        self.scale *= factor
        if self.scale < LEAST_SCALE:
            self.settle()

    def _adagrad(
        self, groups: IdGroups, grad_UD: Tensor, config: EmbeddingConfig, learning_rate: float
    ) -> tuple[Tensor, Tensor]:
        accumulators_U = self.accumulators.index_select(0, groups.unique_U).add_(grad_UD.square().mean(dim=1))
        _write(self.accumulators, groups, accumulators_U)
        return grad_UD, accumulators_U.sqrt_().add_(config.epsilon).reciprocal_().mul_(-learning_rate)

    def _adam(
        self, groups: IdGroups, grad_UD: Tensor, config: EmbeddingConfig, learning_rate: float, step: int
    ) -> tuple[Tensor, Tensor]:
        assert self.moments is not None
        moments_UD = self.moments.index_select(0, groups.unique_U).lerp_(grad_UD, 1 - config.beta1)
        accumulators_U = self.accumulators.index_select(0, groups.unique_U)
        accumulators_U.lerp_(grad_UD.square().mean(dim=1), 1 - config.beta2)
        _write(self.moments, groups, moments_UD)
        _write(self.accumulators, groups, accumulators_U)
        deviations_U = accumulators_U.div_(1 - config.beta2 ** (step + 1)).sqrt_()
        rate = learning_rate / (1 - config.beta1 ** (step + 1))
        return moments_UD, deviations_U.add_(config.epsilon).reciprocal_().mul_(-rate)

    def settle(self) -> None:
        """Multiply the rows by the scale, which then is 1: the one thing that touches the whole table."""
        if self.scale != 1.0:
            self.rows.mul_(self.scale)
            self.scale = 1.0


def clip(grad_UD: Tensor, rows_UD: Tensor, counts_U: Tensor, config: ClipConfig) -> Tensor:
    """Each row's gradient, shortened to count * max(ratio * |row|, floor) where it is longer (CowClip, algorithm 1)."""
    bounds_U = (rows_UD.norm(dim=1) * config.ratio).clamp_min_(config.floor) * counts_U
    # The smallest normal number: a gradient of 0 stays 0.
    factors_U = (bounds_U / grad_UD.norm(dim=1).clamp_min_(torch.finfo(grad_UD.dtype).tiny)).clamp_max_(1.0)
    clipped_UD: Tensor = grad_UD * factors_U[:, None]
    return clipped_UD


def check(ids_N: Tensor, num_ids: int) -> None:
    """Raise ValueError for an id that a table of `num_ids` rows has no row for: `ids_N` of a CPU."""
    # 0.02 ms of a step; without it an id too large is a bare IndexError on a CPU and kills a GPU's context.
    if not len(ids_N):
        return
    smallest, largest = (int(extreme) for extreme in ids_N.aminmax())
    if smallest < 0 or largest >= num_ids:
        raise ValueError(
            f"the batch holds ids {smallest} to {largest}, the table has rows for 0 to {num_ids - 1} "
            f"(n = {num_ids}): encode with the vocabulary that the table was made for"
        )


def _write(target: Tensor, groups: IdGroups, values_U: Tensor) -> None:
    """target[unique_U] = values_U; index_copy_ is several times as fast as the brackets."""
    if not groups.is_padded:
        target.index_copy_(0, groups.unique_U, values_U)
        return
    # Padding names ids that others name too, so it must not write: it adds 0, and the others what changes.
    changes_U = values_U - target.index_select(0, groups.unique_U)
    is_padding_U = (groups.counts_U == 0).view(-1, *[1] * (target.ndim - 1))
    target.index_add_(0, groups.unique_U, changes_U.masked_fill_(is_padding_U, 0.0))


def _zeros(*shape: int) -> Tensor:
    """numpy asks for huge pages, torch does not: looking up rows of a large table is a quarter faster in them."""
    return torch.from_numpy(np.zeros(shape, np.float32))
