"""Fields that join a vocabulary later: what has an id keeps it, whatever the order of the new spec."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from random_bundles import FIELDS, random_rows

from pipeline.data import vocabulary, vocabulary_check
from pipeline.data.encode import Encoder
from pipeline.data.rows import Rows
from pipeline.data.vocabulary import Vocabulary
from schemas.features import FeatureSpec

OF_NAME = {field["name"]: field for field in FIELDS}
FIRST = ("hour", "user", "segments", "age")
THEN = ("tags", "age", "user", "price", "segments", "hour")
AT_LAST = ("visits", "price", "hour", "site", "tags", "is_mobile", "user", "segments", "age")


def spec_of(names: tuple[str, ...]) -> FeatureSpec:
    return FeatureSpec.model_validate({"label": "click", "fields": [OF_NAME[name] for name in names]})


def counts_of(names: tuple[str, ...], log: pa.Table) -> pa.Table:
    return vocabulary.count(log, spec_of(names))


@pytest.fixture(scope="module")
def log() -> pa.Table:
    return random_rows(200, seed=0)


@pytest.fixture(scope="module")
def first(log) -> Vocabulary:
    return vocabulary.build(spec_of(FIRST), counts_of(FIRST, log.slice(0, 100)))


@pytest.fixture(scope="module")
def joined(first, log) -> Vocabulary:
    """Two fields have joined, some values were learned, and three more fields have."""
    second = first.under(spec_of(THEN), counts_of(THEN, log)).grow(counts_of(THEN, log))
    return second.under(spec_of(AT_LAST), counts_of(AT_LAST, log)).grow(counts_of(AT_LAST, log))


def cells_of(rows: Rows, vocab: Vocabulary) -> dict[str, list[tuple[list[int], list[float]]]]:
    """Of each field, the ids and weights of its cells."""
    full = rows.in_full()
    starts, weights = full.cell_starts, full.id_weights
    spans = [slice(*pair) for pair in pairwise(starts)]
    names = vocab.spec.feature_columns
    return {
        name: [(full.ids[span].tolist(), weights[span].tolist()) for span in spans[place :: len(names)]]
        for place, name in enumerate(names)
    }


def test_known_values_keep_their_ids_whatever_joins_and_in_whatever_order(first, joined, log):
    before = cells_of(Encoder(first).encode(log.slice(0, 100)), first)
    after = cells_of(Encoder(joined).encode(log.slice(0, 100)), joined)
    for name in FIRST:
        assert after[name] == before[name], name


def test_every_id_stands_for_one_thing(joined):
    values = joined.value_ids.tolist()
    own = [id_ for start, count in joined.own_ids for id_ in range(start, start + count)]
    assert sorted(values + own) == list(range(joined.num_ids))
    assert len({ids.oov for ids in joined.fields} | {ids.missing for ids in joined.fields}) == 2 * len(AT_LAST)
    assert [one.num_ids for one in joined.joined] == [4 + len(joined.fields[1].edges) + 1, 6]


def test_a_joined_field_is_encoded_as_one_that_was_there_from_the_start(joined, log):
    anew = vocabulary.build(spec_of(AT_LAST), counts_of(AT_LAST, log))
    ours = cells_of(Encoder(joined).encode(log), joined)
    theirs = cells_of(Encoder(anew).encode(log), anew)
    for name in ("price", "site", "visits", "is_mobile", "tags"):
        pairs = {
            (mine, its)
            for one, other in zip(ours[name], theirs[name], strict=True)
            for mine, its in zip(one[0], other[0], strict=True)
        }
        assert len(pairs) == len({mine for mine, _ in pairs}) == len({its for _, its in pairs}), name


def test_it_survives_its_files_and_is_sound(joined):
    again = Vocabulary.from_parts(joined.spec, joined.layout_json(), joined.values)
    assert again == joined
    assert again.fingerprint == joined.fingerprint
    vocabulary_check.check(again)


def test_a_vocabulary_that_nothing_has_joined_is_written_as_it_always_was(first):
    assert "joined" not in json.loads(first.layout_json())
    assert first.under(first.spec, counts_of(FIRST, random_rows(9, seed=3))) == first


@pytest.mark.parametrize("change", [{"num_values": 7}, {"num_values": 10**6}, {"num_ids": 9}, {"num_ids": 0}])
def test_a_file_that_says_otherwise_of_what_has_joined_is_refused(joined, change):
    layout = json.loads(joined.layout_json())
    layout["joined"][1] |= change
    with pytest.raises(ValueError, match=r"\bids?\b|joined"):
        vocabulary_check.check(Vocabulary.from_parts(joined.spec, json.dumps(layout), joined.values))


def test_what_stays_after_an_eviction_has_the_row_it_had(joined, log):
    recent = counts_of(AT_LAST, log.slice(0, 20))
    left, old_ids = joined.evict(recent, max_count=5)
    vocabulary_check.check(left)
    assert len(left.values) < len(joined.values)
    assert left.num_ids == len(old_ids)
    new = Encoder(left).encode(log.slice(0, 20))
    np.testing.assert_array_equal(old_ids[new.ids], Encoder(joined).encode(log.slice(0, 20)).ids)
    for mine, its in zip(left.fields, joined.fields, strict=True):
        assert (old_ids[mine.oov], old_ids[mine.missing]) == (its.oov, its.missing)
