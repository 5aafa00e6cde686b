"""The two passes over a raw log, by threads of this process or spread over a cluster: count values, then encode rows.

Both work part by part (spread.py), and refuse bad rows as they meet them, or leave them out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.data import quality, store, vocabulary
from pipeline.data.counting import add_up, summed
from pipeline.data.encode import Encoder
from pipeline.data.logs import Manifest, Part, read_part
from pipeline.data.rows import Rows
from pipeline.data.split import ResolvedSplit
from pipeline.data.spread import Work, map_parts
from pipeline.data.store import SplitName, StoredPart
from pipeline.data.target import Target
from pipeline.data.value_counts import COUNTS_SCHEMA, ValueCounts
from pipeline.data.vocabulary import Vocabulary
from pipeline.runtime import memory
from schemas.data import DataConfig

Keep = Callable[[pa.Table], pa.Table]
COUNTS_SHARE = 0.25  # of this machine's memory, which counts may fill before they go to files
WRITTEN_SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("day", pa.date32()),
        ("index", pa.int64()),
        ("num_rows", pa.int64()),
        ("num_positives", pa.int64()),
        ("footer_sha256", pa.string()),
        ("size_bytes", pa.int64()),
    ]
)


def count_values(
    manifest: Manifest,
    data: DataConfig,
    split: ResolvedSplit,
    counted: Iterable[pa.Table] = (),
    *,
    with_rare: bool = False,
) -> pa.Table:
    """How often each value occurs in the training rows; of those too rare to be learned, only if asked to.

    What was `counted` of other days is added.

    Raises Refusal for rows that break the contract; a `max_bad_share` above 0 leaves them out (`quality.sound_rows`).
    """
    keep = None if with_rare else partial(vocabulary.without_rare, spec=data.features)
    return count_parts(manifest.parts(data.rows_per_part), counting(data, split), COUNTS_SCHEMA, keep, counted)


def counting(data: DataConfig, split: ResolvedSplit) -> Work[Part]:
    """What `count_values` does with a part."""
    spec = data.features

    def count(part: Part) -> pa.Table:
        counts = ValueCounts(spec.counted)
        for table, where in read_part(part, spec.columns, spec.category_columns):
            sound = quality.sound_rows(table, spec, where, data.max_bad_share)
            is_learned = split.is_learned(sound, part.day)
            if is_learned.any():
                counts.add(sound if is_learned.all() else sound.filter(pa.array(is_learned)))
        return counts.total()

    return count


def count_parts(
    parts: Sequence[Part],
    work: Work[Part],
    schema: pa.Schema,
    keep: Keep | None = None,
    counted: Iterable[pa.Table] = (),
) -> pa.Table:
    """`sums_of_parts` as one table; what is not to be kept of them is never held together."""
    sums = sums_of_parts(parts, work, schema, counted)
    return pa.concat_tables([schema.empty_table(), *(keep(table) if keep else table for table in sums)])


def sums_of_parts(
    parts: Sequence[Part], work: Work[Part], schema: pa.Schema, counted: Iterable[pa.Table] = ()
) -> Iterator[pa.Table]:
    """The counts that `work` makes of each part, added up: first by the task that has several parts, then here.

    One process takes in all that differs, whatever the cluster's size: the less comes, the more nodes it can serve.
    What differs may be more than its memory holds. No two of the tables that come have the same values.
    """

    def together(tables: Sequence[pa.Table]) -> pa.Table:
        return tables[0] if len(tables) == 1 else add_up(tables, schema)

    most_bytes = int(COUNTS_SHARE * memory.total_bytes())
    of_parts = map_parts(parts, work, schema, together) if parts else ()
    yield from summed(chain(counted, of_parts), schema, most_bytes)


def encode_rows(
    manifest: Manifest, vocab: Vocabulary, data: DataConfig, split: ResolvedSplit, seed: int, store_uri: str
) -> list[StoredPart]:
    """Encode every part, shuffle it, write it to the store. Rows that break the contract are as in `count_values`.

    The split's validation days become the validation split, or of the training rows `validation_share`; of the rest,
    `negative_share` of those without a click are kept.
    """
    encoder, target = Encoder(vocab), vocab.target

    def encode(part: Part) -> pa.Table:
        of_split = encode_part(part, encoder, data, split, seed)
        written = [_write(part, name, rows, target, store_uri) for name, rows in of_split.items() if len(rows)]
        return pa.Table.from_pylist([asdict(stored) for stored in written], schema=WRITTEN_SCHEMA)

    written = map_parts(manifest.parts(data.rows_per_part), encode, WRITTEN_SCHEMA)
    return [StoredPart(**stored) for table in written for stored in table.to_pylist()]


def encode_part(
    part: Part, encoder: Encoder, data: DataConfig, split: ResolvedSplit, seed: int
) -> dict[SplitName, Rows]:
    """The rows of each split, shuffled; what is drawn depends on the seed and the part's place alone."""
    encoded, masks = [], []
    for table, where in read_part(part, encoder.spec.columns, encoder.spec.category_columns):
        sound = quality.sound_rows(table, encoder.spec, where, data.max_bad_share, encoder.target.classes)
        encoded.append(encoder.encode(sound))
        masks.append(split.is_held_out(sound, part.day))
    rows, is_test = Rows.concatenate(encoded), np.concatenate(masks)
    place = [seed, part.day.toordinal(), part.index]
    train, test = (_shuffled(np.flatnonzero(own), place) for own in (~is_test, is_test))
    to_validation, to_drop = np.random.default_rng([*place, 1]).random((2, len(train)))
    is_validation = (to_validation < data.validation_share) | (part.day in split.validation_days)
    is_dropped = (to_drop >= data.negative_share) & (rows.labels[train] == 0)
    return {
        "train": rows.take(train[~is_validation & ~is_dropped]),
        "validation": rows.take(train[is_validation]),
        "test": rows.take(test),
    }


def _shuffled(rows: NDArray[np.int64], place: Sequence[int]) -> NDArray[np.int64]:
    return rows[np.random.default_rng(place).permutation(len(rows))]


def _write(part: Part, split: SplitName, rows: Rows, target: Target, store_uri: str) -> StoredPart:
    num_positives = int(rows.labels.sum()) if target.objective == "binary" else 0
    stored = StoredPart(split, part.day, part.index, len(rows), num_positives)
    return store.write_part(store_uri, stored, rows, target.label_type)
