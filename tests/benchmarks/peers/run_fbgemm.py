"""FBGEMM: its table with fused row-wise Adagrad, under an FM written here. It has neither models, nor fit, nor loader.

Dimensions must be multiples of 4, so a row is [v | w | floats that nothing reads]. Bags of one id, summed, are the same
as no pooling and over twenty times as fast in the backward pass on a CPU.
"""

import time
from typing import Any

import torch
import torch.nn.functional as F
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import ComputeDevice, SplitTableBatchedEmbeddingBagsCodegen
from task import Task
from torch import Tensor


class FM(torch.autograd.Function):
    """Sum of w + sum over f < g of <v_f, v_g>, whose gradient by v_f is (sum of v) - v_f.  [B, F, D] -> [B]

    Written out, forward and backward take less than half the time that autograd would.
    """

    @staticmethod
    def forward(context: Any, rows_BFD: Tensor, dimension: int) -> Tensor:
        sum_BD = rows_BFD.sum(dim=1)
        context.save_for_backward(rows_BFD, sum_BD)
        context.dimension = dimension
        pairs_BK = (sum_BD.square() - rows_BFD.square().sum(dim=1))[:, :dimension]
        return sum_BD[:, dimension] + 0.5 * pairs_BK.sum(dim=1)

    @staticmethod
    def backward(context: Any, *grads: Tensor) -> tuple[Tensor, None]:
        rows_BFD, sum_BD = context.saved_tensors
        grad_BFD = sum_BD[:, None] - rows_BFD
        grad_BFD[:, :, context.dimension] = 1
        grad_BFD[:, :, context.dimension + 1 :] = 0
        return grad_BFD.mul_(grads[0][:, None, None]), None


def main() -> None:
    torch.set_num_threads(1)
    task = Task.from_argument()
    assert not task.hidden, "FBGEMM is benchmarked with an FM"
    row_floats = (task.dimension // 4 + 1) * 4
    table = SplitTableBatchedEmbeddingBagsCodegen(
        [(task.num_ids, row_floats, EmbeddingLocation.HOST, ComputeDevice.CPU)],
        optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
        learning_rate=0.1,
        eps=1e-8,
        pooling_mode=PoolingMode.SUM,
    )
    table.split_embedding_weights()[0].normal_(std=0.01)[:, task.dimension] = 0
    w0 = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([w0])
    ids_RF, clicks_R = torch.from_numpy(task.ids_RF).long(), torch.from_numpy(task.clicks_R).float()
    starts = torch.arange(task.batch_size * task.num_fields + 1)
    step_ends = []
    for ids_BF, clicks_B in zip(ids_RF.split(task.batch_size), clicks_R.split(task.batch_size), strict=True):
        rows_BFD = table(ids_BF.flatten(), starts).view(*ids_BF.shape, row_floats)
        logits_B = w0 + FM.apply(rows_BFD, task.dimension)
        F.binary_cross_entropy_with_logits(logits_B, clicks_B).backward()
        optimizer.step()
        optimizer.zero_grad()
        step_ends.append(time.perf_counter())
    task.answer(step_ends[-1] - step_ends[task.warm_up_steps - 1])


if __name__ == "__main__":
    main()
