import pytest
from mlflow.utils.validation import _validate_metric

from pipeline.registry import metric_names

ODD = ["price", "a b", "a_b", "a/b", "été", "", ".", "..", "../x", "%", "x" * 400, "x" * 399, "a-1.5", "a:b"]


@pytest.mark.filterwarnings("ignore")
def test_a_column_of_any_name_has_a_metric_of_its_own_that_mlflow_takes():
    names = metric_names.of_columns(ODD)
    assert [*names] == ODD
    assert len({*names.values()}) == len(ODD)
    for name in names.values():
        _validate_metric(f"explain_missing/{name}", 1.0, 0, 0)
    assert (names["price"], names["a-1.5"], names["été"]) == ("price", "a-1.5", "été")
    assert (names["a b"], names["a_b"]) == ("a_b", "a_b_2")
