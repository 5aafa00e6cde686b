"""What is told of the rows of a retrain: those of the log, and how often the stages went over them."""

from pathlib import Path

import pytest
from bundles import STAGES
from six_days import DAYS, config_of

from pipeline.data.store import Store, StoredPart
from pipeline.retrain.trained import Prepared, Trained

FM, DEEPFM = STAGES
OF_A_DAY = 100
STORE = Store("in memory", 9, tuple(StoredPart("train", day, 0, OF_A_DAY, 10) for day in DAYS))


@pytest.mark.parametrize(
    ("fm", "deepfm", "seen", "rows"),
    [
        ("all", "all", (600, 600), 600),
        ({"before": "deepfm"}, {"last": 2}, (400, 200), 600),
        ({"last": 3}, {"last": 2}, (300, 400), 300),
        ("all", "all", (150, 50), 200),
    ],
    ids=["both-all", "apart", "the-newest", "a-part-of-a-pass"],
)
def test_rows_trained_are_rows_of_the_log_each_once_and_passes_say_how_often(fm, deepfm, seen, rows):
    config = config_of(Path("/logs"), stages=[{**FM, "days": fm}, {**DEEPFM, "days": deepfm}])
    results = {name: {"rows_seen": float(number)} for name, number in zip(("fm", "deepfm"), seen, strict=True)}
    trained = Trained(Prepared(config, None, {}, None), STORE, {}, results, ())
    assert (trained.rows_trained, trained.rows_seen) == (rows, sum(seen))
    failed = Trained(Prepared(config, None, {}, None), STORE, {"fm": "diverged"}, {"deepfm": results["deepfm"]}, ())
    assert failed.rows_trained == min(len(DAYS if deepfm == "all" else DAYS[-2:]) * OF_A_DAY, seen[1])
