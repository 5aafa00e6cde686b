"""How a night starts, by what is champion: here a DeepFM that has learned 1 November."""

from datetime import date
from pathlib import Path

import pytest
from bundles import STAGES, write_random_bundle
from click_logs import SPEC, click_rows
from six_days import DAYS, config_of, write_log

from pipeline.nights import plan
from pipeline.nights.days import choose_days
from pipeline.nights.expected import expected, time_in_words
from pipeline.nights.plan import Tonight
from pipeline.nights.records import Night
from pipeline.registry import registration, versions
from pipeline.registry.tracking import Tracking, connect
from pipeline.registry.versions import Version
from schemas.checking import derived
from schemas.config import MLflowConfig, TrainConfig
from schemas.days import SomeDays
from schemas.errors import Refusal

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of MLflow's own
LEARNED = date(2026, 11, 1)  # by what tests/bundles.py makes
ANOTHER = "0123456789abcdef"  # night


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    """With version 1 of `ctr` as champion."""
    folder = tmp_path_factory.mktemp("champion")
    tracking = connect(MLflowConfig(tracking_uri=f"sqlite:///{folder}/mlflow.db"), str(folder))
    versions.promote(tracking, registered(tracking, folder, "ctr", ANOTHER))
    return tracking


def registered(tracking: Tracking, folder: Path, name: str, key: str) -> Version:
    write_random_bundle(folder / key, click_rows())
    config = config_of(folder)
    with tracking.retrain(key, "a night", config, "[]") as run:
        run.open_stages(config.stages)
        return registration.register(tracking, folder / key / "bundle", run.stage_run("deepfm"), name, key)


def tonight_of(tracking: Tracking, config: TrainConfig, day: date) -> Tonight:
    return plan.plan(choose_days(config, day), tracking)


def test_without_a_champion_the_whole_plan_is_trained_over_the_window(logs, tracking):
    tonight = tonight_of(tracking, config_of(logs, mlflow={"registered_model": "new"}), DAYS[4])
    assert (tonight.start, tonight.why) == ("cold", "there is no champion yet")
    assert (tonight.champion, tonight.bundle) == (None, None)
    assert tonight.inputs.train_days == tuple(DAYS[:4])
    assert [stage.name for stage in tonight.config.plan] == ["fm", "deepfm"]
    assert tonight.inputs.learned_days(tonight.config.plan[0], tonight.config) == tuple(DAYS[:4])


def test_a_warm_start_trains_the_champions_stage_on_the_new_days_alone(logs, tracking):
    tonight = tonight_of(tracking, config_of(logs), DAYS[5])
    assert tonight.start == "warm"
    assert tonight.inputs.train_days == (DAYS[3], DAYS[4])
    assert tonight.inputs.test_days == (DAYS[5],)
    assert tonight.inputs.manifest.days == (DAYS[3], DAYS[4], DAYS[5])
    (stage,) = tonight.config.plan
    assert (stage.name, stage.model, stage.init_from) == ("warm", "deepfm", "models:/ctr/1")
    assert stage.transfer.dense
    assert tonight.inputs.learned_days(stage, tonight.config) == (LEARNED, DAYS[3], DAYS[4])


def test_a_warm_start_goes_over_the_new_days_as_often_as_the_night_says(logs, tracking):
    (as_champion,) = tonight_of(tracking, config_of(logs), DAYS[5]).config.plan
    (twice,) = tonight_of(tracking, config_of(logs, {"epochs": 2}), DAYS[5]).config.plan
    assert (as_champion.epochs, twice.epochs) == (1, 2)
    both = tonight_of(tracking, config_of(logs, {"epochs": 2, "start": "both"}), DAYS[5])
    assert [stage.epochs for stage in both.config.plan] == [2, 1, 1], "the plan's own are its stages'"


