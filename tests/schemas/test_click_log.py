from datetime import date

import pyarrow as pa
import pytest

from schemas import click_log
from schemas.errors import Refusal


def test_the_log_of_its_own_spec_passes(rows, spec):
    click_log.check(rows.schema, spec, "here")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda rows: rows.drop_columns(["age"]), "no column 'age'"),
        (lambda rows: rows.rename_columns({"views": "view"}), "perhaps it was renamed to 'view'"),
        (lambda rows: rows.append_column("extra", pa.array([1] * 8)), "does not know: 'extra'"),
        (lambda rows: rows.set_column(4, "age", rows["age"].cast(pa.string())), "column 'age' of type string"),
        (
            lambda rows: rows.set_column(1, "user", pa.array([date(2026, 11, 1)] * 8)),
            "column 'user' of type date32[day]",
        ),
        (lambda rows: rows.set_column(3, "tags", pa.array(["a"] * 8)), "column 'tags' of type string"),
        (lambda rows: rows.set_column(7, "click", pa.array(["1"] * 8)), "column 'click' of type string"),
    ],
)
def test_a_schema_that_breaks_the_contract_is_refused_with_column_and_place(rows, spec, change, found):
    with pytest.raises(Refusal) as refusal:
        click_log.check(change(rows).schema, spec, "part-7.parquet")
    assert found in refusal.value.found
    assert refusal.value.where == "part-7.parquet"


def test_dictionaries_and_large_strings_are_categories(rows, spec):
    for kind in (pa.dictionary(pa.int32(), pa.string()), pa.large_string()):
        click_log.check(rows.set_column(1, "user", rows["user"].cast(kind)).schema, spec, "here")


@pytest.mark.parametrize(
    ("column", "kind", "remedy"),
    [
        ("user", pa.date32(), "table['user'].cast(pyarrow.string()) or CAST(user AS STRING)"),
        ("age", pa.string(), "table['age'].cast(pyarrow.float64()) or CAST(age AS DOUBLE)"),
        ("click", pa.string(), "table['click'].cast(pyarrow.int8()) or CAST(click AS TINYINT)"),
        ("click", pa.string(), "write 1 for a click: pyarrow.compute.equal(table['click'], 'yes')"),
        ("user", pa.timestamp("s"), "pyarrow.compute.hour(table['user']) or day_of_week"),
        ("age", pa.timestamp("us", "UTC"), "name 'age' under `ignored`"),
        ("tags", pa.string(), "a list of one, of type list<item: string>"),
        ("tags", pa.list_(pa.list_(pa.string())), "flatten the lists of each row into one"),
        ("tags", pa.list_(pa.struct([("id", pa.int64()), ("w", pa.float32())])), "a list column each: tags_id, tags_w"),
        ("user", pa.struct([("id", pa.int64()), ("name", pa.string())]), "a column each: user_id, user_name"),
        ("user", pa.map_(pa.string(), pa.string()), "a list column each: user_keys, user_values"),
        ("user", pa.list_(pa.string()), "the kind multi_valued"),
    ],
)
def test_the_remedy_names_the_cast_to_write_or_the_columns_to_flatten_into(rows, spec, column, kind, remedy):
    changed = rows.schema.set(rows.schema.get_field_index(column), pa.field(column, kind))
    with pytest.raises(Refusal) as refusal:
        click_log.check(changed, spec, "here")
    assert remedy in refusal.value.remedy


def test_every_role_of_a_column_is_asked_of_its_type(rows, spec):
    with pytest.raises(Refusal, match="column 'tags' of type list"):
        click_log.check(rows.schema, spec.model_copy(update={"group": "tags"}), "here")


def test_columns_that_the_spec_does_not_know_are_refused_or_named(rows, spec):
    changed = rows.append_column("new", rows["age"]).append_column("newer", rows["age"]).schema
    with pytest.raises(Refusal, match="does not know: 'new', 'newer'"):
        click_log.check(changed, spec, "here")
    assert click_log.check(changed, spec, "here", unknown_columns="warn") == ("new", "newer")
    assert click_log.check(changed, spec, "here", unknown_columns="warn", known=["new"]) == ("newer",)
    assert click_log.check(changed, spec, "here", known=["new", "newer"]) == ()
    assert click_log.check(changed, spec, "here", labelled=False) == ()
