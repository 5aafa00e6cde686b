"""Some of the held-out rows, drawn from all of them and encoded: what is asked of a model often goes by a few."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.data import packing, spread
from pipeline.data.logs import Manifest, Part
from pipeline.data.rows import Rows
from pipeline.data.split import ResolvedSplit
from pipeline.data.spread import Shared
from pipeline.registry import frames
from pipeline.registry.bundle import Bundle
from pipeline.scoring.held_out import DAY, PART, held_out_tables
from schemas.checking import derived
from schemas.config import DataConfig


def sample(bundle: Bundle, manifest: Manifest, data: DataConfig, split: ResolvedSplit, num_rows: int) -> Rows:
    """About so many of the held-out rows, drawn alike from all of them, without groups; at each call the same ones.

    All of them where they are fewer. Raises Refusal as `held_out_tables` does.
    """
    own, shared, num_fields = derived(data, features=bundle.spec), Shared(bundle), len(bundle.spec.fields)
    of_days = manifest.of_days(split.test_days)
    share = num_rows / max(1.0, of_days.num_rows * (split.by_key.test_share if split.by_key else 1.0))
    weight = np.ones(1, np.float32) if bundle.spec.weight else None
    packed = _packed(replace(row_without_values(bundle), row_weights=weight)).schema
    types = pa.schema([(DAY, pa.date32()), (PART, pa.int32()), *packed])

    def draw(part: Part) -> pa.Table:
        chance, found = np.random.default_rng([part.day.toordinal(), part.index]), [packed.empty_table()]
        for table, _ in held_out_tables(part, shared.value, own, split):
            drawn = table.filter(pa.array(chance.random(len(table)) < share))
            found.append(_packed(shared.value.encoder.encode(drawn)))
        rows = pa.concat_tables(found)
        place = [pa.repeat(pa.scalar(part.day, pa.date32()), len(rows)), pa.repeat(part.index, len(rows))]
        return pa.table([*place, *rows.columns], [*types.names]).cast(types)

    tables = spread.map_parts(of_days.parts(data.rows_per_part), draw, types, shared=shared)
    rows = pa.concat_tables([types.empty_table(), *tables])
    # As they arrive from nodes is chance; within a part the rows are in order, which a stable sort keeps.
    in_order = rows.take(np.lexsort([rows.column(PART).to_numpy(), rows.column(DAY).to_numpy()]))
    return packing.to_rows(in_order.drop_columns([DAY, PART]), num_fields)


def row_without_values(bundle: Bundle) -> Rows:
    """One row of which every field is missing."""
    nothing = pd.DataFrame([dict.fromkeys(bundle.spec.feature_columns)])
    return bundle.encoder.encode(frames.to_arrow(nothing, bundle.spec))


def _packed(rows: Rows) -> pa.Table:
    return packing.to_table(replace(rows, groups=None), pa.float32())
