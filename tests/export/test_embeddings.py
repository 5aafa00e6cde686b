"""The embeddings' file has each row of the table, under what it stands for."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from exported import DIMENSION, bundle_of, joined_bundle

from pipeline.export import embeddings


@pytest.fixture
def bundle():
    return bundle_of({"model": "fm"})


def test_every_row_of_the_table_is_there_once_under_its_field_and_value(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "ROWS_AT_ONCE", 30)
    path = tmp_path / "new" / "embeddings.parquet"
    assert embeddings.export(bundle, str(path)) == bundle.vocabulary.num_ids
    table = pq.read_table(path)
    assert table.schema == embeddings.schema_of(DIMENSION)
    rows = np.column_stack([table["w"].to_numpy(), np.array(table["v"].to_pylist(), np.float32)])
    assert np.array_equal(rows, bundle.table.rows.numpy())
    learned = table.slice(bundle.vocabulary.num_reserved)
    assert learned.select(["field", "value", "count"]).to_pydict() == bundle.vocabulary.values.to_pydict()
    assert pq.ParquetFile(path).num_row_groups > 5, "so many are not held at once"
    assert [one.name for one in path.parent.iterdir()] == ["embeddings.parquet"]


def test_rows_of_fields_that_joined_later_stand_where_their_ids_are(tmp_path):
    bundle = joined_bundle()
    embeddings.export(bundle, str(tmp_path / "embeddings.parquet"))
    table = pq.read_table(tmp_path / "embeddings.parquet")
    assert np.array_equal(table["w"].to_numpy(), bundle.table.rows[:, 0].numpy())
    learned = table.take(bundle.vocabulary.value_ids)
    assert learned.select(["field", "value", "count"]).to_pydict() == bundle.vocabulary.values.to_pydict()
    for ids in bundle.vocabulary.fields:
        own = table.take([ids.oov, ids.missing])
        assert (own["field"].to_pylist(), own["value"].to_pylist()) == ([ids.name] * 2, ["<other>", "<missing>"])


def test_rows_that_stand_for_no_single_value_say_what_they_stand_for(bundle, tmp_path):
    embeddings.export(bundle, str(tmp_path / "embeddings.parquet"))
    table = pq.read_table(tmp_path / "embeddings.parquet").slice(0, bundle.vocabulary.num_reserved)
    assert table["count"].null_count == len(table)
    named = {}
    for field, value in zip(table["field"].to_pylist(), table["value"].to_pylist(), strict=True):
        named.setdefault(field, []).append(value)
    assert named["site"] == ["<other>", "<missing>"]
    assert named["user"] == ["<other>", "<missing>", *(f"<bucket {bucket}>" for bucket in range(50))]
    assert named["age"] == ["<other>", "<missing>", "<scaled>"]
    edges = bundle.vocabulary.fields[6].edges
    assert named["price"][2] == f"[-inf, {edges[0]:g})"
    assert named["price"][-1] == f"[{edges[-1]:g}, inf)"
    assert len(named["price"]) == 2 + len(edges) + 1


def test_what_fails_on_its_way_leaves_nothing_behind(bundle, tmp_path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(embeddings, "_blocks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embeddings.export(bundle, str(tmp_path / "embeddings.parquet"))
    assert not list(tmp_path.iterdir())
