"""What each field is worth: against shuffles of the log itself, scikit-learn, and a log whose truth is known."""

from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path

import exported
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from bundles import bundle_of, write_random_bundle
from click_logs import SPEC, click_rows, write_random_log
from random_bundles import FIELDS, random_rows
from sklearn.inspection import permutation_importance

from pipeline.data import logs, vocabulary
from pipeline.data.split import ResolvedSplit
from pipeline.data.target import Target
from pipeline.evaluation.metrics import Sums, entropy
from pipeline.evaluation.objectives import sums_of
from pipeline.registry.bundle import Bundle
from pipeline.scoring.explain import explain, worth_of
from pipeline.scoring.sample import sample
from pipeline.training import initialize
from schemas.config import DataConfig, ExplainConfig, RandomSplit, TrainConfig
from schemas.errors import Refusal

DAYS = (date(2026, 11, 1), date(2026, 11, 2))
BY_DATE = ResolvedSplit(DAYS[:1], DAYS[1:])
BOTH = [*product([-1, 1], repeat=2)]
BY_KEY = ResolvedSplit(DAYS, DAYS, RandomSplit(by="random", row_key="row", test_share=0.3))


def silent(_: object) -> None: ...


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    """Two days of 400 rows, in parts of two row groups each."""
    folder = tmp_path_factory.mktemp("log")
    write_random_log(folder / "logs", num_days=2, rows_per_day=400)
    return DataConfig.model_validate({"logs_uri": str(folder / "logs"), "features": SPEC, "rows_per_part": 200})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_random_bundle(tmp_path_factory.mktemp("bundle"), click_rows())


def ne_of(bundle: Bundle, log: pa.Table, weights: np.ndarray | None = None) -> float:
    logits = bundle.logits(bundle.encoder.encode(log))
    ne = Sums.of(logits, log["click"].to_numpy(), weights).metrics().ne
    assert ne is not None
    return ne


def with_column(log: pa.Table, name: str, column: pa.ChunkedArray | pa.Array) -> pa.Table:
    return log.set_column(log.column_names.index(name), name, column)


@pytest.mark.parametrize("is_weighted", [False, True], ids=["", "weighted"])
def test_a_fields_worth_is_that_of_shuffling_the_column_of_the_log(bundle_folder, is_weighted):
    bundle, log = Bundle.load(bundle_folder), random_rows(300, seed=1)
    weights = np.random.default_rng(1).uniform(0, 3, 300).astype(np.float32) if is_weighted else None
    rows = replace(bundle.encoder.encode(log), row_weights=weights)
    worth = worth_of(bundle, rows, 3, "the log", silent)
    chance = np.random.default_rng(0)
    orders = [pa.array(chance.permutation(300)) for _ in range(3)]
    before = ne_of(bundle, log, weights)
    assert (worth.rows, worth.ne) == (300, before)
    assert [one.name for one in worth.fields] == list(bundle.spec.feature_columns)
    for one in worth.fields:
        column = log[one.name]
        shuffled = [ne_of(bundle, with_column(log, one.name, column.take(order)), weights) for order in orders]
        assert one.shuffles == tuple(ne - before for ne in shuffled)
        assert one.bounds[0] <= one.rise <= one.bounds[1]
        without = with_column(log, one.name, pa.nulls(300, column.type))
        assert one.missing == ne_of(bundle, without, weights) - before


def test_scikit_learn_finds_the_same_worth_within_the_chance_of_its_shuffles(bundle_folder):
    bundle, log = Bundle.load(bundle_folder), random_rows(150, seed=1)
    frame = pd.DataFrame({name: np.arange(150) for name in bundle.spec.feature_columns})  # row whose value it is

    class Model:
        def fit(self, *_: object) -> None: ...

    def minus_ne(_: Model, places: pd.DataFrame, labels: np.ndarray) -> float:
        table = pa.table({name: log[name].take(pa.array(places[name])) for name in places})
        return -ne_of(bundle, table.append_column("click", log["click"]))

    theirs = permutation_importance(
        Model(), frame, log["click"].to_numpy(), scoring=minus_ne, n_repeats=12, random_state=0
    )
    ours = worth_of(bundle, bundle.encoder.encode(log), 12, "the log", silent)
    for one, mean, deviation in zip(ours.fields, theirs.importances_mean, theirs.importances_std, strict=True):
        assert abs(one.rise - mean) < 4 * deviation * np.sqrt(2 / 12)


