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
        (lambda rows: rows.set_column(1, "user", pa.array([1.5] * 8)), "column 'user' of type double"),
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
