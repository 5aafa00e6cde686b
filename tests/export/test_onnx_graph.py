"""A graph says of any rows what the bundle says that it was made of."""

import numpy as np
import pyarrow as pa
import pytest
from exported import ALL_FIELDS, HASH, LEARNED, bundle_of, joined_bundle, largest_difference, rows_of, session_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.target import Target
from pipeline.evaluation.calibration import Isotonic, Platt
from pipeline.export import probes
from pipeline.export.check import Session, check
from pipeline.export.inputs import feeds
from pipeline.export.onnx_graph import graph_of
from pipeline.models import MODELS
from pipeline.models.mlp import ACTIVATIONS
from pipeline.registry.bundle import Bundle
from schemas.errors import Failure

MAX_DIFFERENCE = 1e-6
NET = {"hidden": [8, 5], "dropout": 0.5}
INTEGERS = ("hour", "user", "segments")
COLOURS = Target("multiclass", ("blue", "green", "red"))
METRES = Target("regression", shift=152.0, scale=77.0)
STEPS = Isotonic(knots_x=(-1.0, -0.2, 0.1, 2.0), knots_y=(-2.0, -2.0, 0.5, 0.9))


def fields_named(*names: str) -> list[dict]:
    return [field for field in ALL_FIELDS if field["name"] in names]


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_over_every_kind_of_field_says_what_the_bundle_says(tmp_path, model, members):
    own = {} if model == "fm" else {"mlp": {**NET, "batch_norm": True}, "members": members}
    bundle = bundle_of({"model": model, **own}, LEARNED)
    session = session_of(bundle, tmp_path)
    for rows in (rows_of(200, seed=0), rows_of(200, seed=1), rows_of(1, seed=2)):
        assert np.abs(session.scores(rows) - bundle.scores(rows)).max() <= MAX_DIFFERENCE


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("target", [COLOURS, METRES], ids=lambda target: target.objective)
def test_classes_and_numbers_come_out_as_the_bundle_has_them(tmp_path, target, model, members):
    own = {} if model == "fm" else {"mlp": NET, "members": members}
    bundle = bundle_of({"model": model, **own}, fields_named("site", "tags", "age"), target=target)
    session = session_of(bundle, tmp_path)
    assert check(session, bundle, ()).largest_difference <= MAX_DIFFERENCE
    assert session.run(rows_of(5, seed=1)).shape == ((5, 3) if target.classes else (5,))
    if target.classes:
        assert session.scores(rows_of(5, seed=1)).sum(axis=1) == pytest.approx(1.0)


def test_columns_may_be_called_like_parts_of_the_graph(tmp_path):
    names = ["state", "Concat_0", "/constant_0", "//Mod_3", "/word/state"]
    fields = [{"name": name, "kind": "categorical", "encoder": HASH} for name in names]
    rows = pa.table({name: ["a", "a text of more than eight bytes", None] for name in names})
    assert largest_difference(bundle_of({"model": "fm"}, fields, rows), rows, tmp_path) <= MAX_DIFFERENCE


def test_all_kinds_of_fields_may_stand_beside_one_another(tmp_path):
    bundle = bundle_of({"model": "deepfm", "mlp": {**NET, "batch_norm": True}, "members": 2})
    session = session_of(bundle, tmp_path)
    assert check(session, bundle, ()).largest_difference <= MAX_DIFFERENCE
    for rows in (rows_of(200, seed=1), rows_of(1, seed=2)):
        assert np.abs(session.scores(rows) - bundle.scores(rows)).max() <= MAX_DIFFERENCE


def test_fields_that_joined_later_are_read_by_the_ids_that_they_have(tmp_path):
    bundle = joined_bundle()
    session = session_of(bundle, tmp_path)
    for rows in (rows_of(200, seed=0), rows_of(200, seed=1)):
        assert np.abs(session.scores(rows) - bundle.scores(rows)).max() <= MAX_DIFFERENCE


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("members", [1, 2])
def test_every_activation_is_the_bundles_own(tmp_path, activation, members):
    bundle = bundle_of({"model": "fnn", "members": members, "mlp": {**NET, "activation": activation}}, LEARNED)
    assert largest_difference(bundle, rows_of(100, seed=1), tmp_path) <= MAX_DIFFERENCE


@pytest.mark.parametrize(
    "calibration",
    [Platt(slope=0.7, intercept=-1.3), STEPS, Isotonic(knots_x=(0.3,), knots_y=(-0.4,))],
    ids=["platt", "isotonic", "of one knot"],
)
def test_a_calibration_is_applied_between_its_knots_and_beyond_them(tmp_path, calibration):
    bundle = bundle_of({"model": "fm"}, LEARNED, calibration=calibration)
    assert largest_difference(bundle, rows_of(300, seed=1), tmp_path) <= MAX_DIFFERENCE


@pytest.mark.parametrize("field", ALL_FIELDS, ids=lambda field: field["name"])
def test_a_model_of_a_single_field_is_read_as_well(tmp_path, field):
    bundle = bundle_of({"model": "deepfm", "mlp": NET}, [field])
    assert largest_difference(bundle, rows_of(200, seed=1), tmp_path) <= MAX_DIFFERENCE