def test_a_field_that_the_model_does_not_look_at_is_worth_nothing(bundle_folder):
    bundle = Bundle.load(bundle_folder)
    rows = bundle.encoder.encode(random_rows(300, seed=0))
    hour = bundle.spec.feature_columns.index("hour")
    its_ids = np.unique(rows.in_full().ids[rows.cell_starts[:-1][hour :: rows.num_fields]])
    bundle.table.rows[[*its_ids, bundle.vocabulary.fields[hour].missing]] = 0.0
    worth = {one.name: one for one in worth_of(bundle, rows, 3, "the log", silent).fields}
    assert (worth["hour"].shuffles, worth["hour"].missing) == ((0.0, 0.0, 0.0), 0.0)
    assert all(any(one.shuffles) and one.missing for name, one in worth.items() if name != "hour")


def true_model(folder: Path) -> Bundle:
    """An FM that says p = sigmoid(1.5 a + 0.5 b - 1), where a, b and c are yes or no, taken as 1 and -1."""
    fields = [{"name": name, "kind": "categorical"} for name in "abc"]
    config = TrainConfig.model_validate(
        {
            "data": {"logs_uri": "/logs", "features": {"label": "click", "fields": fields}},
            "stages": [{"name": "fm", "model": "fm"}],
            "table": {"dimension": 1},
        }
    )
    spec, both = config.data.features, pa.table({name: ["yes", "no"] for name in "abc"})
    vocab = vocabulary.build(spec, vocabulary.count(both, spec))
    state = initialize.from_scratch(config.stages[0], config, vocab.num_ids)
    state.table.rows.zero_()
    for place, learned in enumerate(vocab.values.to_pylist()):
        w = {"a": 1.5, "b": 0.5, "c": 0.0}[learned["field"]]
        state.table.rows[vocab.num_reserved + place, 0] = w if learned["value"] == "yes" else -w
    state.model.w0.data.fill_(-1.0)
    return bundle_of(config, state, vocab, folder)


def test_the_fields_of_a_true_model_are_worth_what_they_tell_of_the_label(tmp_path):
    rng, num_rows = np.random.default_rng(0), 40_000
    a, b, c = (rng.choice([-1, 1], num_rows) for _ in range(3))

    def p(a: float, b: float) -> np.ndarray:
        return 1 / (1 + np.exp(1 - 1.5 * a - 0.5 * b))

    def nats(of_a: tuple[float, ...] = (), of_b: tuple[float, ...] = ()) -> float:
        """A row's, over all a and b, where the model is given one of these in the place of each."""
        pairs = [(a, b, given_a, given_b) for a, b in BOTH for given_a in of_a or (a,) for given_b in of_b or (b,)]
        told = [(p(a, b), p(given_a, given_b)) for a, b, given_a, given_b in pairs]
        return -float(np.mean([true * np.log(said) + (1 - true) * np.log1p(-said) for true, said in told]))

    names = {"a": a, "b": b, "c": c}
    log = pa.table({name: np.where(signs > 0, "yes", "no") for name, signs in names.items()})
    log = log.append_column("click", pa.array((rng.random(num_rows) < p(a, b)).astype(np.int8)))
    bundle = true_model(tmp_path)
    worth = worth_of(bundle, bundle.encoder.encode(log), 3, "the log", silent)
    unit, best = entropy(float(np.mean([p(a, b) for a, b in BOTH]))), nats()
    expected = {"a": (nats((-1, 1)), nats((0,))), "b": (nats((), (-1, 1)), nats((), (0,))), "c": (best, best)}
    for one in worth.fields:
        shuffled, missing = expected[one.name]
        assert one.rise == pytest.approx((shuffled - best) / unit, rel=0.03)
        assert one.missing == pytest.approx((missing - best) / unit, rel=0.03)
    assert [one.name for one in worth.by_rise] == ["a", "b", "c"]
    assert worth.rises["c"] == 0


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (Target("multiclass", ("blue", "green", "red")), np.arange(300) % 3),
        (Target("regression", shift=152.0, scale=77.0), np.arange(300.0)),
    ],
    ids=["classes", "numbers"],
)
def test_fields_of_models_of_classes_and_of_numbers_are_worth_what_their_ne_rises(target, labels):
    stage = {"model": "deepfm", "mlp": {"hidden": [5]}}
    bundle, log = exported.bundle_of(stage, FIELDS, random_rows(300, seed=1), target=target), random_rows(300, seed=1)
    rows = replace(bundle.encoder.encode(log.drop_columns(["click"])), labels=labels.astype(np.float32))
    worth = worth_of(bundle, rows, 1, "the log", silent)

    def ne_of_labels(log: pa.Table) -> float | None:
        logits = bundle.logits(bundle.encoder.encode(log))
        return sums_of(target.objective).of(logits, rows.labels).metrics().ne

    bare, order = log.drop_columns(["click"]), pa.array(np.random.default_rng(0).permutation(300))
    assert worth.ne == ne_of_labels(bare)
    for one in worth.fields:
        shuffled = with_column(bare, one.name, log[one.name].take(order))
        assert one.shuffles == (ne_of_labels(shuffled) - worth.ne,)
    with pytest.raises(Refusal, match="300 held-out rows, all of them with the label"):
        worth_of(bundle, replace(rows, labels=np.ones_like(rows.labels)), 1, "the log", silent)


