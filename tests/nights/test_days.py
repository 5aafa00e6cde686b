"""Which days a night takes, by which name, and which it refuses."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from bundles import STAGES
from click_logs import SPEC, click_rows, write_day
from six_days import DAYS, config_of, write_log

from pipeline.nights.backfill import nights_between
from pipeline.nights.days import choose_days
from schemas.config import TrainConfig
from schemas.errors import Refusal


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("logs"))


@pytest.fixture
def own_logs(tmp_path: Path) -> Path:
    """To be changed."""
    return write_log(tmp_path / "logs")


def key_of(config: TrainConfig, day: date = DAYS[4]) -> str:
    return choose_days(config, day).key


def refusal_of(config: TrainConfig, day: date | None) -> Refusal:
    with pytest.raises(Refusal) as refused:
        choose_days(config, day)
    return refused.value


def test_the_newest_day_is_held_out_and_the_days_before_it_are_the_window(logs):
    days = choose_days(config_of(logs), None)
    assert (days.day, days.held_out) == (DAYS[5], (DAYS[5],))
    assert days.window == days.trailing == tuple(DAYS[:5])
    assert days.manifest.days == tuple(DAYS)
    assert days.missing == ()
    split = days.config.data.split
    assert (split.train_from, split.train_to, split.test_dates) == (DAYS[0], DAYS[4], (DAYS[5],))


def test_a_past_night_sees_nothing_of_later_days(logs):
    days = choose_days(config_of(logs), DAYS[2])
    assert (days.window, days.held_out, days.trailing) == (tuple(DAYS[:2]), (DAYS[2],), tuple(DAYS[:2]))
    assert days.manifest.days == tuple(DAYS[:3])


def test_the_window_is_of_calendar_days_and_names_those_that_are_missing(own_logs):
    for file in (own_logs / f"date={DAYS[3]}").iterdir():
        file.unlink()
    (own_logs / f"date={DAYS[3]}").rmdir()
    quality = {"trailing_days": 1}
    days = choose_days(config_of(own_logs, {"window_days": 3, "quality": quality}), DAYS[5])
    assert days.window == (DAYS[2], DAYS[4])
    assert days.missing == (DAYS[3],)
    assert days.trailing == (DAYS[4],)


def test_the_history_is_of_calendar_days_before_the_window_and_part_of_the_nights_log(logs):
    night = {"window_days": 2, "history_days": 2, "quality": {"trailing_days": 1}}
    days = choose_days(config_of(logs, night), DAYS[5])
    assert (days.history, days.window, days.held_out) == (tuple(DAYS[1:3]), tuple(DAYS[3:5]), (DAYS[5],))
    assert days.manifest.days == tuple(DAYS[1:])
    assert days.config.data.split.train_from == DAYS[1]
    assert choose_days(config_of(logs, {"window_days": 2}), DAYS[5]).history == ()


def test_more_days_than_the_calendar_has_are_all_that_the_log_has(logs):
    days = choose_days(config_of(logs, {"window_days": 1, "history_days": 10**9}), DAYS[5])
    assert (days.history, days.window) == (tuple(DAYS[:4]), (DAYS[4],))
    assert choose_days(config_of(logs, {"window_days": 10**9, "history_days": 10**9}), DAYS[5]).history == ()


def test_a_month_is_held_out_up_to_the_day_and_the_window_ends_before_it(logs):
    days = choose_days(config_of(logs, {"period": "month", "window_days": 1}), DAYS[4])
    assert days.held_out == tuple(DAYS[2:5])
    assert days.window == (DAYS[1],)
    assert days.trailing == tuple(DAYS[:2])


def test_a_week_is_held_out_from_its_monday_up_to_the_day(logs):
    # 30 October 2026 is a Friday, so that 2 November is a Monday.
    night = {"period": "week", "quality": {"trailing_days": 1}}
    days = choose_days(config_of(logs, night), DAYS[4])
    assert days.held_out == tuple(DAYS[3:5])
    assert days.window == tuple(DAYS[:3])
    assert days.trailing == tuple(DAYS[1:3]), "one pool of as many days"
    assert days.earlier == (DAYS[0],)


@pytest.mark.parametrize(("rows", "first"), [(1, 5), (8, 5), (9, 4), (24, 3), (25, 2), (40, 1)])
def test_so_many_rows_are_held_out_as_the_newest_whole_days_hold_at_least(logs, rows, first):
    days = choose_days(config_of(logs, {"period": {"rows": rows}}), None)
    assert (days.day, days.held_out) == (DAYS[5], tuple(DAYS[first:]))
    assert days.window == tuple(DAYS[:first]), "it ends before them"
    assert days.config.data.split.test_dates == tuple(DAYS[first:])
    assert max(days.config.data.split.train_to, *days.trailing) < DAYS[first]


def test_more_rows_than_there_are_days_for_and_none_to_train_on_are_refused(logs):
    few = refusal_of(config_of(logs, {"period": {"rows": 49}}), None)
    assert (few.found, few.remedy) == (
        f"48 rows in the 6 days up to {DAYS[5]}",
        "ask for a later date, or lower night.period.rows",
    )
    assert refusal_of(config_of(logs, {"period": {"rows": 48}}), None).found == f"no day in the 7 days before {DAYS[0]}"


@pytest.mark.parametrize(
    ("period", "ends"),
    [
        ("day", [0, 1, 2, 3, 4, 5]),
        ("week", [2, 5]),
        ("month", [1, 5]),
        ({"rows": 16}, [1, 3, 5]),
        ({"rows": 17}, [2, 5]),
    ],
    ids=["day", "week", "month", "two days", "three days"],
)
def test_a_backfill_has_a_night_at_the_end_of_each_period(logs, period, ends):
    config = config_of(logs, {"period": period})
    assert nights_between(config, DAYS[0], DAYS[5]) == [DAYS[end] for end in ends]


def test_a_backfill_over_fewer_rows_than_a_night_holds_out_is_refused(logs):
    with pytest.raises(Refusal, match="16 rows from 2026-10-30 to 2026-10-31"):
        nights_between(config_of(logs, {"period": {"rows": 17}}), DAYS[0], DAYS[1])


def test_by_success_file_the_newest_day_that_has_one_is_complete(own_logs):
    config = config_of(own_logs, {"complete": "success_file"})
    assert refusal_of(config, None).found == f"{DAYS[5]} without a _SUCCESS file"
    (own_logs / f"date={DAYS[3]}" / "_SUCCESS").touch()
    assert choose_days(config, None).day == DAYS[3]
    refused = refusal_of(config, DAYS[4])
    assert refused.found == f"{DAYS[4]} without a _SUCCESS file"
    assert refused.where == f"{own_logs}/date={DAYS[4]}"


def test_by_delay_a_day_is_complete_when_its_labels_have_had_their_time(tmp_path):
    today = datetime.now(UTC).date()  # at midnight it may be one more when the code asks: no day hangs on that
    days = [today - timedelta(back) for back in (9, 8, 6, 2)]
    for day in days:
        write_day(tmp_path, day, click_rows())
    assert choose_days(config_of(tmp_path, {"label_delay_days": 4}), None).day == days[2]
    assert choose_days(config_of(tmp_path, {"label_delay_days": 0}), None).day == days[3]
    refused = refusal_of(config_of(tmp_path, {"label_delay_days": 4}), days[3])
    assert refused.found == f"{days[3]}, whose labels may still be on their way"
    assert refused.expected == "a day that ended 4 day(s) ago"


def test_nights_without_their_day_or_a_window_are_refused(logs):
    assert refusal_of(config_of(logs), date(2026, 12, 24)).found == "no day 2026-12-24"
    assert refusal_of(config_of(logs), DAYS[0]).found == f"no day in the 7 days before {DAYS[0]}"


def test_a_random_split_is_refused(logs):
    data = {"logs_uri": str(logs), "features": SPEC, "split": {"by": "random", "row_key": "row"}}
    refused = refusal_of(config_of(logs, data=data), None)
    assert (refused.found, refused.where) == ("a random split", "data.split.by")


def test_validation_days_are_refused_of_a_night_whose_days_move_on(logs):
    data = {"logs_uri": str(logs), "features": SPEC, "split": {"validation_dates": [str(DAYS[3])]}}
    refused = refusal_of(config_of(logs, data=data), None)
    assert (refused.found, refused.where) == (f"validation days, {DAYS[3]}", "data.split.validation_dates")
    assert "data.validation_share" in refused.remedy


def test_a_half_written_file_of_the_window_is_refused(own_logs):
    file = own_logs / f"date={DAYS[3]}" / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:-40])
    refused = refusal_of(config_of(own_logs), DAYS[4])
    assert "not whole Parquet" in refused.found
    assert refused.where.endswith(f"date={DAYS[3]}/part-0.parquet")
    assert choose_days(config_of(own_logs), DAYS[2]).day == DAYS[2], "nights before it have nothing to do with it"


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"table": {"dimension": 8}},
        {"stages": [{**STAGES[0], "epochs": 2}, STAGES[1]]},
        {"night": {"window_days": 3}},
        {"night": {"history_days": 3}},
        {"night": {"start": "cold"}},
        {"night": {"refresh": True}},
        {"night": {"gate": {"min_rows": 1}}},
        {"night": {"period": {"rows": 9}}},
    ],
    ids=str,
)
def test_another_config_is_another_night(logs, changes):
    assert key_of(config_of(logs, **changes)) != key_of(config_of(logs))


@pytest.mark.parametrize(
    "changes",
    [
        {"work_uri": "elsewhere"},
        {"mlflow": {"tracking_uri": "http://mlflow", "registered_model": "other"}},
        {"cluster": {"num_workers": 2, "address": "ray://there"}},
        {"night": {"lease_seconds": 7}},
        {"night": {"eviction": {"unseen_days": 3}}},
    ],
    ids=str,
)
def test_the_same_night_elsewhere_has_the_same_key(logs, changes):
    assert key_of(config_of(logs, **changes)) == key_of(config_of(logs))


def test_another_day_and_a_day_written_again_are_other_nights(own_logs):
    config = config_of(own_logs)
    key, later = key_of(config), key_of(config, DAYS[5])
    assert key != later
    assert key_of(config) == key
    write_day(own_logs, DAYS[5], click_rows(first_row=100))
    assert key_of(config) == key, "of a day that the night does not read"
    assert key_of(config, DAYS[5]) != later
    write_day(own_logs, DAYS[1], click_rows(first_row=100))
    assert key_of(config) != key


def test_a_model_of_the_night_is_known_by_its_key_and_one_that_learned_the_day_by_another(logs):
    days = choose_days(config_of(logs), None)
    assert days.keys == (days.key, f"{days.key}-refresh")