def test_categories_that_are_integers_may_be_sent_as_such(tmp_path):
    bundle = bundle_of({"model": "fm"}, fields_named("site", *INTEGERS))
    for rows in (rows_of(200, seed=1), probes.rows(bundle.vocabulary, INTEGERS)):
        assert largest_difference(bundle, rows, tmp_path, INTEGERS) <= MAX_DIFFERENCE
    assert feeds(rows_of(9, 1), bundle.spec, INTEGERS)["user"].dtype == np.int64


@pytest.fixture(scope="module")
def bucketed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Session]:
    bundle = bundle_of({"model": "fm"}, fields_named("price", "balance"))
    return bundle, session_of(bundle, tmp_path_factory.mktemp("graph"))


numbers = st.one_of(st.none(), st.floats(width=64), st.integers(-(10**6), 10**6).map(float))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(values=st.lists(numbers, min_size=1, max_size=50))
def test_any_number_falls_into_the_bucket_of_the_encoder(bucketed, values):
    bundle, session = bucketed
    rows = pa.table({name: pa.array(values, pa.float64()) for name in ("price", "balance")})
    assert np.abs(session.scores(rows) - bundle.scores(rows)).max() <= MAX_DIFFERENCE


def test_numbers_on_the_edges_of_log_buckets_are_not_moved_by_another_logarithm(tmp_path):
    # where ln(x)^2 is as near to an integer as a float can be, on both sides of it
    at = np.exp(np.sqrt(np.arange(1, 60)))
    near = np.concatenate([at, np.nextafter(at, 0), np.nextafter(at, np.inf)])
    values = np.concatenate([near, -near, [0.0, -0.0, 1.0, 2.0, -2.0, 2.0000000000000004]])
    rows = pa.table({"balance": values})
    bundle = bundle_of({"model": "fm"}, fields_named("balance"), rows)
    assert largest_difference(bundle, rows, tmp_path) <= MAX_DIFFERENCE


def test_lists_may_all_be_empty_and_any_place_beyond_a_lists_length_is_left_aside(tmp_path):
    bundle = bundle_of({"model": "fm"}, fields_named("tags", "words"))
    lists = pa.array([[], None, [None]], pa.list_(pa.string()))
    rows = pa.table({"tags": lists, "words": lists})
    session = session_of(bundle, tmp_path)
    assert np.abs(session.scores(rows) - bundle.scores(rows)).max() <= MAX_DIFFERENCE
    rows = rows.slice(0, 2)
    assert feeds(rows, bundle.spec, ())["tags"].shape == (2, 0)
    assert np.abs(session.scores(rows) - bundle.scores(rows)).max() <= MAX_DIFFERENCE


def test_an_empty_text_is_a_value_and_not_a_missing_one(tmp_path):
    rows = pa.table({"site": ["", None, "", "b"]})
    bundle = bundle_of({"model": "fm"}, fields_named("site"), rows)
    found = session_of(bundle, tmp_path).scores(rows)
    assert found[0] == found[2] != found[1]
    assert np.abs(found - bundle.scores(rows)).max() <= MAX_DIFFERENCE


def test_a_model_of_weights_so_large_that_its_own_scores_are_rounded_by_more_is_exported_as_well(tmp_path):
    bundle = bundle_of({"model": "deepfm", "mlp": NET}, LEARNED)
    bundle.table.rows.mul_(20)
    found = check(session_of(bundle, tmp_path), bundle, ())
    assert MAX_DIFFERENCE < found.largest_difference <= found.allowed < 1e-3


def test_a_graph_of_another_model_is_told_from_the_bundles(tmp_path):
    fields = fields_named("site")
    session = session_of(bundle_of({"model": "fm"}, fields), tmp_path)
    other = bundle_of({"model": "fm"}, fields, calibration=Platt(slope=1.0, intercept=1e-5))
    with pytest.raises(Failure, match="apart from the model's, 1e-06 allowed: nothing was written"):
        check(session, other, ())


def test_fields_that_have_learned_nothing_come_to_their_unknown_rows(tmp_path):
    fields = fields_named("site", "tags", "price", "balance", "age")
    nothing = rows_of(3, seed=0).slice(0, 0)
    bundle = bundle_of({"model": "fm"}, fields, nothing)
    assert len(bundle.vocabulary.values) == 0
    assert largest_difference(bundle, rows_of(50, seed=1), tmp_path) <= MAX_DIFFERENCE


@pytest.mark.parametrize(("fields", "own"), [(LEARNED, set()), (ALL_FIELDS, {"com.microsoft"})], ids=["learned", "all"])
def test_only_hashes_want_operators_that_are_no_standard_ones(fields, own):
    graph, _ = graph_of(bundle_of({"model": "deepfm", "mlp": NET}, fields), ())
    assert {one.domain for one in graph.opset_import} == {"", "ai.onnx.ml"} | own


def test_no_rows_have_no_probabilities(tmp_path):
    bundle = bundle_of({"model": "deepfm", "mlp": NET}, LEARNED)
    assert session_of(bundle, tmp_path).run(rows_of(1, seed=1).slice(0, 0)).shape == (0,)
