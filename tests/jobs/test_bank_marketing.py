"""The shipped config on real data, against scikit-learn on the same rows."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click_logs import write_day
from command import nightjar
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROOT = Path(__file__).parents[2]
LOG = ROOT.parent / "shared" / "data" / "bank_marketing"
CATEGORIES = ["job", "marital", "education", "default", "housing", "loan", "contact", "poutcome"]
NUMBERS = ["age", "balance", "campaign", "pdays", "previous"]
# Of the shipped config's passes: a third of its seconds.
FEWER = ("control=false", "stages.fnn.epochs=10", "night.gate.golden_rows=0", "cluster.num_workers=0")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not LOG.exists(), reason=f"the Bank Marketing log is not at {LOG}"),
]


def train(work: Path, *overrides: str) -> dict[str, dict[str, float]]:
    sets = [word for override in (f"work_uri={work}", *overrides) for word in ("--set", override)]
    done = nightjar("train", "--config", "jobs/configs/bank_marketing.yaml", "--json", *sets, cwd=ROOT)
    assert done.exit_code == 0, done.stderr
    stages: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])["stages"]
    return stages


def logistic_regression(train_rows: pd.DataFrame, test_rows: pd.DataFrame) -> tuple[float, float]:
    """(AUC, NE) over one-hot and standardised columns."""
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), CATEGORIES), (StandardScaler(), NUMBERS))
    model = make_pipeline(columns, LogisticRegression(max_iter=1000))
    p = model.fit(train_rows, train_rows["subscribed"]).predict_proba(test_rows)[:, 1]
    labels = test_rows["subscribed"]
    rate = np.full(len(labels), labels.mean())
    return float(roc_auc_score(labels, p)), log_loss(labels, p) / log_loss(labels, rate)


def test_fnn_and_deepfm_beat_logistic_regression_on_held_out_rows(tmp_path):
    # The split whose figures the log's README gives: numpy's first permutation, the last fifth held out.
    days = [pq.read_table(path, partitioning=None) for path in sorted(LOG.rglob("*.parquet"))]
    rows = pa.concat_tables(days).sort_by("call_id")
    order = np.random.default_rng(0).permutation(len(rows))
    train_rows, test_rows = np.split(order, [int(0.8 * len(rows))])
    write_day(tmp_path / "log", date(2000, 1, 1), rows.take(train_rows), row_group_size=50_000)
    write_day(tmp_path / "log", date(2000, 1, 2), rows.take(test_rows), row_group_size=50_000)
    auc, ne = logistic_regression(rows.take(train_rows).to_pandas(), rows.take(test_rows).to_pandas())
    assert (round(auc, 4), round(ne, 4)) == (0.7510, 0.8499), "the figures of the log's README"

    stages = train(tmp_path / "work", f"data.logs_uri={tmp_path}/log", "data.split={by: date}", *FEWER)
    for stage in ("fnn", "deepfm"):
        assert stages[stage]["auc"] >= auc + 0.015, stage
        assert stages[stage]["ne"] <= ne - 0.010, stage
