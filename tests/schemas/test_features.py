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
