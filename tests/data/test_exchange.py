"""One field's cells exchanged among encoded rows: what encoding the log gives whose column was exchanged before."""

import numpy as np
import pyarrow as pa
import pytest
from random_bundles import FIELDS, random_rows

from pipeline.data import vocabulary
from pipeline.data.encode import Encoder
from pipeline.data.exchange import Exchange
from pipeline.data.rows import Rows
from schemas.features import FeatureSpec

PLAIN = [field for field in FIELDS if field["kind"] != "multi_valued" and field["name"] != "age"]


def encoder_of(fields: list[dict]) -> Encoder:
    spec = FeatureSpec.model_validate({"label": "click", "fields": fields})
    return Encoder(vocabulary.build(spec, vocabulary.count(random_rows(300, seed=0), spec)))


def assert_same_cells(found: Rows, expected: Rows) -> None:
    found, expected = found.in_full(), expected.in_full()
    for name in ("ids", "lengths", "weights", "labels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


@pytest.mark.parametrize("fields", [FIELDS, PLAIN], ids=["with lists and weights", "plain"])
def test_exchanged_cells_are_those_of_a_log_whose_column_was_exchanged_before_it_was_encoded(fields):
    encoder, log, donors = encoder_of(fields), random_rows(50, seed=1), random_rows(7, seed=2)
    exchange = Exchange(encoder.encode(log), encoder.encode(donors))
    order = np.random.default_rng(0).integers(0, 7, 50)
    for field, name in enumerate(encoder.spec.feature_columns):
        column = donors.column(name).take(pa.array(order))
        changed = log.set_column(log.column_names.index(name), name, column)
        assert_same_cells(exchange.of_field(field, order), encoder.encode(changed))


def test_rows_may_exchange_among_themselves_and_keep_their_weights_and_groups():
    fields = [*FIELDS[:5], {"name": "click", "kind": "numeric"}]
    spec = FeatureSpec.model_validate({"label": "click", "weight": "visits", "group": "user", "fields": fields[:5]})
    log = random_rows(30, seed=1)
    rows = Encoder(vocabulary.build(spec, vocabulary.count(log, spec))).encode(log)
    back = np.arange(30)[::-1]
    twice = Exchange(once := Exchange(rows, rows).of_field(4, back), once).of_field(4, back)
    assert_same_cells(twice, rows)
    assert once.in_full().ids.tolist() != rows.in_full().ids.tolist()
    np.testing.assert_array_equal(once.row_weights, rows.row_weights)
    np.testing.assert_array_equal(once.groups, rows.groups)