def test_a_champion_goes_on_as_it_was_trained_where_the_config_leaves_that_open(logs, tracking):
    (going_on,) = tonight_of(tracking, config_of(logs), DAYS[5]).config.plan
    cold, _ = tonight_of(tracking, config_of(logs, {"start": "cold"}), DAYS[5]).config.plan
    assert (going_on.batch_size, going_on.embedding.l2) == (4096, 0), "as tests/bundles.py made it"
    assert (cold.batch_size, cold.embedding.l2) == (64, pytest.approx(0.05 / 64)), "by the rows of the window"


def test_with_both_the_champion_goes_on_beside_the_whole_plan(logs, tracking):
    tonight = tonight_of(tracking, config_of(logs, {"start": "both"}), DAYS[5])
    assert tonight.start == "both"
    assert tonight.inputs.train_days == tuple(DAYS[:5])
    going_on, *cold = tonight.config.plan
    assert (going_on.name, going_on.init_from, going_on.days) == ("warm", "models:/ctr/1", SomeDays(last=2))
    assert [stage.name for stage in cold] == ["fm", "deepfm"]
    assert tonight.inputs.learned_days(going_on, tonight.config) == (LEARNED, DAYS[3], DAYS[4])
    assert tonight.inputs.learned_days(cold[0], tonight.config) == tuple(DAYS[:5])


def days_of(tonight: Tonight) -> dict[str, list[date]]:
    """Of each stage."""
    config, days = tonight.config, tonight.inputs.train_days
    return {stage.name: list(config.span_of(stage).of(days)) for stage in config.plan}


def test_a_cold_start_takes_fm_over_the_history_and_the_net_over_the_window(logs, tracking):
    night = {"start": "cold", "window_days": 2, "history_days": 30}
    tonight = tonight_of(tracking, config_of(logs, night), DAYS[5])
    assert tonight.inputs.train_days == tuple(DAYS[:5])
    assert days_of(tonight) == {"fm": DAYS[:3], "deepfm": DAYS[3:5]}
    taken = tonight.config.stages[1].transfer
    assert (taken.w, taken.v, taken.w0, taken.accumulators) == (True, True, True, 1.0), "fm has not seen these rows"


def test_what_the_net_is_told_to_take_over_it_takes_over_after_a_history_too(logs, tracking):
    stages = [STAGES[0], {**STAGES[1], "transfer": {"accumulators": 0.5}}]
    config = config_of(logs, {"start": "cold", "window_days": 2, "history_days": 30}, stages=stages)
    taken = tonight_of(tracking, config, DAYS[5]).config.stages[1].transfer
    assert (taken.w, taken.w0, taken.accumulators) == (True, True, 0.5)


def test_of_a_chain_the_first_stage_alone_takes_the_history(logs, tracking):
    chain = [*STAGES, {"name": "fnn", "model": "fnn", "init_from": "deepfm"}]
    night = {"start": "cold", "window_days": 2, "history_days": 2}
    tonight = tonight_of(tracking, config_of(logs, night, stages=chain), DAYS[5])
    assert days_of(tonight) == {"fm": DAYS[1:3], "deepfm": DAYS[3:5], "fnn": DAYS[3:5]}


def test_where_the_log_has_no_history_the_window_is_everyones(logs, tracking):
    tonight = tonight_of(tracking, config_of(logs, {"start": "cold", "history_days": 30}), DAYS[5])
    assert days_of(tonight) == {"fm": DAYS[:5], "deepfm": DAYS[:5]}
    assert tonight.config.stages[1].transfer.accumulators == 0, "fm has seen these rows"


def test_a_stage_with_days_of_its_own_keeps_them_in_a_night_with_history(logs, tracking):
    stages = [STAGES[0], {**STAGES[1], "days": {"last": 1}}]
    night = {"start": "cold", "window_days": 2, "history_days": 30}
    assert days_of(tonight_of(tracking, config_of(logs, night, stages=stages), DAYS[5])) == {
        "fm": DAYS[:4],
        "deepfm": DAYS[4:5],
    }


