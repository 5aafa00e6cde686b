"""`nightjar plan`, `status` and `rollback`, after nights of days 2 to 8."""

import pytest
from night_folder import MODEL, NEWEST, ROWS, day

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.usefixtures("cluster", "learned_all"),
]


def test_plan_says_what_the_night_would_do_and_does_none_of_it(folder):
    serves = folder.aliases()["champion"]
    with folder.unchanged():
        done = folder.run("plan")
    assert done.exit_code == 0
    said = {line[:13].strip(): line[14:] for line in done.stdout.splitlines()}
    assert said["night"].startswith(f"{day(NEWEST)}, key ")
    assert said["champion"] == f"models:/{MODEL}/{serves}"
    assert said["start"] == f"warm: the champion has learned the days up to {day(8)}"
    assert said["stages"] == "warm"
    assert said["train on"] == f"{2 * ROWS:,} rows of 2 days, {day(9)} to {day(10)}"
    assert said["hold out"] == f"{ROWS} rows of {day(NEWEST)} to {day(NEWEST)}"
    assert said["missing days"] == "none"
    assert not (folder.path / "work" / "nights" / MODEL / f"date={day(NEWEST)}").exists()


def test_plan_of_a_night_that_is_over_tells_its_verdict(folder):
    assert f"over already: promoted: {folder.record(4).verdict}" in folder.run("plan", "--date", str(day(4))).stdout


def test_status_tells_who_serves_and_how_the_nights_went(folder, learned_all):
    with folder.unchanged():
        lines = folder.run("status").stdout.splitlines()
    assert lines[0].startswith(f"{learned_all.champion_uri} is champion, registered ")
    rows = {line.split()[0]: line.split() for line in lines if line.strip().startswith("2026-")}
    assert [rows[str(day(number))][2] for number in (2, 5, 6, 7)] == ["promoted", "kept", "promoted", "promoted"]
    assert rows[str(day(2))][3:7] == [f"{MODEL}/1", f"{folder.record(2).candidate['ne']:.4f}", "-", str(ROWS)]
    without = sorted({day(number) for number in range(3, NEWEST + 1)} - {night.day for night in folder.records()})
    assert lines[-1] == f"days of the log without a night: {', '.join(map(str, without))}"
    (newest,) = (line for line in folder.run("status", "--last", "1").stdout.splitlines() if line.startswith("  2026-"))
    assert newest.split()[0] == str(folder.records()[-1].day)


def test_rollback_lets_the_champion_before_serve_and_twice_changes_nothing(folder):
    before = folder.aliases()
    done = folder.run("rollback")
    assert done.exit_code == 0, done.stderr
    now = folder.aliases()
    assert (now["champion"], now["previous_champion"]) == (before["previous_champion"], before["champion"])
    assert done.stdout.startswith(f"models:/{MODEL}/{now['champion']} serves again")
    assert f"models:/{MODEL}/{now['champion']} is champion" in folder.run("status").stdout
    folder.run("rollback")
    assert folder.aliases() == before
