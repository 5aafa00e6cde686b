"""Which nights are over: once done, done, but of a log that has changed since."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from click_logs import click_rows, write_day
from six_days import DAYS, config_of, write_log

from pipeline.nights import over, records
from pipeline.nights.days import choose_days
from pipeline.nights.over import Over
from pipeline.nights.records import Night
from schemas.config import TrainConfig

DAY = DAYS[4]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return write_log(tmp_path / "logs")


def config(logs: Path, **changes: object) -> TrainConfig:
    return config_of(logs, work_uri=str(logs.parent / "work"), **changes)


def written(config: TrainConfig, **changes: object) -> Night:
    """As the night of DAY under this config would be."""
    days = choose_days(config, DAY)
    told = {"settings": over.settings_of(config), "log": over.log_of(days.manifest), "code": over.code()}
    known = {"day": DAY, "key": days.key, "outcome": "kept", "verdict": "", "held_out_days": days.held_out}
    also = {"start": "warm", "run_id": "", "tracking_uri": "", "champion_uri": None}
    night = Night(**{**known, **also, **told, **changes})
    records.write(config, night)
    return night


def found(config: TrainConfig) -> Over | None:
    return over.find(config, choose_days(config, DAY))


def test_a_night_of_the_same_config_and_log_is_over_without_a_word(logs):
    assert found(config(logs)) is None
    night = written(config(logs))
    assert found(config(logs)) == Over(night)
    assert over.find(config(logs), choose_days(config(logs), DAYS[5])) is None


def test_a_night_that_was_done_on_another_cluster_is_over_and_says_on_which(logs):
    night = written(config(logs), cluster={"cluster.num_workers": "1", "cluster.use_gpu": "false", "cluster.gone": "1"})
    again = found(config(logs, cluster={"num_workers": 2}))
    assert again == Over(night, cluster=("cluster.num_workers: 1 -> 2",))
    assert again.words == "done with other settings, which change no result: cluster.num_workers: 1 -> 2"


def test_a_setting_changed_between_nights_leaves_what_was_done_done(logs):
    night = written(config(logs, night={"window_days": 3}))
    again = found(config(logs, night={"window_days": 2}, seed=1))
    assert again == Over(night, ("seed: 0 -> 1", "night.window_days: 3 -> 2"))
    assert again.words == "done under another config: seed: 0 -> 1, night.window_days: 3 -> 2"


@pytest.mark.parametrize(
    "night", [{"quality": {"on_breach": "warn", "max_psi": 1.0}}, {"lease_seconds": 9}, {"eviction": {"max_count": 1}}]
)
def test_what_a_breach_does_and_when_a_night_begins_change_no_key(logs, night):
    written(config(logs))
    again = found(config(logs, night=night))
    assert again is not None
    assert again.differs == ()


def test_a_night_that_was_stopped_is_not_over(logs):
    written(config(logs), outcome="stopped")
    assert found(config(logs)) is None
    assert found(config(logs, seed=1)) is None


def test_a_day_that_was_written_anew_since_its_night_is_noticed(logs):
    written(config(logs))
    write_day(logs, DAY, click_rows(3))
    again = found(config(logs))
    assert again is not None
    assert again.rewritten == (DAY,)


def test_another_log_of_a_day_that_was_trained_on_is_told(logs):
    written(config(logs))
    write_day(logs, DAYS[2], click_rows(3))
    again = found(config(logs))
    assert again is not None
    assert (again.rewritten, again.differs) == ((), (f"the log of {DAYS[2]} was another",))


def test_a_log_that_has_only_moved_is_the_same_one(logs, tmp_path):
    written(config(logs))
    moved = config(logs.rename(tmp_path / "moved"))
    again = found(moved)
    assert again is not None
    assert (again.rewritten, again.differs) == ((), (f"data.logs_uri: {logs} -> {tmp_path}/moved",))


def test_of_two_configs_that_did_a_night_the_one_that_asks_is_told_its_own(logs):
    written(config(logs, seed=1))
    mine = written(config(logs, seed=2))
    assert found(config(logs, seed=2)) == Over(mine)


def test_a_record_of_an_older_version_says_that_the_night_is_over_and_not_under_what(logs):
    known = config(logs)
    old = asdict(written(known, key="0123456789abcdef"))
    for later in ("settings", "log", "code"):
        del old[later]
    path = next(Path(known.work_uri).glob("nights/*/*/*.json"))
    path.write_text(json.dumps(old, default=str))
    again = found(config(logs))
    assert again is not None
    assert (again.rewritten, again.differs) == ((), ("its record does not say which",))


def test_no_password_is_kept_in_a_record(logs):
    secret = config(logs).model_copy(update={"data": config(logs).data.model_copy(update={"logs_uri": "s3://u:pw@b"})})
    assert over.settings_of(secret)["data.logs_uri"] == "s3://***@b"
