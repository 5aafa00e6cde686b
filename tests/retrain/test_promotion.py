from datetime import date
from pathlib import Path

from bundles import STAGES
from six_days import DAYS, config_of

from pipeline.data.logs import Manifest
from pipeline.data.split import ResolvedSplit
from pipeline.data.store import Store
from pipeline.retrain.dataset import Inputs
from pipeline.retrain.promotion import Candidate

EARLIER = date(2026, 10, 1)


def learned_days(stage: int, **changes: object) -> tuple[date, ...]:
    """What a candidate of that stage has learned, whose first stage has `changes`."""
    stages = [{**STAGES[0], **changes}, {**STAGES[1], "days": {"last": 1}}]
    config = config_of(Path("/logs"), stages=stages)
    inputs = Inputs(Manifest(()), ResolvedSplit(tuple(DAYS[:3]), (DAYS[3],)), "identity", (EARLIER,))
    return Candidate(config, inputs, Store("/store", 0, ()), config.stages[stage], "/run").learned_days


def test_a_model_has_learned_what_the_stages_have_that_it_starts_from():
    assert learned_days(0, days={"last": 2}) == tuple(DAYS[1:3])
    assert learned_days(1) == tuple(DAYS[:3]), "the newest day itself, by its first stage all of them"
    assert learned_days(1, days={"last": 2}) == tuple(DAYS[1:3])
    assert learned_days(1, init_from="models:/ctr/1") == (EARLIER, *DAYS[:3]), "the registered model's too"
