"""What a step must do at least, whatever its code."""

from dataclasses import dataclass

from torch import nn

from pipeline.bench.shape import FLOAT_BYTES, Shape


@dataclass(frozen=True, slots=True)
class Work:
    """What one step of all ranks together must compute and move."""

    dense_flops: float
    table_bytes: float

    @classmethod
    def of(cls, shape: Shape, model: nn.Module, num_distinct: float) -> "Work":
        """`num_distinct` is U, the distinct ids among the N of a rank's batch."""
        num_active = shape.rank_batch_size * shape.num_fields
        moved = bytes_moved(num_active, num_distinct, shape.dimension)
        return cls(dense_flops(model) * shape.batch_size, moved * shape.num_ranks)


def dense_flops(model: nn.Module) -> int:
    """6 floating-point operations a row for each weight of a matrix, of each member.

    A multiplication and an addition in each of: forward, gradient by the input, gradient by the weights. Biases,
    activations and FM's O(F K) are left out.
    """
    return 6 * sum(parameter.numel() for parameter in model.parameters() if parameter.ndim >= 2)


def bytes_moved(num_active: int, num_distinct: float, dimension: int) -> float:
    """4 [N D + N D + 2 U (D + 1)], D = 1 + K: the least traffic of the table's part of a step.

    The lookup reads a row for each of the N active ids; each has a gradient as long, written once; the U distinct rows
    and their accumulators are read and written. Ids, the sort, and what a step reads twice are left out; so is that
    rows which recur may come from a cache, so that a step can be faster than copying these bytes would be.
    """
    row = 1 + dimension
    return FLOAT_BYTES * (2.0 * num_active * row + 2.0 * num_distinct * (row + 1))
