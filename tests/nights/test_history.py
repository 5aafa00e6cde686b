"""What served when, by hand."""

from datetime import UTC, date, datetime, timedelta

import pytest
from six_days import config_of

from pipeline.nights import records
from pipeline.nights.history import history
from pipeline.nights.records import Move, Night

BEGAN = datetime(2026, 11, 27, 3, tzinfo=UTC)


def night(number: int, outcome: str, serves: int | None, hours: int | None = None) -> Night:
    uri = serves and f"models:/ctr/{serves}"
    day, ended = date(2026, 11, number), None if hours is None else BEGAN + timedelta(hours=hours)
    return Night(day, f"k{number}", outcome, "", (day,), "warm", "run", "db", uri, ended=ended)


def move(hours: int, kind: str, source: int, target: int, by: str = "ann") -> Move:
    return Move(BEGAN + timedelta(hours=hours), kind, f"models:/ctr/{source}", f"models:/ctr/{target}", by)


def told(nights: list[Night], moves: list[Move], serves_now: int | None) -> list[tuple[str, str, str]]:
    entries = history(nights, moves, serves_now and f"models:/ctr/{serves_now}")
    return [(entry.when, entry.what, entry.served_in_short) for entry in entries]


def test_what_was_promoted_and_rolled_back_since_does_not_read_as_serving():
    nights = [night(1, "promoted", 1, 0), night(2, "promoted", 2, 24), night(3, "kept", 1, 48)]
    assert told(nights, [move(30, "rollback", 2, 1)], 1) == [
        ("2026-11-01", "promoted", "ctr/1"),
        ("2026-11-02", "promoted, rolled back", "ctr/1"),
        ("2026-11-28 09:00", "rollback by ann, from ctr/2", "ctr/1"),
        ("2026-11-03", "kept", "ctr/1"),
    ]


def test_a_rollback_that_was_taken_back_changes_nothing_and_is_told():
    entries = told([night(1, "promoted", 2, 0)], [move(1, "rollback", 2, 1), move(2, "rollback", 1, 2, by="")], 2)
    assert [entry[1:] for entry in entries] == [
        ("promoted", "ctr/2"),
        ("rollback by ann, from ctr/2", "ctr/1"),
        ("rollback, from ctr/1", "ctr/2"),
    ]


def test_a_rebuild_stands_beside_the_nights_with_what_it_made_serve():
    entries = told([night(1, "promoted", 1, 0), night(2, "kept", 2, 24)], [move(3, "rebuild", 1, 2)], 2)
    assert [entry[1:] for entry in entries] == [
        ("promoted, rebuilt", "ctr/2"),
        ("rebuild by ann, from ctr/1", "ctr/2"),
        ("kept", "ctr/2"),
    ]


def test_nights_of_days_in_another_order_than_they_were_run_in_have_their_own_moves():
    # The night of 2 November was run first, and rolled back before that of 1 November was.
    nights = [night(1, "kept", 1, 48), night(2, "promoted", 2, 24)]
    assert [entry[1] for entry in told(nights, [move(30, "rollback", 2, 1)], 1)] == [
        "kept",
        "promoted, rolled back",
        "rollback by ann, from ctr/2",
    ]


def test_an_alias_that_was_moved_by_hand_is_what_serves_and_is_told():
    assert told([night(1, "promoted", 2, 0)], [], 7) == [("2026-11-01", "promoted; alias moved since", "ctr/7")]
    assert told([night(1, "kept", None, 0)], [], None) == [("2026-11-01", "nothing serves yet", "nothing")]


def test_nights_of_earlier_versions_have_not_told_when_they_ended_and_come_before_the_moves():
    nights = [night(1, "promoted", 1), night(2, "promoted", 2)]
    assert [entry[1:] for entry in told(nights, [move(0, "rollback", 2, 1)], 1)] == [
        ("promoted", "ctr/1"),
        ("promoted, rolled back", "ctr/1"),
        ("rollback by ann, from ctr/2", "ctr/1"),
    ]


def test_moves_before_any_night_are_told_too():
    assert [entry[1] for entry in told([], [move(0, "rollback", 2, 1)], 1)] == ["rollback by ann, from ctr/2"]


@pytest.mark.parametrize("kind", ["rollback", "rebuild"])
def test_moves_are_kept_beside_the_records_of_nights_which_are_not_taken_for_them(tmp_path, kind):
    config = config_of(tmp_path / "logs", work_uri=str(tmp_path / "work"))
    assert records.moves_of(config) == []
    records.write(config, night(1, "promoted", 2, 0))
    moves = [move(hours, kind, hours, hours + 1) for hours in (2, 1)]
    for one in moves:
        records.moved(config, one)
    assert records.moves_of(config) == moves[::-1]
    assert records.all_of(config) == records.newest_of_each_model(config) == [night(1, "promoted", 2, 0)]
