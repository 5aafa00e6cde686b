from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

from bundles import STAGES
from six_days import DAYS, config_of

from pipeline.data.logs import Manifest
from pipeline.data.split import ResolvedSplit
from pipeline.data.store import Store
from pipeline.registry.bundle import Bundle
from pipeline.registry.tracking import Tracking
from pipeline.registry.versions import Version
from pipeline.retrain.dataset import Inputs
from pipeline.retrain.promotion import Candidate, Registered
from pipeline.retrain.trained import Prepared, Trained
from pipeline.scoring.held_out import HeldOut
from schemas.errors import Refusal

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


def test_a_control_whose_days_go_by_the_clock_never_serves_however_good_it_is():
    config = config_of(Path("/logs"), stages=STAGES, control="all")
    inputs = Inputs(Manifest(()), ResolvedSplit(tuple(DAYS[:3]), (DAYS[3],)), "identity")
    tracking = cast(Tracking, None)  # nothing is looked up
    nes = {"fm": 0.9, "deepfm": 0.8, "deepfm-control": 0.5, "deepfm-alone": 0.7}

    def best(*names: str) -> str:
        results = {name: {"ne": nes[name]} for name in names}
        return Trained(Prepared(config, inputs, {}, tracking), Store("/store", 0, ()), {}, results, ()).best.name

    assert [stage.name for stage in config.plan] == list(nes)
    assert best(*nes) == "deepfm-alone"
    assert best("fm", "deepfm", "deepfm-control") == "deepfm"


def test_a_registered_model_that_is_not_what_was_registered_is_told_and_infinitely_far_from_it(caplog):
    version = Version("ctr", "3", None, {}, datetime(2026, 11, 1, tzinfo=UTC))
    refusal = Refusal(found="another bundle", expected="that of the version", where="models:/ctr/3", remedy="register")
    bundle, held_out = cast(Bundle, None), cast(HeldOut, None)  # neither is looked at
    assert Registered(version, bundle, held_out, refusal).tried() == float("inf")
    assert "models:/ctr/3 cannot be used: another bundle" in caplog.text
    assert Registered(version, bundle, held_out, None).tried() is None
