"""Columns that begin in the midst of a log: older files count, encode and score as if they had them, all null."""

import logging
from dataclasses import fields
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from bundles import write_random_bundle
from click_logs import click_rows, data_of, write_day

from pipeline.data import estimated_ids, logs, passes, vocabulary
from pipeline.data.encode import Encoder
from pipeline.data.late_columns import late_in_words
from pipeline.data.split import ResolvedSplit
from pipeline.profiles.profiler import profile_days
from pipeline.scoring.held_out import score_held_out
from pipeline.scoring.sample import sample
from pipeline.scoring.score import score_part
from schemas.data import DataConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec

DAYS = [date(2026, 11, day) for day in (1, 2, 3)]
LATE = ["site", "tags", "age", "views", "price"]  # a field of each kind and encoder
SPLIT = ResolvedSplit(tuple(DAYS[:2]), (DAYS[2],))


def nulls(rows: pa.Table) -> pa.Table:
    """The rows with nothing in the late columns, each of its own type."""
    for name in LATE:
        kind = rows.schema.field(name).type
        rows = rows.set_column(rows.column_names.index(name), name, pa.nulls(len(rows), kind))
    return rows


@pytest.fixture
def both(tmp_path: Path) -> tuple[DataConfig, DataConfig]:
    """A log of three days whose first one lacks the columns, and the same with nulls in them."""
    for name, old in (("late", click_rows().drop_columns(LATE)), ("whole", nulls(click_rows()))):
        write_day(tmp_path / name, DAYS[0], old)
        for number, day in enumerate(DAYS[1:], start=1):
            write_day(tmp_path / name, day, click_rows(8 * number))
    return data_of(tmp_path / "late"), data_of(tmp_path / "whole")


def test_values_are_counted_encoded_and_estimated_as_of_nulls(both):
    of_logs = []
    for data in both:
        manifest = logs.find(data, DAYS)
        counts = passes.count_values(manifest, data, SPLIT)
        encoder = Encoder(vocabulary.build(data.features, counts))
        encoded = [passes.encode_part(part, encoder, data, SPLIT, seed=3) for part in manifest.parts(100)]
        found = {(place, split): rows for place, of_split in enumerate(encoded) for split, rows in of_split.items()}
        estimate = estimated_ids.estimate(manifest, data, SPLIT)
        of_logs.append((counts.sort_by([("field", "ascending"), ("value", "ascending")]), found, estimate))
    (late_counts, late, late_estimate), (counts, whole, estimate) = of_logs
    assert late_counts == counts
    assert late_estimate == estimate
    assert late.keys() == whole.keys()
    for key, rows in late.items():
        for one in fields(rows):
            assert np.array_equal(getattr(rows, one.name), getattr(whole[key], one.name)), (key, one.name)


def test_days_are_profiled_as_of_nulls(both, tmp_path):
    late, whole = (profile_days(logs.find(data, DAYS), data, str(tmp_path / "work")) for data in both)
    of_its_own = {"log_fingerprint"}
    assert [one.model_dump(exclude=of_its_own) for one in late] == [one.model_dump(exclude=of_its_own) for one in whole]


def test_a_model_scores_judges_and_explains_such_a_day_as_one_of_nulls(both, tmp_path):
    bundle, held_out = write_random_bundle(tmp_path, click_rows()), ResolvedSplit((), (DAYS[0],))
    of_logs = []
    for data in both:
        manifest = logs.find(data, DAYS[:1], bundle.spec, labelled=False)
        judged = score_held_out(bundle, manifest, data, held_out, ["site"])
        drawn = sample(bundle, manifest, data, held_out, num_rows=100)
        of_logs.append((score_part(manifest.parts(100)[0], bundle, "models:/ctr/1"), judged, drawn))
    (late_scores, late, late_drawn), (scores, whole, drawn) = of_logs
    assert late_scores == scores
    assert np.array_equal(late.logits, whole.logits)
    assert late.rows == whole.rows
    assert np.array_equal(late_drawn.ids, drawn.ids)


def test_it_is_told_which_days_lack_which_columns(both, caplog):
    caplog.set_level(logging.WARNING)
    manifest = logs.find(both[0], DAYS)
    assert {(one.day, one.name) for one in manifest.late_columns} == {(DAYS[0], name) for name in LATE}
    assert manifest.of_days(DAYS[1:]).late_columns == ()
    words = "columns of fields that older files lack, where they are null: 'age' (on 2026-11-01), 'price' "
    assert late_in_words(manifest.late_columns).startswith(words)
    assert words in caplog.text
    assert logs.find(both[1], DAYS).late_columns == ()


def test_days_from_before_it_begins_are_read_also_without_those_behind(both):
    assert len(logs.find(both[0], DAYS[:1]).late_columns) == len(LATE)


def refused(data: DataConfig, days: list[date]) -> str:
    with pytest.raises(Refusal) as refusal:
        logs.find(data, days)
    return f"{refusal.value.found}, {refusal.value.where}"


def test_a_name_that_no_file_has_is_refused(both):
    spec = both[0].features.model_dump(mode="json")
    spec["fields"].append({"name": "colour", "kind": "categorical"})
    data = data_of(both[0].logs_uri, FeatureSpec.model_validate(spec))
    assert "no column 'colour'" in refused(data, DAYS)
    assert "no column 'colour'" in refused(data, DAYS[:1])


def test_a_column_that_goes_is_refused_where_it_is_missing(both):
    write_day(Path(both[0].logs_uri), DAYS[2], click_rows().drop_columns(["age"]))
    for days in (DAYS, DAYS[1:], DAYS[2:]):
        assert refused(both[0], days).startswith("no column 'age'")
        assert "date=2026-11-03" in refused(both[0], days)


def test_a_column_that_was_renamed_is_no_new_one(both):
    old = click_rows().drop_columns(LATE).append_column("ages", click_rows()["age"])
    write_day(Path(both[0].logs_uri), DAYS[0], old)
    data = data_of(both[0].logs_uri, unknown_columns="warn")
    assert "perhaps it was renamed to 'ages'" in refused(data, DAYS)


@pytest.mark.parametrize("role", ["click", "user", "row"])
def test_label_group_and_key_are_asked_of_every_file(both, role):
    write_day(Path(both[0].logs_uri), DAYS[0], click_rows().drop_columns([role]))
    assert f"no column '{role}'" in refused(both[0], DAYS)


def test_the_column_that_rows_are_drawn_by_is_asked_of_every_file(both):
    split = {"by": "random", "row_key": "site"}
    assert "no column 'site'" in refused(data_of(both[0].logs_uri, split=split), DAYS)


def test_of_the_files_of_a_day_those_before_it_begins_may_lack_it(both):
    logs_uri = Path(both[0].logs_uri)
    write_day(logs_uri, DAYS[1], click_rows().drop_columns(["age"]), name="part--1.parquet")
    assert (DAYS[1], "age") in {(one.day, one.name) for one in logs.find(both[0], DAYS).late_columns}
    write_day(logs_uri, DAYS[1], click_rows().drop_columns(["age"]), name="part-1.parquet")
    assert "part-1.parquet" in refused(both[0], DAYS)


def test_a_newest_day_that_cannot_be_read_is_not_taken_for_one_that_has_the_column(both):
    (Path(both[0].logs_uri) / f"date={DAYS[2]}" / "part-0.parquet").write_text("no Parquet")
    assert "no column" in refused(both[0], DAYS[:1])
