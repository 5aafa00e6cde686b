"""Models of classes and of numbers put to use: what is served, what is written and what is judged are the same."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundles import write_random_bundle
from click_logs import SPEC, click_rows, write_day
from sklearn import metrics as sklearn_metrics

from pipeline.data import logs
from pipeline.data.split import ResolvedSplit
from pipeline.registry import registration
from pipeline.registry.bundle import Bundle
from pipeline.registry.golden import Host
from pipeline.registry.tracking import connect
from pipeline.scoring.held_out import evaluate, gather, score_held_out
from pipeline.scoring.score import score
from schemas.config import DataConfig, MLflowConfig
from schemas.errors import Refusal
from schemas.features import Objective
from schemas.night import GateConfig

DAYS = (date(2026, 11, 1), date(2026, 11, 2))
SPLIT = ResolvedSplit(DAYS[:1], DAYS[1:])
LABELS = {
    "multiclass": pa.array(["yes", "no", "may be", "no", "yes", "no", "no", "may be"]),
    "regression": pa.array([12.5, 3.0, 7.0, 4.0, 11.0, 6.0, 2.5, 8.0]),
}
OBJECTIVES = pytest.mark.parametrize("objective", ["multiclass", "regression"])


def rows_of(objective: Objective, first_row: int = 0) -> pa.Table:
    rows = click_rows(first_row)
    return rows.set_column(rows.column_names.index("click"), "click", LABELS[objective])


@pytest.fixture
def bundle(objective: Objective, tmp_path: Path) -> Bundle:
    return write_random_bundle(tmp_path / "bundle", rows_of(objective), objective=objective)


@pytest.fixture
def data(objective: Objective, tmp_path: Path) -> DataConfig:
    """Two days of eight rows."""
    for number, day in enumerate(DAYS):
        write_day(tmp_path / "logs", day, rows_of(objective, 8 * number))
    return DataConfig.model_validate(
        {"logs_uri": str(tmp_path / "logs"), "features": {**SPEC, "objective": objective}, "rows_per_part": 4}
    )


def written(bundle: Bundle, data: DataConfig, out: Path) -> pd.DataFrame:
    """The scores of the second day, as `score` writes them."""
    manifest = logs.find(data, DAYS[1:], data.features, labelled=False)
    assert score(bundle, "models:/x/1", manifest, str(out), data.rows_per_part) == 8
    return pq.read_table(out / f"date={DAYS[1]}").to_pandas()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MLflow's own
@OBJECTIVES
def test_what_a_registered_model_serves_is_what_is_written_to_the_bit(bundle, data, tmp_path, config, objective):
    found, rows = written(bundle, data, tmp_path / "out"), rows_of(objective, 8)
    tracked = connect(MLflowConfig(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"), str(tmp_path))
    with tracked.retrain("identity", "2026-11-19", config, "[]") as run, Host(tracked, num_rows=8) as host:
        run.open_stages(config.plan)
        folder = tmp_path / "bundle" / "bundle"
        version = registration.register(tracked, folder, run.stage_run("deepfm"), "ctr", "a night")
        assert host.ask(version.uri, bundle, rows).largest_difference() < 1e-6
    mlflow.set_tracking_uri(tracked.uri)
    model = mlflow.pyfunc.load_model(version.uri)
    served = model.predict(rows.to_pandas())
    assert [*served.columns] == [*bundle.score_columns] == model.metadata.signature.outputs.input_names()
    assert np.array_equal(found[[*served.columns]].to_numpy(), served.to_numpy())
    what = {
        "multiclass": "A probability of each class for raw rows",
        "regression": "Numbers, in the label's unit, for raw",
    }
    assert tracked.client.get_registered_model("ctr").description.startswith(what[objective])


@pytest.mark.parametrize(
    ("objective", "columns"),
    [("multiclass", ["probability_may be", "probability_no", "probability_yes"]), ("regression", ["prediction"])],
)
def test_scores_have_a_column_a_class_or_one_for_a_number(bundle, data, tmp_path, columns):
    assert [*written(bundle, data, tmp_path / "out").columns] == ["row", *columns, "model_version"]


@OBJECTIVES
def test_what_is_judged_is_what_is_written(bundle, data, tmp_path, objective):
    found = written(bundle, data, tmp_path / "out")
    metrics = evaluate(bundle, logs.find(data, DAYS), data, SPLIT).metrics()
    labels = LABELS[objective].to_numpy(zero_copy_only=False)
    assert metrics.rows == 8
    if objective == "multiclass":
        p = found.filter(like="probability_").to_numpy()
        names = ["may be", "no", "yes"]
        assert p.sum(axis=1) == pytest.approx(1, abs=1e-6)
        assert metrics.log_loss == pytest.approx(sklearn_metrics.log_loss(labels, p, labels=names), rel=1e-6)
        assert metrics.accuracy == (np.array(names)[p.argmax(axis=1)] == labels).mean()
    else:
        assert metrics.ne == pytest.approx(1 - sklearn_metrics.r2_score(labels, found["prediction"]), rel=1e-5)


@OBJECTIVES
def test_rows_that_are_kept_add_up_to_what_is_judged_day_by_day_and_in_slices(bundle, data, objective):
    manifest = logs.find(data, DAYS)
    kept = score_held_out(bundle, manifest, data, SPLIT, ["site"])
    whole = evaluate(bundle, manifest, data, SPLIT).metrics()
    assert kept.logits.shape == ((8, 3) if objective == "multiclass" else (8,))
    assert kept.sums.metrics().as_dict() == pytest.approx(whole.as_dict())
    assert kept.by_day()[DAYS[1]].as_dict() == pytest.approx(whole.as_dict())
    found = gather(kept, kept, GateConfig(slices=("site",), slice_min_rows=1, num_replicates=5), seed=0)
    assert (found.change.ne.estimate, found.change.auc) == (0, None)
    assert sum(part.rows for part in found.slices) == 8
    assert all(part.candidate.objective == objective for part in found.slices)


@pytest.mark.parametrize("objective", ["multiclass"])
def test_held_out_rows_of_no_day_have_a_logit_a_class_too(bundle, data):
    none = score_held_out(bundle, logs.find(data, DAYS), data, ResolvedSplit(DAYS, ()))
    assert none.logits.shape == (0, 3)


@pytest.mark.parametrize(
    ("objective", "key"),
    [("multiclass", "probability_no"), ("regression", "prediction"), ("regression", "model_version")],
)
def test_a_row_key_called_like_a_column_of_scores_is_refused(bundle, data, tmp_path, key):
    spec = bundle.spec.model_copy(update={"row_key": key})
    named = replace(bundle, contents=bundle.contents.model_copy(update={"features": spec}))
    with pytest.raises(Refusal, match=f"the row key '{key}', as a column of the scores is called"):
        written(named, data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
