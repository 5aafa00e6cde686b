"""Where the table's rows live among the ranks, and how a step gets them and gives their gradients back.

`prepare` is for a loader's thread: it groups a batch's ids and tells the other ranks which, before the step begins.
`pull` and `push` are a step's two exchanges. N ranks over their shares of a batch do what one does over all of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.embedding import exchange
from pipeline.embedding.kernels import BY_TORCH, Kernels, kernels_of
from pipeline.embedding.lookup import IdGroups, Lookup, group_ids_padded
from pipeline.embedding.table import Shard, Table, check
from schemas.config import TableConfig
from schemas.optimization import EmbeddingConfig


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A batch on the device it is trained on, its ids grouped."""

    batch: Batch
    groups: IdGroups
    """The ids of this rank's batch. Row-sharded: the distinct ones are numbered in the order of their owners."""
    update: IdGroups
    """The ids whose rows this rank updates, as it receives them from all ranks. One rank: `groups`."""
    sent: tuple[int, ...] = ()
    """Distinct ids to each rank."""
    received: tuple[int, ...] = ()
    """Distinct ids from each rank."""


class Placement(Protocol):
    """Gets one stage the rows of its table, and takes their gradients back."""

    @property
    def num_ranks(self) -> int:
        """That share a step."""

    @property
    def in_words(self) -> str:
        """Where the rows are, to be told."""

    def prepare(self, batch: Batch) -> Prepared:
        """Raises ValueError for an id outside the table, before anything is exchanged."""

    def pull(self, prepared: Prepared) -> Tensor:
        """[U, D] the distinct rows of the batch."""

    def push(
        self, prepared: Prepared, rows_UD: Tensor, grad_UD: Tensor, config: EmbeddingConfig, rate: float, step: int
    ) -> None:
        """Update all touched rows by the mean over ranks of their gradients. `rows_UD` is what pull gave."""

    def lookup(self, batch: Batch) -> Lookup:
        """To score a batch: its rows as float32, without a gradient, on the table's device.

        Raises ValueError for an id outside the table. Where rows are sharded, all ranks must ask together.
        """

    def until_all_end(self, batches: Iterable[Batch], num_fields: int) -> Iterator[Batch]:
        """The batches to look up; where ranks must ask together, then ones of no rows until every rank's have ended."""


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """A table all of whose rows are here: to look them up, no other rank is asked."""

    table: Table
    kernels: Kernels = BY_TORCH

    def pull(self, prepared: Prepared) -> Tensor:
        return self.table.pull(prepared.groups.unique_U)

    def lookup(self, batch: Batch) -> Lookup:
        return self.table.read(batch.to(self.table.rows.device))

    def until_all_end(self, batches: Iterable[Batch], num_fields: int) -> Iterator[Batch]:
        return iter(batches)


