import time
from datetime import date
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from click_logs import click_rows, write_day

from pipeline.data import feed, logs, passes, spread, store, vocabulary
from pipeline.data.counting import add_up
from pipeline.data.encode import Encoder
from pipeline.data.logs import Manifest, Part
from pipeline.data.rows import Rows
from pipeline.data.split import ResolvedSplit
from pipeline.data.store import Store
from pipeline.data.value_counts import COUNTS_SCHEMA
from pipeline.data.vocabulary import Vocabulary
from pipeline.data.windows import local_windows, windows_of_epoch
from pipeline.runtime import cluster, files
from schemas.config import ClusterConfig, DataConfig, RandomSplit
from schemas.errors import Refusal
from schemas.features import FeatureSpec

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]
TRAINED_ON = (date(2026, 11, 1), date(2026, 11, 2))
HELD_OUT = (date(2026, 11, 3),)
BY_DATE = ResolvedSplit(TRAINED_ON, HELD_OUT)
BY_KEY = ResolvedSplit(
    (*TRAINED_ON, *HELD_OUT), (*TRAINED_ON, *HELD_OUT), RandomSplit(by="random", row_key="row", test_share=0.5)
)


def find(logs_uri: str, spec: FeatureSpec) -> Manifest:
    return logs.find(data_of(logs_uri, spec), logs.days_of(data_of(logs_uri, spec)))


def data_of(logs_uri: str, spec: FeatureSpec, max_bad_share: float = 0.0) -> DataConfig:
    return DataConfig(logs_uri=logs_uri, features=spec, rows_per_part=8, max_bad_share=max_bad_share)


def encode(logs_uri: str, spec: FeatureSpec, store_uri: str, split: ResolvedSplit) -> tuple[Store, Vocabulary]:
    manifest, data = find(logs_uri, spec), data_of(logs_uri, spec)
    vocab = vocabulary.build(spec, passes.count_values(manifest, data, split))
    parts = passes.encode_rows(manifest, vocab, data, split, 0, store_uri)
    return store.complete(store_uri, vocab.num_ids, parts), vocab


def test_nothing_of_the_held_out_day_reaches_vocabulary_or_training(logs_uri, spec, tmp_path):
    strangers = click_rows(16).set_column(1, "user", pa.array([f"new{i}" for i in range(8)]))
    write_day(Path(logs_uri), HELD_OUT[0], strangers)
    encoded, vocab = encode(logs_uri, spec, str(tmp_path / "store"), BY_DATE)
    assert not [value for value in vocab.values["value"].to_pylist() if value.startswith("new")]
    assert {part.day for part in encoded.of_split("train")} == {date(2026, 11, 1), date(2026, 11, 2)}
    assert {part.day for part in encoded.of_split("test")} == set(HELD_OUT)
    (held_out,) = local_windows(encoded, "test", len(spec.fields), 0, 1)
    starts = np.concatenate([[0], np.cumsum(held_out.cell_lengths.sum(axis=1, dtype=int))[:-1]])
    assert (held_out.ids[starts] == vocab.fields[0].oov).all(), "the user is each row's first field"


def test_counts_of_parts_that_share_a_task_come_together_before_they_travel():
    """Else one process took in as many counts as there are parts, whatever the number of nodes."""
    parts = [Part(TRAINED_ON[0], index, ()) for index in range(200)]
    ones = {"field": ["user"], "value": ["ann"], "count": [1]}

    def count(part: Part) -> pa.Table:
        return pa.table(ones, schema=COUNTS_SCHEMA)

    tables = list(spread.map_parts(parts, count, COUNTS_SCHEMA, lambda done: add_up(done, done[0].schema)))
    assert sum(map(len, tables)) < len(parts)
    assert passes.count_parts(parts, count, COUNTS_SCHEMA).to_pylist() == [
        {"field": "user", "value": "ann", "count": len(parts)}
    ]


def test_counts_over_all_nodes_are_those_of_one_process(logs_uri, spec):
    manifest = find(logs_uri, spec)
    counted = passes.count_values(manifest, data_of(logs_uri, spec), BY_DATE)
    alone = vocabulary.count(pa.concat_tables([click_rows(), click_rows(8)]), spec)
    assert vocabulary.build(spec, counted).fingerprint == vocabulary.build(spec, alone).fingerprint


def as_multiset(rows: Rows) -> list[tuple[int, ...]]:
    bounds = np.concatenate([[0], np.cumsum(rows.cell_lengths.sum(axis=1, dtype=int))])
    return sorted(tuple(rows.ids[bounds[i] : bounds[i + 1]].tolist()) for i in range(len(rows)))


def test_encode_alone_is_encode_inside_ray_data(logs_uri, spec, tmp_path):
    encoded, vocab = encode(logs_uri, spec, str(tmp_path / "store"), BY_DATE)
    inside = Rows.concatenate(list(local_windows(encoded, "train", len(spec.fields), 0, 1)))
    alone = Encoder(vocab).encode(pa.concat_tables([click_rows(), click_rows(8)]))
    assert as_multiset(inside) == as_multiset(alone)


def test_by_threads_the_counts_and_the_store_are_those_of_a_cluster_to_the_byte(logs_uri, spec, tmp_path):
    on_nodes, vocab = encode(logs_uri, spec, str(tmp_path / "nodes"), BY_DATE)
    with cluster.of_command(ClusterConfig(num_workers=0)):
        here, vocab_of_threads = encode(logs_uri, spec, str(tmp_path / "here"), BY_DATE)
    assert vocab_of_threads.fingerprint == vocab.fingerprint
    assert set(here.parts) == set(on_nodes.parts)
    for part in here.parts:
        assert Path(here.uri, part.path).read_bytes() == Path(on_nodes.uri, part.path).read_bytes()


