"""Which of a part's rows are trained on, validated on, held out and left away, without a cluster."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import write_day

from pipeline.data import logs, store, vocabulary
from pipeline.data.encode import Encoder
from pipeline.data.logs import Part
from pipeline.data.passes import encode_part
from pipeline.data.rows import Rows
from pipeline.data.split import ResolvedSplit
from pipeline.data.store import SplitName, StoredPart
from schemas.config import DataConfig, RandomSplit
from schemas.features import FeatureSpec

# Each row has an id of its own, which tells where it went.
SPEC = FeatureSpec.model_validate(
    {
        "label": "click",
        "row_key": "row",
        "fields": [{"name": "row", "kind": "categorical"}, {"name": "site", "kind": "categorical"}],
    }
)
DAYS = (date(2026, 11, 1), date(2026, 11, 2))
BY_KEY = ResolvedSplit(DAYS, DAYS, RandomSplit(by="random", row_key="row", test_share=0.25))
BY_DATE = ResolvedSplit(DAYS[:1], DAYS[1:])
ROWS_PER_DAY, SEED = 4000, 5


def log_of(first_row: int, num_rows: int) -> pa.Table:
    random = np.random.default_rng(first_row)
    return pa.table(
        {
            "row": pa.array(np.arange(first_row, first_row + num_rows), pa.int64()),
            "site": random.choice(["x", "y", "z"], num_rows),
            "click": pa.array(random.random(num_rows) < 0.2, pa.int8()),
        }
    )


@pytest.fixture(scope="module")
def tables() -> list[pa.Table]:
    return [log_of(i * ROWS_PER_DAY, ROWS_PER_DAY) for i in range(len(DAYS))]


@pytest.fixture(scope="module")
def encoder(tables) -> Encoder:
    return Encoder(vocabulary.build(SPEC, vocabulary.count(pa.concat_tables(tables), SPEC)))


@pytest.fixture(scope="module")
def parts(tables, tmp_path_factory) -> list[Part]:
    """Two of each day, of two row groups each."""
    folder = tmp_path_factory.mktemp("logs")
    for day, table in zip(DAYS, tables, strict=True):
        write_day(folder, day, table, row_group_size=ROWS_PER_DAY // 4)
    return logs.find(DataConfig(logs_uri=str(folder), features=SPEC), DAYS).parts(ROWS_PER_DAY // 2)


def encoded(
    part: Part,
    encoder: Encoder,
    split: ResolvedSplit = BY_KEY,
    seed: int = SEED,
    **shares: float,
) -> dict[SplitName, Rows]:
    data = DataConfig(logs_uri="/logs", features=SPEC, **shares)
    return encode_part(part, encoder, data, split, seed)


def keys(rows: Rows) -> list[int]:
    """The id of each row's first field, which no other row has."""
    return rows.ids.reshape(-1, rows.num_fields)[:, 0].tolist()


def bytes_of(rows: Rows, folder: Path) -> bytes:
    part = StoredPart("train", DAYS[0], 0, len(rows), 0)
    store.write_part(str(folder), part, rows)
    return (folder / part.path).read_bytes()


def in_order(part: Part, encoder: Encoder) -> tuple[Rows, np.ndarray]:
    """The part's rows, as they lie in the log, and which of them are held out."""
    table = pa.concat_tables([pq.ParquetFile(uri).read_row_group(group) for uri, group in part.row_groups])
    return encoder.encode(table), BY_KEY.is_held_out(table, part.day)


def test_the_splits_are_disjoint_and_together_all_rows(parts, encoder):
    for part in parts:
        of_split = encoded(part, encoder, validation_share=0.3)
        rows, is_test = in_order(part, encoder)
        found = [key for rows_of_one in of_split.values() for key in keys(rows_of_one)]
        assert sorted(found) == sorted(keys(rows))
        assert sorted(keys(of_split["test"])) == sorted(keys(rows.take(np.flatnonzero(is_test))))


def test_about_the_share_asked_for_is_validated_on(parts, encoder):
    of_split = encoded(parts[0], encoder, validation_share=0.3)
    num_rows = len(of_split["train"]) + len(of_split["validation"])
    # Four standard deviations of a binomial.
    assert len(of_split["validation"]) == pytest.approx(0.3 * num_rows, abs=4 * (0.3 * 0.7 * num_rows) ** 0.5)


