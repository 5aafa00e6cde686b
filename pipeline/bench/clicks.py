"""Encoded rows of any shape, made in memory: what the benchmarks train on."""

import numpy as np

from pipeline.data.rows import Rows

ZIPF_EXPONENT = 1.1
CLICK_RATE = 0.05


def zipf_rows(num_rows: int, num_fields: int, num_ids: int, seed: int = 0) -> Rows:
    """One id a field, each field of its own num_ids // num_fields values, whose ranks follow Zipf's law.

    P(rank r) is proportional to 1 / r^ZIPF_EXPONENT. As in a real vocabulary, ids ascend as values get rarer: rank r of
    field f has id (r - 1) * num_fields + f. Labels are independent of the ids; CLICK_RATE of them are clicks.
    """
    values_per_field = num_ids // num_fields
    generator = np.random.default_rng(seed)
    cumulative = np.cumsum(1.0 / np.arange(1, values_per_field + 1) ** ZIPF_EXPONENT)
    uniform = generator.random((num_rows, num_fields)) * cumulative[-1]
    ranks_from_0 = np.minimum(np.searchsorted(cumulative, uniform, side="right"), values_per_field - 1)
    ids = (ranks_from_0 * num_fields + np.arange(num_fields)).astype(np.int32)
    labels = (generator.random(num_rows) < CLICK_RATE).astype(np.float32)
    return Rows(ids=ids.ravel(), labels=labels, num_fields=num_fields)
