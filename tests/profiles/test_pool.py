from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from click_logs import SPEC, click_rows

from pipeline.data import vocabulary
from pipeline.profiles.pool import pooled, pools
from pipeline.profiles.profile import DayProfile, summarize
from pipeline.profiles.tallies import tally
from schemas.features import FeatureSpec

FEATURES = FeatureSpec.model_validate(SPEC)


def profile(number: int, *tables: pa.Table) -> DayProfile:
    rows = vocabulary.merge(pa.concat_tables([tally(table, {}, FEATURES) for table in tables]))
    return summarize(rows, date(2026, 11, 1) + timedelta(number), FEATURES, "log", "spec")


def rows(seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    table = click_rows()
    return table.take(pa.array(random.integers(0, len(table), 50)))


def test_a_pool_is_the_profile_of_its_days_rows_together():
    tables = [rows(seed) for seed in range(3)]
    pool, together = pooled([profile(number, table) for number, table in enumerate(tables)]), profile(2, *tables)
    assert (pool.rows, pool.positives, pool.num_days) == (together.rows, together.positives, 3)
    assert (pool.day, pool.when) == (date(2026, 11, 3), "2026-11-01 to 2026-11-03")
    for name, field in together.fields.items():
        found = pool.fields[name]
        assert found.null_share == pytest.approx(field.null_share), name
        assert (found.num_values, found.counts) == (field.num_values, field.counts), name
        assert found.number_bits == field.number_bits, name
        assert found.quantiles == field.quantiles, name
        assert found.num_distinct == field.num_distinct, name


def test_the_unseen_share_of_a_pool_counts_each_value_once():
    days = [profile(0, rows(0)), profile(1, rows(1))]
    shares, given = (0.1, 0.4), []
    for day, share in zip(days, shares, strict=True):
        fields = {name: field.model_copy(update={"unseen_share": share}) for name, field in day.fields.items()}
        given.append(day.model_copy(update={"fields": fields}))
    values = [day.fields["user"].num_values for day in days]
    assert pooled(given).fields["user"].unseen_share == pytest.approx(np.average(shares, weights=values))
    assert pooled([given[0], days[1]]).fields["user"].unseen_share is None, "of one day nobody knows it"


def test_a_pool_of_one_day_is_that_day():
    day = profile(0, rows(0))
    assert pooled([day]) is day


def test_pools_end_with_the_last_day_and_leave_over_what_is_less_than_one():
    days = [profile(number, rows(number)) for number in range(7)]
    assert [pool.when for pool in pools(days, 3)] == ["2026-11-02 to 2026-11-04", "2026-11-05 to 2026-11-07"]
    assert pools(days, 1) == days
    assert pools(days[:2], 3) == []
