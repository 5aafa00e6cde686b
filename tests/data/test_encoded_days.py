from datetime import date

import pytest
from click_logs import click_rows

from pipeline.data import logs, store, vocabulary
from pipeline.data.encoded_days import EncodedDays
from pipeline.data.logs import Manifest
from pipeline.data.store import Store, StoredPart
from pipeline.data.vocabulary import Vocabulary
from pipeline.runtime import files
from schemas.config import DataConfig

DAYS = [date(2026, 11, day) for day in (1, 2, 3)]


@pytest.fixture
def data(spec, logs_uri) -> DataConfig:
    return DataConfig(logs_uri=logs_uri, features=spec)


@pytest.fixture
def manifest(data) -> Manifest:
    return logs.find(data, DAYS)


@pytest.fixture
def vocab(spec) -> Vocabulary:
    return vocabulary.build(spec, vocabulary.count(click_rows(), spec))


@pytest.fixture
def grown(vocab, spec) -> Vocabulary:
    """With a user who was not seen before."""
    rows = click_rows()
    rows = rows.set_column(rows.column_names.index("user"), "user", [["eve"] * len(rows)])
    return vocab.grow(vocabulary.count(rows, spec))


@pytest.fixture
def encoded(tmp_path, vocab) -> Store:
    """Two days to train on, one held out; whose files nobody opens here."""
    of_split = [("train", DAYS[0]), ("validation", DAYS[0]), ("train", DAYS[1]), ("test", DAYS[2])]
    parts = [StoredPart(split, day, 0, 8, 2) for split, day in of_split]
    for part in parts:
        files.write_bytes(f"{tmp_path}/store/{part.path}", b"rows")
    return store.complete(f"{tmp_path}/store", vocab.num_ids, parts)


@pytest.fixture
def earlier(tmp_path, data) -> EncodedDays:
    return EncodedDays(f"{tmp_path}/days", data, seed=0)


def test_a_vocabulary_is_known_again_as_what_it_was_before_it_grew(vocab, grown):
    assert len(grown.values) == len(vocab.values) + 1
    assert grown.first(len(vocab.values)).fingerprint == vocab.fingerprint


def test_days_are_found_under_the_vocabulary_that_theirs_has_grown_into(earlier, encoded, manifest, vocab, grown):
    earlier.keep(encoded, manifest, vocab)
    for known in (vocab, grown):
        found = earlier.find(DAYS, manifest, known)
        assert [(part.split, part.day) for part in found] == [
            ("train", DAYS[0]),
            ("validation", DAYS[0]),
            ("train", DAYS[1]),
        ]
        assert {part.home_uri for part in found} == {encoded.uri}


def test_a_part_lies_in_the_store_that_encoded_it(earlier, encoded, manifest, vocab, spec, tmp_path):
    earlier.keep(encoded, manifest, vocab)
    new = StoredPart("train", DAYS[2], 0, 8, 2)
    files.write_bytes(f"{tmp_path}/tonight/{new.path}", b"rows")
    tonight = store.complete(f"{tmp_path}/tonight", vocab.num_ids, [*earlier.find(DAYS[:1], manifest, vocab), new])
    uris = [tonight.uri_of(part) for part in store.open_store(tonight.uri, spec).of_split("train")]
    assert uris == [
        f"{encoded.uri}/train/date=2026-11-01/part-0000.parquet",
        f"{tonight.uri}/train/date=2026-11-03/part-0000.parquet",
    ]


def test_a_held_out_day_is_encoded_when_it_is_trained_on(earlier, encoded, manifest, vocab):
    earlier.keep(encoded, manifest, vocab)
    assert earlier.find(DAYS[2:], manifest, vocab) == []


def test_a_vocabulary_that_did_not_grow_from_theirs_finds_none(earlier, encoded, manifest, vocab, grown):
    earlier.keep(encoded, manifest, grown)
    assert earlier.find(DAYS, manifest, vocab) == []


def test_a_day_that_was_written_anew_is_encoded_anew(earlier, encoded, manifest, vocab, data, tmp_path):
    earlier.keep(encoded, manifest, vocab)
    path = tmp_path / "logs" / "date=2026-11-01"
    (path / "part-0.parquet").rename(path / "part-1.parquet")
    changed = logs.find(data, DAYS)
    assert {part.day for part in earlier.find(DAYS, changed, vocab)} == {DAYS[1]}


def test_another_way_to_encode_and_a_store_that_is_gone_find_none(earlier, encoded, manifest, vocab, data, tmp_path):
    earlier.keep(encoded, manifest, vocab)
    fewer = data.model_copy(update={"negative_share": 0.5})
    assert EncodedDays(earlier.root_uri, fewer, seed=0).find(DAYS, manifest, vocab) == []
    assert EncodedDays(earlier.root_uri, data, seed=1).find(DAYS, manifest, vocab) == []
    files.remove(encoded.uri)
    assert earlier.find(DAYS, manifest, vocab) == []