def test_a_warm_start_has_no_use_for_a_history_and_with_both_the_plan_has(logs, tracking):
    night = {"window_days": 2, "history_days": 30}
    assert days_of(tonight_of(tracking, config_of(logs, night), DAYS[5])) == {"warm": DAYS[3:5]}
    both = tonight_of(tracking, config_of(logs, {**night, "start": "both"}), DAYS[5])
    assert days_of(both) == {"warm": DAYS[3:5], "fm": DAYS[:3], "deepfm": DAYS[3:5]}
    assert both.inputs.learned_days(both.config.plan[0], both.config) == (LEARNED, DAYS[3], DAYS[4])


def test_days_that_a_night_cannot_give_to_a_stage_are_refused(logs, tracking):
    stages = [{**STAGES[0], "days": {"before": "deepfm"}}, {**STAGES[1], "days": {"last": 5}}]
    with pytest.raises(Refusal) as refused:
        tonight_of(tracking, config_of(logs, {"start": "cold"}, stages=stages), DAYS[5])
    assert (refused.value.expected, refused.value.where) == ("at least one for stage 'fm'", "stages.fm.days")


def test_a_plan_says_how_long_its_stages_take_at_the_rates_of_the_nights_before(logs, tracking):
    night = {"start": "cold", "window_days": 2, "history_days": 30}
    config = config_of(logs, night, stages=[STAGES[0], {**STAGES[1], "epochs": 2}])
    tonight = tonight_of(tracking, config, DAYS[5])
    nights = [
        Night(day, "k", "kept", "", (day,), "cold", "r", "t", None, rates=rates)
        for day, rates in ((DAYS[1], {"fm": 4.0, "deepfm": 1.0}), (DAYS[2], {"deepfm": 2.0}), (DAYS[3], {}))
    ]
    fm, deepfm = expected(tonight, nights)
    assert (fm.num_rows, fm.seconds) == (24, 6.0), "eight rows a day"
    assert (deepfm.num_rows, deepfm.seconds) == (32, 16.0)
    words = time_in_words([fm, deepfm], nights)
    assert words == f"about 22.0 s in the stages' steps, by the rates of the night of {DAYS[2]}"
    assert time_in_words(expected(tonight, []), []).startswith("not known: no night has told how fast fm, deepfm")


def test_a_plan_counts_the_negatives_that_are_left_away_once_a_night_has_told_how_many_there_are(logs, tracking):
    night = {"start": "cold", "window_days": 2, "history_days": 30}
    config = config_of(logs, night, stages=[{**STAGES[0], "negative_share": 0.5}, STAGES[1]])
    config = derived(config, data=derived(config.data, negative_share=0.5))
    tonight = tonight_of(tracking, config, DAYS[5])
    fm, deepfm = expected(tonight, [])
    assert (fm.num_rows, deepfm.num_rows, fm.seconds) == (24, 16, None)
    assert fm.in_words() == f"at most 24 rows of 3 days, {DAYS[0]} to {DAYS[2]}"
    figures = {"base_rate": 0.25}
    before = Night(DAYS[2], "k", "kept", "", DAYS[2:3], "cold", "r", "t", None, candidate=figures, rates={"fm": 5.0})
    fm, deepfm = expected(tonight, [before])
    assert fm.num_rows == round(24 * (0.25 + 0.75 * 0.25))
    assert deepfm.num_rows == 16 * (0.25 + 0.75 * 0.5)
    assert fm.seconds == fm.num_rows / 5.0
    assert fm.in_words() == f"{fm.num_rows} rows of 3 days, {DAYS[0]} to {DAYS[2]}: about 2.0 s"


def test_a_stage_that_is_called_like_the_champions_is_refused_and_not_taken_for_it(logs, tracking):
    config = config_of(
        logs, {"start": "both"}, stages=[{**STAGES[0], "name": "warm"}, {**STAGES[1], "init_from": "warm"}]
    )
    with pytest.raises(Refusal, match="two stages are named 'warm'"):
        tonight_of(tracking, config, DAYS[5])


