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


def trained(config: str, cwd: Path, *overrides: str) -> dict[str, dict[str, float]]:
    """What `train` says of each stage."""
    sets = [word for override in overrides for word in ("--set", override)]
    done = nightjar("train", "--config", config, "--json", *sets, cwd=cwd)
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


@pytest.fixture(scope="module")
def rows() -> tuple[pa.Table, pa.Table]:
    """To train on and held out, of the split whose figures the log's README gives: numpy's first permutation."""
    days = [pq.read_table(path, partitioning=None) for path in sorted(LOG.rglob("*.parquet"))]
    together = pa.concat_tables(days).sort_by("call_id")
    order = np.random.default_rng(0).permutation(len(together))
    train_rows, test_rows = np.split(order, [int(0.8 * len(together))])
    return together.take(train_rows), together.take(test_rows)


@pytest.fixture(scope="module")
def folder(rows: tuple[pa.Table, pa.Table], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a log of two days: the rows to train on, and those held out."""
    folder = tmp_path_factory.mktemp("bank")
    for day, of_day in enumerate(rows, start=1):
        write_day(folder / "log", date(2000, 1, day), of_day, row_group_size=50_000)
    return folder


@pytest.fixture(scope="module")
def by_hand(folder: Path) -> dict[str, dict[str, float]]:
    where = (f"work_uri={folder}/work", f"data.logs_uri={folder}/log", "data.split={by: date}")
    return trained("jobs/configs/bank_marketing.yaml", ROOT, *where, *FEWER)


def test_fnn_and_deepfm_beat_logistic_regression_on_held_out_rows(rows, by_hand):
    auc, ne = logistic_regression(*(some.to_pandas() for some in rows))
    assert (round(auc, 4), round(ne, 4)) == (0.7510, 0.8499), "the figures of the log's README"
    for stage in ("fnn", "deepfm"):
        assert by_hand[stage]["auc"] >= auc + 0.015, stage
        assert by_hand[stage]["ne"] <= ne - 0.010, stage


def test_what_init_makes_of_it_trains_with_nothing_edited_to_within_a_hundredth_of_the_config_by_hand(folder, by_hand):
    done = nightjar("init", "log", "--out", "my.yaml", cwd=folder)
    assert done.exit_code == 0, done.stderr
    ne = min(of_stage["ne"] for of_stage in trained("my.yaml", folder).values())
    assert ne <= 1.01 * min(of_stage["ne"] for of_stage in by_hand.values())
