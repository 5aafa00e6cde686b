"""What no graph could tell from its own, or take, is refused before one is begun."""

import pyarrow as pa
import pytest
from exported import bundle_of

from pipeline.export import exportable
from pipeline.export.exportable import require_exportable
from pipeline.export.inputs import MISSING_TEXT
from schemas.errors import Refusal

SITE = {"name": "site", "kind": "categorical"}
TAGS = {"name": "tags", "kind": "multi_valued"}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ([{**SITE, "name": "probability"}], "'probability'"),
        ([TAGS, {**SITE, "name": "tags_lengths"}], "'tags_lengths'"),
        ([TAGS, {"name": "tags_lengths", "kind": "numeric"}], "'tags_lengths'"),
    ],
)
def test_a_column_that_is_called_like_what_the_graph_has_is_refused(fields, named):
    lists = pa.array([["a"]])
    rows = pa.table({field["name"]: lists if field["kind"] == "multi_valued" else pa.array([1]) for field in fields})
    bundle = bundle_of({"model": "fm"}, fields, rows)
    with pytest.raises(Refusal, match=f"found     a column {named}"):
        require_exportable(bundle.vocabulary, ())


@pytest.mark.parametrize(
    ("value", "integers"), [(MISSING_TEXT, ()), (str(-(2**63)), ("site",)), ("07", ("site",)), (str(2**63), ("site",))]
)
def test_a_learned_value_that_cannot_be_sent_is_refused(value, integers):
    bundle = bundle_of({"model": "fm"}, [SITE], pa.table({"site": ["1", "-2", value]}))
    with pytest.raises(Refusal, match="values of 'site'"):
        require_exportable(bundle.vocabulary, integers)


def test_more_values_than_a_file_can_hold_are_refused_before_it_is_begun(monkeypatch):
    monkeypatch.setattr(exportable, "MAX_TEXT_BYTES", 40)
    bundle = bundle_of({"model": "fm"}, [SITE], pa.table({"site": ["a", "b", "c"]}))
    with pytest.raises(Refusal, match="3 values, which take"):
        require_exportable(bundle.vocabulary, ())
