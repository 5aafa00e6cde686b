from collections.abc import Sequence
from datetime import date
from pathlib import Path

import damage
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import data_of, write_random_log

from pipeline.data import logs, passes, vocabulary
from pipeline.data.logs import Manifest
from pipeline.data.split import ResolvedSplit
from pipeline.data.vocabulary import Vocabulary
from pipeline.profiles.profile import DayProfile
from pipeline.profiles.profiler import counted_days, counts_of, kept_profiles, profile_days
from schemas.config import DataConfig
from schemas.errors import Refusal
from schemas.features import FeatureSpec

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default"), pytest.mark.usefixtures("cluster")]
DAY = date(2026, 11, 1)
BAD = [5, 7, 300]  # rows of the second day


@pytest.fixture
def spec(spec: FeatureSpec) -> FeatureSpec:
    return spec.model_copy(update={"ignored": ("note",)})


@pytest.fixture
def log(tmp_path) -> Path:
    """Two days of 400 rows; the second has three bad ones and a column that the spec ignores."""
    write_random_log(tmp_path / "logs", 2, 400)
    path = tmp_path / "logs" / "date=2026-11-02" / "part-0.parquet"
    table = pq.read_table(path, partitioning=None)
    click, price = table["click"].to_numpy().copy(), table["price"].to_numpy().copy()
    click[[5, 300]], price[[5, 7]] = 9, np.nan
    table = table.set_column(table.column_names.index("click"), "click", pa.array(click))
    table = table.set_column(table.column_names.index("price"), "price", pa.array(price))
    pq.write_table(table.append_column("note", pa.array([f"n{i}" for i in range(400)])), path, row_group_size=100)
    return tmp_path / "logs"


def find(log: Path, spec: FeatureSpec) -> Manifest:
    return logs.find(data_of(log, spec), logs.days_of(data_of(log, spec)))


def profiles(
    manifest: Manifest, spec: FeatureSpec, work: Path, share: float = 0.01, known: Vocabulary | None = None
) -> list[DayProfile]:
    data = DataConfig(logs_uri="/logs", features=spec, rows_per_part=200, max_bad_share=share)
    return profile_days(manifest, data, str(work), known)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_profiles_of_a_written_log_are_what_pandas_counts(log, spec, tmp_path):
    first, second = profiles(find(log, spec), spec, tmp_path)
    for profile, bad in ((first, []), (second, BAD)):
        path = log / f"date={profile.day}" / "part-0.parquet"
        frame = pq.read_table(path, partitioning=None).to_pandas().drop(index=bad)
        assert (profile.rows, profile.positives) == (len(frame), frame["click"].sum())
        for name in ("user", "site"):
            assert profile.fields[name].counts == frame[name].value_counts().to_dict()
        assert profile.fields["tags"].counts == frame["tags"].explode().value_counts().to_dict()
        assert profile.fields["tags"].null_share == (frame["tags"].map(len) == 0).mean()
        assert profile.fields["age"].num_distinct == frame["age"].nunique()
        assert profile.fields["views"].quantiles["25%"] == np.quantile(frame["views"], 0.25, method="inverted_cdf")
    assert (first.bad_rows, first.bad_by_reason) == (0, {})
    assert (second.bad_rows, second.bad_by_reason) == (3, {"click: neither 0 nor 1": 2, "price: not finite": 2})


def test_bad_rows_lie_in_quarantine_with_all_columns_and_their_reasons(log, spec, tmp_path):
    profiles(find(log, spec), spec, tmp_path)
    names = sorted(contents(tmp_path / "quarantine"))
    # Of four row groups the first and third are read by one task, the second and fourth by another.
    assert names == ["date=2026-11-02/part-0000.parquet", "date=2026-11-02/part-0001.parquet"]
    kept = pa.concat_tables(pq.read_table(tmp_path / "quarantine" / name, partitioning=None) for name in names)
    written = pq.read_table(log / "date=2026-11-02" / "part-0.parquet", partitioning=None)
    assert {*kept.column_names} == {*written.column_names, "reason"}
    reasons = dict(zip(kept["note"].to_pylist(), kept["reason"].to_pylist(), strict=True))
    assert reasons == {
        "n5": "click: neither 0 nor 1; price: not finite",
        "n7": "price: not finite",
        "n300": "click: neither 0 nor 1",
    }