@pytest.mark.parametrize("split", [BY_DATE, BY_KEY], ids=["by date", "by key"])
def test_a_sample_of_more_rows_than_there_are_is_all_held_out_rows_in_order(small, data, split):
    manifest = logs.find(data, DAYS)
    held_out = []
    for part in logs.find(data, split.test_days).parts(data.rows_per_part):
        for table, _ in logs.read_part(part, data.features.columns):
            held_out.append(table.filter(pa.array(split.is_held_out(table, part.day))))
    found = sample(small, manifest, data, split, 100_000)
    expected = small.encoder.encode(pa.concat_tables(held_out))
    assert len(found) == len(expected) > 100
    for name in ("ids", "labels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)


def test_a_sample_is_drawn_alike_from_all_rows_and_is_the_same_at_each_call(small, data):
    manifest, days = logs.find(data, DAYS), ResolvedSplit((), DAYS)
    first, again = (sample(small, manifest, data, days, 200) for _ in range(2))
    np.testing.assert_array_equal(first.ids, again.ids)
    assert 150 < len(first) < 250
    whole = sample(small, manifest, data, days, 800)
    assert abs(first.labels.mean() - whole.labels.mean()) < 0.12
    assert 60 < len(sample(small, manifest, data, BY_KEY, 100)) < 140


def test_the_worth_of_a_log_is_told_field_by_field_and_is_the_same_at_each_call(small, data):
    manifest, events = logs.find(data, DAYS), []
    how = ExplainConfig(rows=300, repeats=2)
    worth = explain(small, manifest, data, BY_DATE, how, events.append)
    assert [(event.done, event.note) for event in events] == [
        (0, ""),
        *((place, field.name) for place, field in enumerate(small.spec.fields[:-1], start=1)),
        (len(small.spec.fields), f"{worth.by_rise[0].name} is worth the most"),
    ]
    assert worth == explain(small, manifest, data, BY_DATE, how, silent)
    assert 250 < worth.rows < 350


def test_held_out_rows_of_one_class_are_refused(small, data, tmp_path):
    write_random_log(tmp_path / "logs", num_days=2, rows_per_day=40)
    manifest = logs.find(data, DAYS)
    rows = sample(small, manifest, data, BY_DATE, 100)
    with pytest.raises(Refusal, match=r"\d+ held-out rows, 0 of them clicks"):
        worth_of(small, replace(rows, labels=np.zeros_like(rows.labels)), 2, data.logs_uri, silent)
