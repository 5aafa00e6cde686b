"""Batches by hand and at random, what they read as a matrix, and lookups as if each cell had a row of its own."""

import itertools

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.embedding.lookup import Lookup, group_ids

F64 = torch.float64

kinds = st.sampled_from(["plain", "weighted", "bags", "weighted bags"])


def lookup_of(rows_BFD: Tensor, is_grouped: bool = False) -> Lookup:
    """Whose distinct rows are rows_BFD's, in order; planned, it can go backward, and FM takes its closed form."""
    num_rows, num_fields, num_floats = rows_BFD.shape
    ids_N = torch.arange(num_rows * num_fields, dtype=torch.int32)
    batch = Batch(ids_N=ids_N, labels_B=torch.zeros(num_rows), num_fields=num_fields)
    rows_UD = rows_BFD.reshape(-1, num_floats)
    return Lookup(rows_UD, ids_N, batch, group_ids(ids_N) if is_grouped else None)


def batch_of(
    ids: list[int], num_fields: int, offsets: list[int] | None = None, weights: list[float] | None = None
) -> Batch:
    num_cells = len(ids) if offsets is None else len(offsets)
    return Batch(
        ids_N=torch.tensor(ids, dtype=torch.int32),
        offsets_C=None if offsets is None else torch.tensor(offsets, dtype=torch.int32),
        weights_N=None if weights is None else torch.tensor(weights),
        labels_B=torch.zeros(num_cells // num_fields),
        num_fields=num_fields,
    )


def random_batch(rng: np.random.Generator, num_rows: int, num_fields: int, num_ids: int, kind: str) -> Batch:
    """float64 weights: the tests below compare in float64, where sums in another order differ by 1e-16."""
    num_cells = num_rows * num_fields
    lengths = rng.integers(0, 4, num_cells) if "bags" in kind else np.ones(num_cells, int)
    num_active = int(lengths.sum())
    return Batch(
        ids_N=torch.from_numpy(rng.integers(0, num_ids, num_active).astype(np.int32)),
        offsets_C=torch.from_numpy((lengths.cumsum() - lengths).astype(np.int32)) if "bags" in kind else None,
        weights_N=torch.from_numpy(rng.normal(size=num_active)) if "weighted" in kind else None,
        labels_B=torch.zeros(num_rows),
        num_fields=num_fields,
    )


def incidence(batch: Batch, num_ids: int) -> Tensor:
    """[C, n] sum of x_i of id i in each cell, filled in one occurrence after another."""
    num_cells = batch.num_rows * batch.num_fields
    starts = list(range(num_cells)) if batch.offsets_C is None else batch.offsets_C.tolist()
    x_Cn = torch.zeros(num_cells, num_ids, dtype=F64)
    for cell, (start, stop) in enumerate(itertools.pairwise([*starts, len(batch.ids_N)])):
        for position in range(start, stop):
            weight = 1.0 if batch.weights_N is None else batch.weights_N[position]
            x_Cn[cell, batch.ids_N[position]] += weight
    return x_Cn
