"""The two passes over a raw log that Ray Data spreads over the cluster: count values, then encode rows.

Both work part by part, and refuse bad rows as they meet them, or leave them out. A refusal travels home as a row of the
result, not as an exception: Ray would wrap it in a traceback of the task, and which of several came first would be
chance.
"""

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data
from numpy.typing import NDArray

from pipeline.data import quality, store, vocabulary
from pipeline.data.counting import add_up, summed
from pipeline.data.encode import Encoder
from pipeline.data.logs import Manifest, Part, read_part
from pipeline.data.rows import Rows
from pipeline.data.split import ResolvedSplit
from pipeline.data.store import SplitName, StoredPart
from pipeline.data.value_counts import COUNTS_SCHEMA, ValueCounts
from pipeline.data.vocabulary import Vocabulary
from pipeline.runtime import files, memory
from schemas.data import DataConfig
from schemas.errors import Refusal

Work = Callable[[Part], pa.Table]
Combine = Callable[[Sequence[pa.Table]], pa.Table]
Keep = Callable[[pa.Table], pa.Table]
TASKS_PER_CPU = 4
COUNTS_SHARE = 0.25  # of this machine's memory, which counts may fill before they go to files
COMBINED_ROWS = 5_000_000  # of a task's results, from which on they travel: its memory must not grow with its parts
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
    spec = data.features

    def count(part: Part) -> pa.Table:
        counts = ValueCounts(spec.fields)
        for table, where in read_part(part, spec.columns, spec.category_columns):
            sound = quality.sound_rows(table, spec, where, data.max_bad_share)
            is_learned = split.is_learned(sound, part.day)
            if is_learned.any():
                counts.add(sound if is_learned.all() else sound.filter(pa.array(is_learned)))
        return counts.total()

    keep = None if with_rare else partial(vocabulary.without_rare, spec=spec)
    return count_parts(manifest.parts(data.rows_per_part), count, COUNTS_SCHEMA, keep, counted)


def count_parts(
    parts: Sequence[Part], work: Work, schema: pa.Schema, keep: Keep | None = None, counted: Iterable[pa.Table] = ()
) -> pa.Table:
    """The counts that `work` makes of each part, added up: first by the task that has several parts, then here.

    One process takes in all that differs, whatever the cluster's size: the less comes, the more nodes it can serve.
    What is not to be kept of the sums is never held together; what differs may be more than memory holds.
    """

    def together(tables: Sequence[pa.Table]) -> pa.Table:
        return tables[0] if len(tables) == 1 else add_up(tables, schema)

    most_bytes = int(COUNTS_SHARE * memory.total_bytes())
    of_parts = map_parts(parts, work, schema, together) if parts else ()
    sums = summed(chain(counted, of_parts), schema, most_bytes)
    return pa.concat_tables([schema.empty_table(), *(keep(table) if keep else table for table in sums)])


def encode_rows(
    manifest: Manifest, vocab: Vocabulary, data: DataConfig, split: ResolvedSplit, seed: int, store_uri: str
) -> list[StoredPart]:
    """Encode every part, shuffle it, write it to the store. Rows that break the contract are as in `count_values`.

    The split's validation days become the validation split, or of the training rows `validation_share`; of the rest,
    `negative_share` of those without a click are kept.
    """
    encoder = Encoder(vocab)

    def encode(part: Part) -> pa.Table:
        of_split = encode_part(part, encoder, data, split, seed)
        written = [_write(part, name, rows, store_uri) for name, rows in of_split.items() if len(rows)]
        return pa.Table.from_pylist([asdict(stored) for stored in written], schema=WRITTEN_SCHEMA)

    written = map_parts(manifest.parts(data.rows_per_part), encode, WRITTEN_SCHEMA)
    return [StoredPart(**stored) for table in written for stored in table.to_pylist()]


def map_parts(
    parts: Sequence[Part], work: Work, schema: pa.Schema, combine: Combine | None = None
) -> Iterator[pa.Table]:
    """What `work` makes of each part, on all nodes, as it arrives; tiny parts share a task, and a lone one needs none.

    With `combine`, results of the parts that share a task come as the one table that it makes of them.

    Raises, after the last, what a part has met of its file system, as an OSError, else the first Refusal by place, so
    that the same bad log gives the same message each time.
    """
    if len(parts) == 1:  # nothing to spread, while the processes of a first task take seconds to start
        yield work(parts[0]).cast(schema)
        return
    with_troubles = schema.append(pa.field("refusal", pa.string())).append(pa.field("os_error", pa.string()))

    def run(batch: dict[str, np.ndarray]) -> Iterator[pa.Table]:
        return _of_task([parts[i] for i in batch["part"]], work, combine, with_troubles)

    num_tasks = min(len(parts), TASKS_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1))))
    items = [{"part": i} for i in range(len(parts))]
    dataset = ray.data.from_items(items, override_num_blocks=num_tasks).map_batches(run, batch_size=None)
    refusals: list[str] = []
    os_errors: list[str] = []
    for block in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        table = block.cast(with_troubles)
        refusals += table.column("refusal").drop_null().to_pylist()
        os_errors += table.column("os_error").drop_null().to_pylist()
        is_done = pc.and_(pc.is_null(table.column("refusal")), pc.is_null(table.column("os_error")))
        yield table.filter(is_done).drop_columns(["refusal", "os_error"])
    if os_errors:
        raise OSError(os_errors[0])
    if refusals:
        raise Refusal(**json.loads(min(refusals)))


def _of_task(parts: Sequence[Part], work: Work, combine: Combine | None, schema: pa.Schema) -> Iterator[pa.Table]:
    """What a task yields of its parts: results, whose last two columns are null, and a row for each trouble."""

    def without_troubles(done: Sequence[pa.Table]) -> pa.Table:
        table = combine(done) if combine else done[0]
        nulls = pa.nulls(len(table), pa.string())
        return table.append_column("refusal", nulls).append_column("os_error", nulls)

    done: list[pa.Table] = []
    for part in parts:
        try:
            done.append(work(part))
        except Refusal as refusal:
            yield pa.Table.from_pylist([{"refusal": _to_json(refusal)}], schema=schema)
        except files.errors() as error:
            said = f"{str(error) or type(error).__name__}, on the node {socket.gethostname()}"
            yield pa.Table.from_pylist([{"os_error": said}], schema=schema)
        if done and (combine is None or sum(map(len, done)) > COMBINED_ROWS):
            yield without_troubles(done)
            done = []
    if done:
        yield without_troubles(done)


def encode_part(
    part: Part, encoder: Encoder, data: DataConfig, split: ResolvedSplit, seed: int
) -> dict[SplitName, Rows]:
    """The rows of each split, shuffled; what is drawn depends on the seed and the part's place alone."""
    encoded, masks = [], []
    for table, where in read_part(part, encoder.spec.columns, encoder.spec.category_columns):
        sound = quality.sound_rows(table, encoder.spec, where, data.max_bad_share)
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


def _write(part: Part, split: SplitName, rows: Rows, store_uri: str) -> StoredPart:
    return store.write_part(store_uri, StoredPart(split, part.day, part.index, len(rows), int(rows.labels.sum())), rows)


def _to_json(refusal: Refusal) -> str:
    return json.dumps({key: getattr(refusal, key) for key in ("where", "found", "expected", "remedy")})
