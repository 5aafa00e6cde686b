import numpy as np
import pyarrow as pa
import pytest

from pipeline.data.encode import Encoder
from pipeline.data.hashing import hash64
from pipeline.data.rows import Rows
from pipeline.data.vocabulary import Vocabulary, build, count
from schemas.features import FeatureSpec


@pytest.fixture
def vocabulary(rows: pa.Table, spec: FeatureSpec) -> Vocabulary:
    return build(spec, count(rows, spec))


def cells(rows: Rows) -> list[list[list[int]]]:
    """Ids of each row's fields, as lists."""
    lengths = rows.cell_lengths
    lengths = np.ones((len(rows), rows.num_fields), int) if lengths is None else lengths.astype(int)
    flat = iter(rows.ids.tolist())
    return [[[next(flat) for _ in range(length)] for length in row] for row in lengths.tolist()]


def id_of(vocabulary: Vocabulary, field: str, value: str) -> int:
    pairs = [(row["field"], row["value"]) for row in vocabulary.values.to_pylist()]
    return vocabulary.num_reserved + pairs.index((field, value))


def test_a_row_by_hand(rows, vocabulary):
    _, site, _, age, views, price = vocabulary.fields
    encoded = Encoder(vocabulary).encode(rows)
    first, last = cells(encoded)[0], cells(encoded)[-1]
    assert first[0] == [id_of(vocabulary, "user", "ann")]
    assert first[1] == [site.block + int(hash64(pa.array(["x"]))[0] % 4)]
    assert first[2] == [id_of(vocabulary, "tags", "a"), id_of(vocabulary, "tags", "b")]
    assert first[3] == [age.block], "20 is in the lowest quarter"
    assert first[4] == [id_of(vocabulary, "views", "0")]
    assert first[5] == [price.block]
    assert last[1] == [site.missing]
    assert last[4] == [views.missing]
    assert last[5] == [price.missing]


def test_weights_are_the_scaled_numbers_and_the_means_of_bags(rows, vocabulary):
    encoded = Encoder(vocabulary).encode(rows.slice(0, 1))
    price = vocabulary.fields[-1]
    weights = encoded.in_full().weights
    np.testing.assert_allclose(weights, [1, 1, 0.5, 0.5, 1, 1, (1.0 - price.shift) / price.scale], rtol=1e-6)


def test_empty_and_null_lists_are_missing(rows, vocabulary):
    encoded = cells(Encoder(vocabulary).encode(rows))
    missing = vocabulary.fields[2].missing
    assert encoded[2][2] == [missing]
    assert encoded[3][2] == [missing]


def test_unknown_value_maps_to_the_oov_row(rows, vocabulary):
    unseen = rows.set_column(1, "user", pa.array(["zoe"] * 8)).set_column(3, "tags", pa.array([["a", "new"]] * 8))
    encoded = cells(Encoder(vocabulary).encode(unseen))
    assert encoded[0][0] == [vocabulary.fields[0].oov]
    assert encoded[0][2] == [id_of(vocabulary, "tags", "a"), vocabulary.fields[2].oov]


def test_nulls_inside_a_list_are_left_out(rows, vocabulary):
    with_null = rows.set_column(3, "tags", pa.array([["a", None]] * 7 + [[None]]))
    encoded = cells(Encoder(vocabulary).encode(with_null))
    assert encoded[0][2] == [id_of(vocabulary, "tags", "a")]
    assert encoded[7][2] == [vocabulary.fields[2].missing]


def test_rows_encoded_one_by_one_are_the_rows_encoded_together(rows, vocabulary):
    encoder = Encoder(vocabulary)
    together = encoder.encode(rows)
    one_by_one = Rows.concatenate([encoder.encode(rows.slice(i, 1)) for i in range(8)])
    for name in ("ids", "lengths", "weights", "labels", "groups"):
        np.testing.assert_array_equal(getattr(one_by_one, name), getattr(together, name))


def test_chunks_dictionaries_and_integer_widths_do_not_matter(rows, vocabulary):
    encoder = Encoder(vocabulary)
    changed = pa.concat_tables([rows.slice(0, 3), rows.slice(3)])
    changed = changed.set_column(1, "user", changed["user"].cast(pa.dictionary(pa.int16(), pa.string())))
    changed = changed.set_column(5, "views", changed["views"].cast(pa.int16()))
    np.testing.assert_array_equal(encoder.encode(changed).ids, encoder.encode(rows).ids)


def test_integers_are_known_by_their_digits(spec):
    spec = FeatureSpec.model_validate({"label": "y", "fields": [{"name": "user", "kind": "categorical"}]})
    vocabulary = build(spec, count(pa.table({"user": pa.array([7, 7, 8], pa.int64())}), spec))
    encoder = Encoder(vocabulary)
    ids = encoder.encode(pa.table({"user": pa.array([8, 9, 7], pa.int16())})).ids
    assert ids.tolist() == [id_of(vocabulary, "user", "8"), 0, id_of(vocabulary, "user", "7")]
    assert encoder.encode(pa.table({"user": ["8"]})).ids[0] == ids[0]


def test_numbers_that_are_not_finite_count_as_missing(rows, vocabulary):
    price = pa.array([float("nan"), float("inf"), None, 1.0, 1.0, 1.0, 1.0, 1.0])
    encoded = cells(Encoder(vocabulary).encode(rows.set_column(6, "price", price)))
    assert [row[5][0] == vocabulary.fields[5].missing for row in encoded[:4]] == [True, True, True, False]


def test_every_id_lies_in_the_table(rows, vocabulary):
    ids = Encoder(vocabulary).encode(rows).ids
    assert ids.min() >= 0
    assert ids.max() < vocabulary.num_ids


def test_no_rows_encode_to_no_rows(rows, vocabulary):
    assert len(Encoder(vocabulary).encode(rows.slice(0, 0))) == 0


def test_labels_weights_and_groups_are_carried_along(rows, spec):
    weighted = spec.model_copy(update={"weight": "price"})
    encoded = Encoder(build(weighted, count(rows, weighted))).encode(rows.slice(0, 7))
    assert encoded.labels.tolist() == [1, 0, 0, 0, 0, 1, 0]
    assert encoded.row_weights.tolist() == [1, 2, 3, 4, 1, 2, 3]
    assert len(set(encoded.groups.tolist())) == 4, "ann, bob, cat and the users without a name"
    assert encoded.groups[0] == encoded.groups[1] == encoded.groups[3]


def test_each_of_many_values_has_the_id_that_it_was_learned_under_and_all_others_one():
    users = {"name": "user", "kind": "categorical"}
    of_users = FeatureSpec.model_validate({"label": "click", "fields": [users, {**users, "name": "item"}]})
    known = [f"u{number}" for number in range(0, 9_000, 3)]
    learned = pa.table({"field": ["user"] * len(known), "value": known, "count": [1] * len(known)})
    vocabulary = build(of_users, learned)
    table = pa.table({name: [f"u{number}" for number in range(9_000)] for name in ("user", "item")})
    places = {row["value"]: vocabulary.num_reserved + i for i, row in enumerate(vocabulary.values.to_pylist())}
    user, item = vocabulary.fields
    expected = [[places.get(text, user.oov), item.oov] for text in table["user"].to_pylist()]
    assert Encoder(vocabulary).encode(table).ids.reshape(-1, 2).tolist() == expected
