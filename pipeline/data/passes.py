"""The two passes over a raw log that Ray Data spreads over the cluster: count values, then encode rows.

Both work part by part, and refuse bad rows as they meet them. A refusal travels home as a row of the result, not as an
exception: Ray would wrap it in a traceback of the task, and which of several came first would be chance.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import date

import numpy as np
import pyarrow as pa
import ray.data

from pipeline.data import quality, store, vocabulary
from pipeline.data.encode import Encoder
from pipeline.data.logs import Manifest, Part, read_part
from pipeline.data.rows import Rows
from pipeline.data.split import Split, is_held_out
from pipeline.data.store import SplitName, StoredPart
from pipeline.data.vocabulary import COUNTS_SCHEMA, Vocabulary
from schemas.features import FeatureSpec
from schemas.refusal import Refusal

REFUSED = ""  # no field has this name: a count of it carries a refusal
WRITTEN_SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("day", pa.date32()),
        ("index", pa.int64()),
        ("num_rows", pa.int64()),
        ("num_positives", pa.int64()),
    ]
)


def count_values(
    manifest: Manifest, spec: FeatureSpec, split: Split, test_days: Sequence[date], rows_per_part: int
) -> pa.Table:
    """How often each value occurs in the training rows. Raises Refusal for rows that break the contract."""
    parts = manifest.parts(rows_per_part)

    def count(batch: dict[str, np.ndarray]) -> pa.Table:
        counts = [COUNTS_SCHEMA.empty_table()]
        for part in (parts[i] for i in batch["part"]):
            try:
                for table, where in read_part(part, spec.columns):
                    quality.check_rows(table, spec, where)
                    training = table.filter(pa.array(~is_held_out(table, part.day, split, test_days)))
                    counts.append(vocabulary.count(training, spec))
            except Refusal as refusal:
                counts.append(pa.table([[REFUSED], [_to_json(refusal)], [1]], schema=COUNTS_SCHEMA))
        return vocabulary.merge(pa.concat_tables(counts))

    counted = _over_parts(parts, count).groupby(["field", "value"], num_partitions=_num_partitions()).sum("count")
    table = _collect(counted, pa.schema([*list(COUNTS_SCHEMA)[:2], ("sum(count)", pa.int64())]))
    table = table.rename_columns(COUNTS_SCHEMA.names)
    refused = np.asarray(table.column("field")) == REFUSED
    _raise_first(table.filter(pa.array(refused)).column("value").to_pylist())
    return table.filter(pa.array(~refused))


def encode_rows(
    manifest: Manifest,
    vocab: Vocabulary,
    split: Split,
    test_days: Sequence[date],
    rows_per_part: int,
    seed: int,
    store_uri: str,
) -> list[StoredPart]:
    """Encode every part, shuffle it, write it to the store. Raises Refusal for rows that break the contract."""
    encoder = Encoder(vocab)

    def encode(part: Part) -> pa.Table:
        written = _encode_part(part, encoder, split, test_days, seed, store_uri)
        return pa.Table.from_pylist([asdict(stored) for stored in written], schema=WRITTEN_SCHEMA)

    written = map_parts(manifest.parts(rows_per_part), encode, WRITTEN_SCHEMA).to_pylist()
    return [StoredPart(**stored) for stored in written]


def map_parts(parts: Sequence[Part], work: Callable[[Part], pa.Table], schema: pa.Schema) -> pa.Table:
    """The tables of `work` over all parts, in one, in no particular order. Raises the first Refusal that it raised."""
    with_refusal = schema.append(pa.field("refusal", pa.string()))

    def run(batch: dict[str, np.ndarray]) -> Iterator[pa.Table]:
        for part in (parts[i] for i in batch["part"]):
            try:
                done = work(part)
                yield done.append_column("refusal", pa.nulls(len(done), pa.string()))
            except Refusal as refusal:
                yield pa.Table.from_pylist([{"refusal": _to_json(refusal)}], schema=with_refusal)

    table = _collect(_over_parts(parts, run), with_refusal)
    _raise_first([refusal for refusal in table.column("refusal").to_pylist() if refusal])
    return table.drop_columns(["refusal"])


def _encode_part(
    part: Part, encoder: Encoder, split: Split, test_days: Sequence[date], seed: int, store_uri: str
) -> list[StoredPart]:
    of_split: dict[SplitName, list[Rows]] = {"train": [], "test": []}
    for table, where in read_part(part, encoder.spec.columns):
        quality.check_rows(table, encoder.spec, where)
        rows = encoder.encode(table)
        held_out = is_held_out(table, part.day, split, test_days)
        of_split["train"].append(rows.take(np.flatnonzero(~held_out)))
        of_split["test"].append(rows.take(np.flatnonzero(held_out)))
    written = []
    for name, tables in of_split.items():
        rows = Rows.concatenate(tables)
        if len(rows):
            order = np.random.default_rng([seed, part.day.toordinal(), part.index]).permutation(len(rows))
            stored = StoredPart(name, part.day, part.index, len(rows), int(rows.labels.sum()))
            store.write_part(store_uri, stored, rows.take(order))
            written.append(stored)
    return written


def _over_parts(parts: Sequence[Part], work: Callable[[dict[str, np.ndarray]], object]) -> ray.data.Dataset:
    """Run `work` over all parts; tiny ones share a task, since starting one costs more than reading them."""
    num_tasks = min(len(parts), 4 * _num_partitions())
    items = [{"part": i} for i in range(len(parts))]
    return ray.data.from_items(items, override_num_blocks=num_tasks).map_batches(work, batch_size=None)


def _num_partitions() -> int:
    return max(2, int(ray.cluster_resources().get("CPU", 1)))


def _collect(dataset: ray.data.Dataset, schema: pa.Schema) -> pa.Table:
    blocks = dataset.iter_batches(batch_size=None, batch_format="pyarrow")
    return pa.concat_tables([schema.empty_table(), *(block.cast(schema) for block in blocks)])


def _to_json(refusal: Refusal) -> str:
    return json.dumps({key: getattr(refusal, key) for key in ("where", "found", "expected", "remedy")})


def _raise_first(refusals: Sequence[str]) -> None:
    """Raise the first by place, so that the same bad log gives the same message each time."""
    if refusals:
        raise Refusal(**json.loads(min(refusals)))