def test_with_no_new_day_there_is_nothing_to_learn(logs, tracking):
    tonight = tonight_of(tracking, config_of(logs), DAYS[3])
    assert tonight.start == "none"
    assert tonight.why == f"the champion has learned all days up to {LEARNED}"
    assert tonight_of(tracking, config_of(logs, {"start": "both"}), DAYS[3]).start == "cold"


def test_a_cold_start_can_be_asked_for(logs, tracking):
    tonight = tonight_of(tracking, config_of(logs, {"start": "cold"}), DAYS[5])
    assert (tonight.start, tonight.why) == ("cold", "night.start is cold")
    assert tonight.champion is not None, "it is still to be beaten"
    assert tonight.inputs.learned_days(tonight.config.plan[0], tonight.config) == tuple(DAYS[:5])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"table": {"dimension": 8}}, "whose table has dimension 4"),
        ({"stages": [STAGES[0]]}, "the champion is a deepfm, which no stage of the config trains"),
        (
            {"stages": [STAGES[0], {**STAGES[1], "mlp": {"hidden": [9]}}]},
            "stage 'deepfm' has other layers than the champion",
        ),
        (
            {"stages": [STAGES[0], {**STAGES[1], "members": 2}]},
            "stage 'deepfm' has other layers than the champion",
        ),
        ({"fields": SPEC["fields"][:-1]}, "these are not, or otherwise: price"),
    ],
    ids=["dimension", "model", "layers", "members", "fields"],
)
def test_what_the_champion_cannot_go_on_with_is_trained_from_nothing(logs, tracking, changes, why):
    if "fields" in changes:
        features = {**SPEC, "fields": changes["fields"], "ignored": ["price"]}
        changes = {"data": {"logs_uri": str(logs), "features": features}}
    tonight = tonight_of(tracking, config_of(logs, **changes), DAYS[5])
    assert tonight.start == "cold"
    assert why in tonight.why
    assert tonight.inputs.train_days == tuple(DAYS[:5])


def test_other_layers_may_be_put_over_the_champions_rows(logs, tracking):
    stages = [STAGES[0], {**STAGES[1], "mlp": {"hidden": [9]}}]
    transfer = {"w": True, "w0": True, "accumulators": 1.0, "dense": False}
    assert tonight_of(tracking, config_of(logs, {"transfer": transfer}, stages=stages), DAYS[5]).start == "warm"


@pytest.mark.parametrize("day", [DAYS[1], DAYS[2]])
def test_a_champion_is_not_judged_on_days_that_it_may_have_learned(logs, tracking, day):
    with pytest.raises(Refusal) as refused:
        tonight_of(tracking, config_of(logs), day)
    assert refused.value.found == f"champion models:/ctr/1, which has learned {LEARNED}"
    assert str(day) in refused.value.expected


def test_a_night_that_is_champion_already_is_held_against_the_one_before(logs, tracking, tmp_path):
    """As after a kill between the alias's move and the night's end."""
    config = config_of(logs, mlflow={"registered_model": "killed"})
    days = choose_days(config, DAYS[5])
    before, own = (registered(tracking, tmp_path, "killed", key) for key in (ANOTHER, days.key))
    versions.promote(tracking, before)
    tonight = plan.plan(days, tracking)
    assert tonight.champion == before
    versions.promote(tracking, own)
    for planned in (plan.plan(days, tracking), plan.again(tonight, tracking)):
        assert planned.champion is not None
        assert planned.champion.uri == before.uri
        assert planned.inputs == tonight.inputs
    other = tonight_of(tracking, config, DAYS[4])
    assert other.champion is not None
    assert other.champion.uri == own.uri, "of other nights it is the champion"


def test_a_plan_is_made_again_where_the_champion_has_changed_since(logs, tracking, tmp_path):
    config = config_of(logs, mlflow={"registered_model": "changed"})
    tonight = tonight_of(tracking, config, DAYS[5])
    assert tonight.start == "cold"
    versions.promote(tracking, registered(tracking, tmp_path, "changed", "fedcba9876543210"))
    assert plan.again(tonight, tracking).start == "warm"