def test_all_clicks_and_about_the_share_asked_for_of_the_negatives_are_trained_on(parts, encoder):
    whole, sampled = (encoded(parts[0], encoder, negative_share=share)["train"] for share in (1.0, 0.1))
    clicks = {key for key, label in zip(keys(whole), whole.labels, strict=True) if label}
    assert {key for key, label in zip(keys(sampled), sampled.labels, strict=True) if label} == clicks
    num_negatives = len(whole) - len(clicks)
    kept = len(sampled) - len(clicks)
    assert kept == pytest.approx(0.1 * num_negatives, abs=4 * (0.1 * 0.9 * num_negatives) ** 0.5)


def test_the_negatives_that_are_kept_are_so_in_the_order_of_all(parts, encoder):
    whole, sampled = (encoded(parts[0], encoder, negative_share=share)["train"] for share in (1.0, 0.1))
    kept = set(keys(sampled))
    assert keys(sampled) == [key for key in keys(whole) if key in kept]


def test_validation_rows_are_the_same_whatever_share_of_the_negatives_is_trained_on(parts, encoder, tmp_path):
    one, other = (encoded(parts[0], encoder, validation_share=0.3, negative_share=share) for share in (1.0, 0.1))
    assert bytes_of(one["validation"], tmp_path) == bytes_of(other["validation"], tmp_path)
    assert not set(keys(other["train"])) & set(keys(other["validation"]))


def test_held_out_rows_are_the_same_whatever_the_shares(parts, encoder, tmp_path):
    plain, shared = encoded(parts[0], encoder), encoded(parts[0], encoder, validation_share=0.3, negative_share=0.1)
    assert bytes_of(plain["test"], tmp_path) == bytes_of(shared["test"], tmp_path)


def test_the_days_that_are_held_out_keep_all_their_rows(parts, encoder):
    held_out = next(part for part in parts if part.day == DAYS[1])
    of_split = encoded(held_out, encoder, split=BY_DATE, validation_share=0.3, negative_share=0.1)
    assert {name: len(rows) for name, rows in of_split.items()} == {"train": 0, "validation": 0, "test": 2000}


def test_the_days_of_validation_keep_all_their_rows_and_give_none_to_train_on(parts, encoder):
    split = ResolvedSplit((DAYS[0],), (date(2026, 12, 1),), validation_days=(DAYS[1],))
    of_validation = next(part for part in parts if part.day == DAYS[1])
    of_split = encoded(of_validation, encoder, split=split, negative_share=0.1)
    assert {name: len(rows) for name, rows in of_split.items()} == {"train": 0, "validation": 2000, "test": 0}
    trained_on = next(part for part in parts if part.day == DAYS[0])
    of_split = encoded(trained_on, encoder, split=split)
    assert {name: len(rows) for name, rows in of_split.items()} == {"train": 2000, "validation": 0, "test": 0}


def test_the_same_seed_draws_the_same_rows_and_another_one_others(parts, encoder, tmp_path):
    one, again, other = (
        encoded(parts[0], encoder, seed=seed, validation_share=0.3, negative_share=0.5) for seed in (SEED, SEED, 6)
    )
    for name, rows in one.items():
        assert bytes_of(rows, tmp_path) == bytes_of(again[name], tmp_path)
    assert set(keys(one["validation"])) != set(keys(other["validation"]))
    assert set(keys(one["train"])) != set(keys(other["train"]))
    assert set(keys(one["test"])) == set(keys(other["test"]))


def test_each_part_draws_for_itself(parts, encoder):
    draws = set()
    for part in parts:
        validation = set(keys(encoded(part, encoder, validation_share=0.3)["validation"]))
        draws.add(tuple(key in validation for key in keys(encoded(part, encoder)["train"].slice(0, 100))))
    split_by_day = [part for part in parts if part.day == DAYS[0]]
    assert len(draws) == len(parts) > len(split_by_day) > 1


def test_with_neither_share_the_rows_are_those_of_a_permutation_alone(parts, encoder, tmp_path):
    for part in parts:
        of_split = encoded(part, encoder)
        rows, is_test = in_order(part, encoder)
        for name, mask in (("train", ~is_test), ("test", is_test)):
            order = np.random.default_rng([SEED, part.day.toordinal(), part.index]).permutation(mask.sum())
            expected = rows.take(np.flatnonzero(mask)).take(order)
            assert bytes_of(of_split[name], tmp_path) == bytes_of(expected, tmp_path)
        assert len(of_split["validation"]) == 0