def test_a_random_split_divides_each_row_once_and_the_same_way_each_time(logs_uri, spec, tmp_path):
    stores = [encode(logs_uri, spec, str(tmp_path / name), BY_KEY)[0] for name in ("one", "two")]
    assert stores[0].num_rows("train") + stores[0].num_rows("test") == 24
    assert 0 < stores[0].num_rows("test") < 24
    assert set(stores[0].parts) == set(stores[1].parts)
    for part in stores[0].parts:
        assert Path(stores[0].uri, part.path).read_bytes() == Path(stores[1].uri, part.path).read_bytes()


def test_the_ranks_shares_of_the_held_out_rows_are_all_of_them(logs_uri, spec, tmp_path):
    encoded, _ = encode(logs_uri, spec, str(tmp_path / "store"), BY_KEY)
    shares = [list(local_windows(encoded, "test", len(spec.fields), rank, 3)) for rank in range(3)]
    assert sum(len(rows) for share in shares for rows in share) == encoded.num_rows("test")


def test_an_epoch_feeds_every_training_row_once_in_the_order_and_the_windows_of_a_rank_that_reads_itself(
    logs_uri, spec, tmp_path
):
    encoded, _ = encode(logs_uri, spec, str(tmp_path / "store"), BY_DATE)
    dataset = feed.dataset(encoded, "train")
    alone = list(windows_of_epoch(encoded, len(spec.fields), 5))
    assert sum(map(len, alone)) == 16
    for _ in range(2):
        epoch = list(feed.windows(dataset.iterator(), len(spec.fields), window_rows=5))
        assert [len(rows) for rows in epoch] == [len(rows) for rows in alone] == [5, 5, 5, 1]
        for fed, read in zip(epoch, alone, strict=True):
            np.testing.assert_array_equal(fed.ids, read.ids)
            np.testing.assert_array_equal(fed.labels, read.labels)


def test_a_bad_row_is_refused_by_its_place_and_the_first_place_wins(logs_uri, spec):
    for day in (1, 2):
        bad = click_rows().set_column(7, "click", pa.array([0] * 7 + [7], pa.int8()))
        write_day(Path(logs_uri), date(2026, 11, day), bad)
    with pytest.raises(Refusal, match=r"7 \(1 such rows\)") as refusal:
        passes.count_values(find(logs_uri, spec), data_of(logs_uri, spec), BY_DATE)
    assert "date=2026-11-01/part-0.parquet, row group 1, column 'click'" in refusal.value.where


def test_a_log_on_s3_is_counted_encoded_and_fed_as_one_on_disk(logs_uri, spec, tmp_path, bucket):
    fsspec.filesystem("s3").put(logs_uri, f"{bucket}/logs", recursive=True)
    on_disk, vocab = encode(logs_uri, spec, str(tmp_path / "store"), BY_DATE)
    on_s3, vocab_of_s3 = encode(f"{bucket}/logs", spec, f"{bucket}/store", BY_DATE)
    assert vocab_of_s3.fingerprint == vocab.fingerprint
    assert set(on_s3.parts) == set(on_disk.parts)
    assert store.open_store(on_s3.uri, spec) is not None
    for part in on_disk.parts:
        assert files.read_bytes(f"{on_s3.uri}/{part.path}") == files.read_bytes(f"{on_disk.uri}/{part.path}")
    fed = Rows.concatenate(list(feed.windows(feed.dataset(on_s3, "train").iterator(), len(spec.fields))))
    assert len(fed) == 16


def test_passes_that_leave_bad_rows_out_see_the_log_without_them(logs_uri, spec, tmp_path):
    for day in (1, 3):
        click = pa.array([1, 7, 0, 0, 0, None, 0, 0], pa.int8())
        write_day(Path(logs_uri), date(2026, 11, day), click_rows(8 * day).set_column(7, "click", click))
        sound = click_rows(8 * day).take([0, 2, 3, 4, 6, 7])
        write_day(tmp_path / "sound", date(2026, 11, day), sound, row_group_size=3)
    write_day(tmp_path / "sound", date(2026, 11, 2), click_rows(8))
    made = []
    for uri, share in ((logs_uri, 0.5), (str(tmp_path / "sound"), 0.0)):
        manifest, data, folder = find(uri, spec), data_of(uri, spec, share), tmp_path / f"store-{share}"
        vocab = vocabulary.build(spec, passes.count_values(manifest, data, BY_DATE))
        parts = passes.encode_rows(manifest, vocab, data, BY_DATE, 0, str(folder))
        made.append((vocab.fingerprint, {part.path: (folder / part.path).read_bytes() for part in parts}))
    assert made[0] == made[1]


def test_the_executor_that_feeds_ranks_rests_between_two_looks_but_for_one_that_comes_late():
    one, began = feed.Unhurried(), time.monotonic()
    for _ in range(6):
        one.on_execution_step(None)
    assert time.monotonic() - began >= 5 * feed.LOOK_SECONDS
    time.sleep(3 * feed.LOOK_SECONDS)
    late = time.monotonic()
    one.on_execution_step(None)
    assert time.monotonic() - late < feed.LOOK_SECONDS
