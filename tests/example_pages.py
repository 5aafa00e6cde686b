"""A retrain's page and a sweep's that have all there can be on them, and what neither may take for HTML."""

from dataclasses import replace

import numpy as np

from pipeline.evaluation.bootstrap import Comparison, Interval
from pipeline.evaluation.evidence import Evidence, Slice
from pipeline.evaluation.gate import decide
from pipeline.evaluation.metrics import Sums
from pipeline.evaluation.row_sums import Metrics
from pipeline.report.retrain_page import FieldIds, Reference, RetrainPage, Rows, Stage
from pipeline.report.sweep_page import Key, Neighbour, SweepPage, Trial
from pipeline.report.trials import Axis
from pipeline.runtime.progress import Phase
from schemas.night import GateConfig

EVIL = "<script>alert('1')</script> & \"co\""
FM = Metrics(50_000, 1_200.0, auc=0.8052, log_loss=0.128, ne=0.8376, calibration=1.093, base_rate=0.024)
DEEPFM = replace(FM, auc=0.8104, log_loss=0.12720, ne=0.8323, calibration=0.998)
CHANGE = Comparison(None, Interval(-0.0037, -0.0051, -0.0022), None)
EVIDENCE = Evidence(DEEPFM, replace(DEEPFM, ne=0.836), CHANGE, (Slice("site", "news", 30_000, DEEPFM, None, None),))
DAYS = "26 days, 2026-11-01 to 2026-11-26"
STAGES = (
    Stage(
        *("fm", "FM", "random rows", DAYS, 4096, 1_300_000, 1_300_000.0, "fused kernel, float32, 2 threads", FM),
        curve=((0.5, 0.9), (1.1, 0.84)),
    ),
    Stage("deepfm", "DeepFM", "fm", "3 days", 256, 150_000, 225_000.0, "", DEEPFM, {"ne": (0.82, 0.85)}, 0.81),
    Stage("deepfm-control", "DeepFM", "random rows", "7 days", 256, None, control_of="deepfm", failure="it diverged"),
)
RETRAIN = RetrainPage(
    model="clicks",
    date="2026-11-30",
    outcome="promoted",
    best="deepfm",
    lead="version 8 (deepfm) is champion in place of version 7",
    reason="NE 0.8323 is below the champion's",
    notes=("Rows of deepfm: fm has seen their labels.",),
    stages=STAGES,
    references=(
        Reference("base rate", {"ne": 1.0021}, {"ne": (1.0, 1.004)}),
        Reference("best possible", {"ne": 0.729}),
    ),
    splits=(Rows("Trained on", 1_450_000, 34_800, "29 days"), Rows("Held out", 50_000, 1_200, "2026-11-30")),
    where="On 2 workers.",
    lifts=("deepfm: in 2.0 s, FM then DeepFM reach NE 0.8323",),
    verdict=decide(EVIDENCE, GateConfig()),
    evidence=EVIDENCE,
    sums={"deepfm": Sums.of(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0, 1, 0, 1]))},
    fields=(FieldIds("user", "categorical", "vocabulary, min_count 10", 240_446),),
    phases=(
        Phase("count values", 0.0, 3.8, 1_450_000),
        Phase("fit", 4.0, 13.0),
        Phase("train fm", 11.5, 12.6, 1_300_000, depth=1),
        Phase("begin", 11.5, 11.51, depth=2),
    ),
    versions={"MLflow run": "abc"},
)

ROW_RATE, NET_RATE = "stages.fnn.embedding.learning_rate", "stages.fnn.optimizer.learning_rate"
SWEEP = SweepPage(
    stage="fnn",
    best=2,
    keys=(Key(ROW_RATE, "0.005 to 0.3, by its logarithm", 0.3), Key(NET_RATE, "0.0002 to 0.02")),
    trials=(
        Trial(2, ("0.29", "0.01"), "8 of 8", 3, 0.9664, 0.6344, (0.0011, 0.002)),
        Trial(1, ("0.1", "0.02"), "8 of 8", 3, 0.9701, 0.6343, (0.0012, 0.002)),
        Trial(3, ("0.2", "0.002"), "2 of 8", 1, 0.9702, 0.61),
        Trial(4, ("0.3", "0.003"), "none", 0, failure="it diverged"),
    ),
    bounds=(0.95, 0.98),
    neighbours=(Neighbour(1, "NE and settings", Interval(0.0037, 0.0011, 0.0063)), Neighbour(3, "NE")),
    notes=("1 of 4 trials was stopped early",),
    phases=(Phase("train the trials", 0.0, 60.0),),
    versions={"sweep": "abc"},
)
AXES = (Axis("embedding.learning_rate", (0.5, 0.9, 0.7), ((0, "0.005"),)), Axis("dropout", (0.1, 0.2, 0.3), ()))
