import pytest
from pydantic import ValidationError

from schemas.features import FeatureSpec


def test_columns_are_all_that_must_be_read(spec):
    assert spec.columns == ("click", "user", "row", "site", "tags", "age", "views", "price")
    assert spec.feature_columns == ("user", "site", "tags", "age", "views", "price")


def test_a_column_can_be_field_and_group_but_not_field_and_ignored(spec):
    assert spec.group in spec.feature_columns
    with pytest.raises(ValidationError, match=r"more than one role.*: age"):
        FeatureSpec.model_validate({**spec.model_dump(), "ignored": ["age"]})


def test_the_label_can_be_no_field(spec):
    with pytest.raises(ValidationError, match=r"more than one role.*: age"):
        FeatureSpec.model_validate({**spec.model_dump(), "label": "age"})


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        ("weight", "rows without a click would weigh nothing"),
        ("group", "no group would hold both"),
        ("row_key", "0 and 1 name no row"),
    ],
)
def test_the_label_is_neither_weight_nor_group_nor_row_key(spec, role, reason):
    with pytest.raises(ValidationError, match=f"a {role} that is not the label: .*{reason}"):
        FeatureSpec.model_validate({**spec.model_dump(), role: "click"})


@pytest.mark.parametrize("role", ["weight", "group", "row_key"])
def test_a_list_a_row_is_neither_weight_nor_group_nor_row_key(spec, role):
    with pytest.raises(
        ValidationError, match=f"'tags' is a multi_valued field, a list a row\nexpected  a {role} of one value"
    ):
        FeatureSpec.model_validate({**spec.model_dump(), role: "tags"})


@pytest.mark.parametrize("role", ["weight", "group", "row_key"])
@pytest.mark.parametrize("column", ["user", "age", "row", "elsewhere"])
def test_weight_group_and_row_key_may_be_fields_or_columns_of_their_own(spec, role, column):
    assert column in FeatureSpec.model_validate({**spec.model_dump(), role: column}).columns


def test_a_weight_may_be_named_among_the_ignored(spec):
    assert FeatureSpec.model_validate({**spec.model_dump(), "weight": "cost", "ignored": ["cost"]}).weight == "cost"


def test_no_field_stands_twice_or_is_the_label_or_the_partition(spec):
    for name in ("user", "click", "date"):
        fields = [*spec.model_dump()["fields"], {"name": name, "kind": "categorical"}]
        with pytest.raises(ValidationError, match=f"more than one role.*: {name}"):
            FeatureSpec.model_validate({**spec.model_dump(), "fields": fields})