def test_a_second_pass_writes_the_same_bytes(log, spec, tmp_path):
    profiles(find(log, spec), spec, tmp_path / "one")
    profiles(find(log, spec), spec, tmp_path / "two")
    assert contents(tmp_path / "one" / "quarantine") == contents(tmp_path / "two" / "quarantine")
    one, two = (sorted((tmp_path / name / "profiles").rglob("*.json")) for name in ("one", "two"))
    assert len(one) == 2
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_a_profiled_day_is_not_read_again_whatever_the_vocabulary(log, spec, tmp_path):
    manifest = find(log, spec)
    before = profiles(manifest, spec, tmp_path)
    counts = [vocabulary.count(pq.read_table(path, partitioning=None), spec) for path in log.rglob("*.parquet")]
    (log / "date=2026-11-01" / "part-0.parquet").unlink()
    (log / "date=2026-11-02" / "part-0.parquet").unlink()
    assert profiles(manifest, spec, tmp_path) == before
    all_of_it = vocabulary.build(spec, vocabulary.merge(pa.concat_tables(counts)))
    for known, unseen in ((vocabulary.build(spec, counts[0].slice(0, 0)), 1.0), (all_of_it, 0.0)):
        for profile in profiles(manifest, spec, tmp_path, known=known):
            of_fields = [profile.fields[name].unseen_share for name in ("user", "site", "tags", "views", "age")]
            assert of_fields == [unseen, None, unseen, unseen, None]


def test_a_damaged_profile_or_its_counts_are_made_again_from_the_log(log, spec, tmp_path, caplog):
    manifest = find(log, spec).of_days([DAY])
    known = vocabulary.build(spec, vocabulary.count(pq.read_table(log / "date=2026-11-02", partitioning=None), spec))
    expected = profiles(manifest, spec, tmp_path, known=known)
    for path in damage.files_below(tmp_path / "profiles"):
        for kind in damage.kinds_of(tmp_path / "profiles" / path):
            damage.KINDS[kind](tmp_path / "profiles" / path)
            assert profiles(manifest, spec, tmp_path, known=known) == expected, f"{path}, {kind}"
    told = len(caplog.records)
    assert profiles(manifest, spec, tmp_path, known=known) == expected
    assert len(caplog.records) == told > 10
    assert "is made again" in caplog.text


def test_a_day_with_too_many_bad_rows_is_refused_each_time_and_they_are_kept(log, spec, tmp_path):
    for _ in range(2):
        with pytest.raises(Refusal) as refusal:
            profiles(find(log, spec), spec, tmp_path, share=0.005)
        assert refusal.value.found == (
            "2026-11-02: 3 of 400 rows (0.75%) break the contract: click: neither 0 nor 1 (2), price: not finite (2)"
        )
        assert refusal.value.expected == "at most 0.50% of a day's rows"
        assert refusal.value.where == f"{tmp_path}/quarantine/date=2026-11-02"
        assert len(contents(tmp_path / "quarantine")) == 2


def test_where_none_may_be_bad_the_first_bad_row_is_refused_by_its_place(log, spec, tmp_path):
    with pytest.raises(Refusal) as refusal:
        profiles(find(log, spec), spec, tmp_path, share=0)
    assert refusal.value.where.endswith("date=2026-11-02/part-0.parquet, row group 0, column 'click'")
    assert not (tmp_path / "quarantine").exists()


def test_a_day_written_again_is_profiled_again_and_leaves_quarantine(log, spec, tmp_path):
    profiles(find(log, spec), spec, tmp_path)
    path = log / "date=2026-11-02" / "part-0.parquet"
    sound = pq.read_table(path, partitioning=None).to_pandas().drop(index=BAD)
    pq.write_table(pa.Table.from_pandas(sound, preserve_index=False), path)
    assert [profile.bad_rows for profile in profiles(find(log, spec), spec, tmp_path)] == [0, 0]
    assert contents(tmp_path / "quarantine") == {}


