"""Files of a day that hold no row, with a row group and without one, beside a file that holds some."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundles import write_random_bundle
from click_logs import click_rows, data_of, write_day, write_random_log

from pipeline.data import logs, passes, quality, vocabulary
from pipeline.data.encode import Encoder
from pipeline.data.split import ResolvedSplit
from pipeline.intake.look import look
from pipeline.profiles.profiler import profile_days
from pipeline.scoring.held_out import score_held_out
from pipeline.scoring.sample import sample
from pipeline.scoring.score import score_part
from schemas.features import FeatureSpec

DAYS = [date(2026, 11, 1), date(2026, 11, 2)]
SPLIT = ResolvedSplit((DAYS[0],), (DAYS[1],))


def without_chunks(rows: pa.Table) -> pa.Table:
    """The columns with no row, and none of a chunk."""
    return pa.table({field.name: pa.chunked_array([], field.type) for field in rows.schema})


@pytest.fixture
def data(tmp_path):
    write_random_log(tmp_path / "logs", num_days=2, rows_per_day=400)
    for day in DAYS:
        rows = pq.read_table(tmp_path / "logs" / f"date={day}" / "part-0.parquet", partitioning=None)
        with pq.ParquetWriter(tmp_path / "logs" / f"date={day}" / "no-group.parquet", rows.schema):
            pass
        path = write_day(tmp_path / "logs", day, without_chunks(rows), name="no-rows.parquet")
        assert pq.ParquetFile(path.with_name("no-group.parquet")).num_row_groups == 0
        assert pq.ParquetFile(path).metadata.row_group(0).num_rows == 0
    return data_of(tmp_path / "logs")


def test_they_change_nothing(data, tmp_path):
    manifest = logs.find(data, DAYS)
    counts = passes.count_values(manifest, data, SPLIT)
    assert counts["count"].to_numpy().sum() > 400
    encoder = Encoder(vocabulary.build(data.features, counts))
    encoded = [passes.encode_part(part, encoder, data, SPLIT, 0) for part in manifest.parts(100)]
    assert sum(len(rows) for of_split in encoded for rows in of_split.values()) == 800
    assert [profile.rows for profile in profile_days(manifest, data, str(tmp_path / "work"))] == [400, 400]
    bundle = write_random_bundle(tmp_path / "bundle", click_rows())
    assert len(score_held_out(bundle, manifest, data, SPLIT).logits) == 400
    assert sum(len(score_part(part, bundle, "models:/ctr/1")) for part in manifest.parts(100)) == 800
    assert len(sample(bundle, manifest, data, SPLIT, num_rows=10_000)) == 400
    assert look(data.logs_uri).sample.total_rows == 800


def test_a_table_without_a_chunk_is_counted_encoded_and_checked(spec: FeatureSpec, rows: pa.Table):
    nothing = without_chunks(rows)
    encoder = Encoder(vocabulary.build(spec, vocabulary.count(rows, spec)))
    assert len(vocabulary.count(nothing, spec)) == 0
    assert len(encoder.encode(nothing)) == 0
    assert quality.bad_rows(nothing, spec) == {}
    assert len(quality.sound_rows(nothing, spec, "here", max_bad_share=0.5)) == 0
    assert np.array_equal(encoder.encode(pa.concat_tables([nothing, rows])).ids, encoder.encode(rows).ids)
