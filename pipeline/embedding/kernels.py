"""What ranks do on a CPU before and after they exchange anything: group ids, and update rows by what was sent."""

from importlib.util import find_spec

import torch
import torch.distributed as dist
from torch import Tensor

from pipeline.embedding.lookup import IdGroups, group_ids
from pipeline.embedding.table import Table
from schemas.optimization import EmbeddingConfig


class Kernels:
    """By torch's own operators."""

    def compile(self, table: Table) -> None:
        """What is compiled at its first call: before any step is timed. Updates no row of the table."""

    def group(self, ids_N: Tensor, num_ids: int) -> IdGroups:
        """The ids are below num_ids."""
        return group_ids(ids_N)

    def update(
        self, table: Table, groups: IdGroups, grads_RD: Tensor, config: EmbeddingConfig, rate: float, step: int
    ) -> None:
        """Update the rows of the groups by the sums over them of the ranks' gradients, meaned over the ranks."""
        mean_UD = groups.sum_occurrences(grads_RD) / dist.get_world_size()
        table.update(groups, table.pull(groups.unique_U), mean_UD, config, rate, step)


BY_TORCH = Kernels()


class CompiledKernels(Kernels):
    """The same by Numba, but for Adam and on a GPU."""

    def compile(self, table: Table) -> None:
        none = self.group(torch.empty(0, dtype=torch.int32), num_ids=1)
        if table.rows.device.type == "cpu":
            self._collect(table, none, table.rows[:0], EmbeddingConfig(), rate=0.0)

    def group(self, ids_N: Tensor, num_ids: int) -> IdGroups:
        from pipeline.embedding import radix

        return radix.group_ids(ids_N, num_ids)

    def update(
        self, table: Table, groups: IdGroups, grads_RD: Tensor, config: EmbeddingConfig, rate: float, step: int
    ) -> None:
        if config.name == "adagrad" and table.rows.device.type == "cpu":
            self._collect(table, groups, grads_RD, config, rate)
        else:
            super().update(table, groups, grads_RD, config, rate, step)

    def _collect(self, table: Table, groups: IdGroups, grads_RD: Tensor, config: EmbeddingConfig, rate: float) -> None:
        from pipeline.embedding import fused

        fused.update_by_sums(table, groups, grads_RD, 1 / dist.get_world_size(), config, rate)


def kernels_of(is_fused: bool) -> Kernels:
    """Those compiled by Numba, where they are wanted and it is installed."""
    return CompiledKernels() if is_fused and find_spec("numba") else BY_TORCH