def test_another_spec_is_another_profile(log, spec, tmp_path):
    profiles(find(log, spec), spec, tmp_path)
    fewer = spec.model_copy(update={"fields": spec.fields[1:], "ignored": ("note",), "group": "user"})
    assert "user" not in profiles(find(log, fewer), fewer, tmp_path)[0].fields


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("site", pa.array([b"x", b"\xff", *[b"y"] * 398], pa.binary()).view(pa.string()), "site: not UTF-8"),
        ("site", pa.array([b"x", b"\xff", *[b"y"] * 398], pa.binary_view()), "site: not UTF-8"),
        ("site", pa.array([1.0, 0.5, *[3.0] * 398]), "site: no whole number"),
        ("price", pa.array([1.0, 1e300, *[3.0] * 398]), "price: beyond 32-bit floats"),
    ],
)
def test_rows_that_cannot_be_read_are_in_quarantine_with_their_reason(log, spec, tmp_path, column, values, reason):
    path = log / "date=2026-11-01" / "part-0.parquet"
    table = pq.read_table(path, partitioning=None)
    changed = table.set_column(table.column_names.index(column), column, values)
    pq.write_table(changed.append_column("note", pa.array(["n"] * 400, pa.string_view())), path)
    profile, _ = profiles(find(log, spec), spec, tmp_path)
    assert profile.bad_by_reason == {reason: 1}
    (kept,) = (tmp_path / "quarantine" / "date=2026-11-01").iterdir()
    assert pq.read_table(kept, partitioning=None)["reason"].to_pylist() == [reason]


def test_what_was_profiled_is_found_again_without_the_log(log, spec, tmp_path):
    manifest = find(log, spec)
    made = profiles(manifest, spec, tmp_path)
    data = DataConfig(logs_uri="/gone", features=spec)
    assert kept_profiles([*manifest.days, date(2026, 12, 1)], data, str(tmp_path)) == made
    fewer = DataConfig(logs_uri="/gone", features=spec.model_copy(update={"fields": spec.fields[:1]}))
    assert kept_profiles(manifest.days, fewer, str(tmp_path)) == []


def test_the_counts_of_profiled_days_are_those_that_the_pass_over_their_rows_makes(log, spec, tmp_path):
    manifest, split = find(log, spec), ResolvedSplit(logs.days_of(data_of(log, spec)), ())
    data = DataConfig(logs_uri=str(log), features=spec, rows_per_part=200, max_bad_share=0.01)
    assert counted_days(manifest, data, str(tmp_path)) == []
    profiles(manifest, spec, tmp_path)
    assert counted_days(manifest, data, str(tmp_path)) == list(manifest.days)

    def counted(days: Sequence[date]) -> pa.Table:
        others = manifest.of_days([day for day in manifest.days if day not in days])
        of_days = counts_of(days, manifest, data, str(tmp_path))
        by_value = [("field", "ascending"), ("value", "ascending")]
        return passes.count_values(others, data, split, of_days).sort_by(by_value)

    by_the_pass = counted([])
    assert {"user", "tags", "age", "views", "price"} == {*by_the_pass["field"].to_pylist()}
    assert counted([DAY]) == by_the_pass
    assert counted(manifest.days) == by_the_pass


def test_counts_that_were_thrown_away_are_counted_again_where_they_are_asked_for(log, spec, tmp_path):
    manifest = find(log, spec)
    profiles(manifest, spec, tmp_path)
    known = vocabulary.build(spec, vocabulary.count(pq.read_table(log / "date=2026-11-01/part-0.parquet"), spec))
    before = profiles(manifest, spec, tmp_path, known=known)
    for path in (tmp_path / "profiles").rglob("*.parquet"):
        path.unlink()
    assert profiles(manifest, spec, tmp_path) == profiles(manifest, spec, tmp_path)
    assert list((tmp_path / "profiles").rglob("*.parquet")) == [], "who asks for no unseen values needs none"
    assert profiles(manifest, spec, tmp_path, known=known) == before