@dataclass(frozen=True, slots=True, eq=False)
class Alone(_Whole):
    """One rank: all rows are here."""

    num_ranks: int = 1
    in_words: str = "all rows on one rank"

    def prepare(self, batch: Batch) -> Prepared:
        check(batch.ids_N, len(self.table.rows))
        device = self.table.rows.device
        if device.type == "cpu":
            groups = self.kernels.group(batch.ids_N, len(self.table.rows))
            return Prepared(batch, groups, groups)
        batch = batch.pin_memory().to(device)
        groups = group_ids_padded(batch.ids_N)
        return Prepared(batch, groups, groups)

    def push(
        self, prepared: Prepared, rows_UD: Tensor, grad_UD: Tensor, config: EmbeddingConfig, rate: float, step: int
    ) -> None:
        self.table.update(prepared.update, rows_UD, grad_UD, config, rate, step)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Replicated(_Whole):
    """Every rank holds all rows, and gathers what the others touched: all then update alike, to the same bits."""

    ranks: dist.ProcessGroup | None
    """A group of gloo for prepare alone: collectives of two threads must not meet in one group."""
    wire: torch.dtype = torch.float32
    """What gradients travel as between ranks."""

    @property
    def num_ranks(self) -> int:
        return dist.get_world_size()

    @property
    def in_words(self) -> str:
        return f"all rows on each of {self.num_ranks} ranks"

    def prepare(self, batch: Batch) -> Prepared:
        check(batch.ids_N, len(self.table.rows))
        groups = self.kernels.group(batch.ids_N, len(self.table.rows))
        received = exchange.gather_sizes(len(groups.unique_U), self.ranks)
        own = torch.stack([groups.unique_U, groups.counts_U], dim=1).int()
        ids_and_counts = exchange.gather(own, received, self.ranks)
        update = _groups_of_ranks(torch.cat(ids_and_counts), self.kernels, len(self.table.rows))
        device = self.table.rows.device
        return Prepared(batch.to(device), groups.to(device), update.to(device), received=received)

    def push(
        self, prepared: Prepared, rows_UD: Tensor, grad_UD: Tensor, config: EmbeddingConfig, rate: float, step: int
    ) -> None:
        grads = exchange.gather(grad_UD.to(self.wire), prepared.received)
        self.kernels.update(self.table, prepared.update, torch.cat(grads).float(), config, rate, step)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RowSharded:
    """Rank i of m holds the rows of ids i, i + m, ...; ranks ask each other for rows and send gradients back."""

    table: Table
    num_ids: int
    """The ids of all ranks' shards together."""
    ranks: dist.ProcessGroup | None
    """A group of gloo for prepare alone: collectives of two threads must not meet in one group."""
    wire: torch.dtype = torch.float32
    """What rows and gradients travel as between ranks."""
    kernels: Kernels = BY_TORCH

    @property
    def num_ranks(self) -> int:
        return dist.get_world_size()

    @property
    def in_words(self) -> str:
        return f"rows divided among {self.num_ranks} ranks"

    @property
    def _rows_per_rank(self) -> int:
        return Shard(0, self.num_ranks).num_rows(self.num_ids)

    def prepare(self, batch: Batch) -> Prepared:
        check(batch.ids_N, self.num_ids)
        # Numbered in the order of owners, so that what goes to one rank lies together.
        owners_N = batch.ids_N % self.num_ranks
        places_N = owners_N * self._rows_per_rank + batch.ids_N // self.num_ranks
        groups = self.kernels.group(places_N, self._rows_per_rank * self.num_ranks)
        bounds = torch.arange(self.num_ranks + 1) * self._rows_per_rank
        sent = tuple(torch.searchsorted(groups.unique_U, bounds).diff().tolist())
        received = exchange.all_to_all_sizes(sent, self.ranks)
        rows_and_counts = torch.stack([groups.unique_U % self._rows_per_rank, groups.counts_U], dim=1).int()
        asked = exchange.all_to_all(rows_and_counts, sent, received, self.ranks)
        device = self.table.rows.device
        update = _groups_of_ranks(asked, self.kernels, len(self.table.rows))
        return Prepared(batch.to(device), groups.to(device), update.to(device), sent, received)

    def pull(self, prepared: Prepared) -> Tensor:
        return self._pull(prepared, self.wire)

    def lookup(self, batch: Batch) -> Lookup:
        prepared = self.prepare(batch)
        return Lookup(self._pull(prepared, torch.float32), prepared.groups.index_N, prepared.batch)

    def until_all_end(self, batches: Iterable[Batch], num_fields: int) -> Iterator[Batch]:
        iterator = iter(batches)
        batch = next(iterator, None)
        nothing = Batch(ids_N=torch.empty(0, dtype=torch.int32), labels_B=torch.empty(0), num_fields=num_fields)
        while True:
            num_left = torch.tensor([batch is not None], dtype=torch.int64)
            dist.all_reduce(num_left, group=self.ranks)
            if not num_left:
                return
            yield nothing if batch is None else batch
            batch = next(iterator, None)

    def push(
        self, prepared: Prepared, rows_UD: Tensor, grad_UD: Tensor, config: EmbeddingConfig, rate: float, step: int
    ) -> None:
        grads = exchange.all_to_all(grad_UD.to(self.wire), prepared.sent, prepared.received).float()
        self.kernels.update(self.table, prepared.update, grads, config, rate, step)

    def _pull(self, prepared: Prepared, wire: torch.dtype) -> Tensor:
        asked = self.table.pull(prepared.update.unique_U).to(wire)
        return exchange.all_to_all(
            asked.index_select(0, prepared.update.index_N), prepared.received, prepared.sent
        ).float()


def place(
    table: Table, num_ids: int, config: TableConfig, ranks: dist.ProcessGroup | None, is_fused: bool = True
) -> Placement:
    """The placement of a rank's table. `ranks`: all of them as a second group, for `prepare`; None: one."""
    kernels, wire = kernels_of(is_fused), getattr(torch, config.wire)
    if ranks is None or dist.get_world_size() == 1:
        return Alone(table, kernels)
    kernels.compile(table)
    if config.placement == "row_sharded":
        return RowSharded(table=table, num_ids=num_ids, ranks=ranks, wire=wire, kernels=kernels)
    return Replicated(table=table, ranks=ranks, wire=wire, kernels=kernels)


def _groups_of_ranks(ids_and_counts: Tensor, kernels: Kernels, num_ids: int) -> IdGroups:
    """The groups of ids from all ranks, whose counts are the occurrences in all ranks' batches."""
    groups = kernels.group(ids_and_counts[:, 0].contiguous(), num_ids)
    counts_U = torch.zeros_like(groups.unique_U).index_add_(0, groups.index_N, ids_and_counts[:, 1].long())
    return groups.counting(counts_U)
