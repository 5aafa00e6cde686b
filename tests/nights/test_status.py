"""`nightjar plan`, `status` and `rollback`, after nights of which one was kept and one has learned its day."""

import pytest
from night_folder import MODEL, NEWEST, ROWS, day

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.usefixtures("cluster"),
]


def test_plan_says_what_the_night_would_do_and_does_none_of_it(refreshed):
    folder = refreshed.folder
    serves = folder.aliases()["champion"]
    with folder.unchanged():
        done = folder.run("plan")
    assert done.exit_code == 0
    said = {line[:13].strip(): line[14:] for line in done.stdout.splitlines()}
    assert said["night"].startswith(f"{day(NEWEST)}, key ")
    assert said["champion"] == f"models:/{MODEL}/{serves}"
    assert said["start"] == f"warm: the champion has learned the days up to {day(6)}"
    assert said["stages"] == "warm"
    assert said["train on"] == f"{4 * ROWS:,} rows of 4 days, {day(7)} to {day(10)}"
    assert said["train warm"].startswith(f"{4 * ROWS:,} rows of 4 days, {day(7)} to {day(10)}: about ")
    assert said["time"].endswith(f"by the rates of the night of {day(5)}"), "that of 6 November had nothing to learn"
    assert said["hold out"] == f"{ROWS} rows of {day(NEWEST)} to {day(NEWEST)}"
    assert said["missing days"] == "none"
    assert not (folder.path / "work" / "nights" / MODEL / f"date={day(NEWEST)}").exists()


def test_plan_of_a_night_that_is_over_tells_its_verdict(three):
    told = three.folder.run("plan", "--date", str(day(4))).stdout
    assert f"over already: promoted: {three.folder.record(4).verdict}" in told


def test_status_tells_who_serves_after_a_refresh(refreshed):
    with refreshed.folder.unchanged():
        lines = refreshed.folder.run("status").stdout.splitlines()
    assert lines[0].startswith(f"{refreshed.second.champion_uri} is champion, registered ")


def test_status_tells_who_serves_and_how_the_nights_went(worse_and_both):
    folder = worse_and_both.folder
    with folder.unchanged():
        lines = folder.run("status").stdout.splitlines()
    assert lines[0].startswith(f"{worse_and_both.both.champion_uri} is champion, registered ")
    rows = {line.split()[0]: line.split() for line in lines if line.strip().startswith("2026-")}
    assert [rows[str(day(number))][2] for number in (2, 4, 5, 6)] == ["promoted", "promoted", "kept", "promoted"]
    assert rows[str(day(2))][3:7] == [f"{MODEL}/1", f"{folder.record(2).candidate['ne']:.4f}", "-", str(ROWS)]
    without = sorted({day(number) for number in range(3, NEWEST + 1)} - {night.day for night in folder.records()})
    assert lines[-1] == f"days of the log without a night: {', '.join(map(str, without))}"
    (newest,) = (line for line in folder.run("status", "--last", "1").stdout.splitlines() if line.startswith("  2026-"))
    assert newest.split()[0] == str(folder.records()[-1].day)


def test_rollback_lets_the_champion_before_serve_and_twice_changes_nothing(three, tmp_path):
    folder = three.folder.copy(tmp_path / "nights")
    before = folder.aliases()
    done = folder.run("rollback")
    assert done.exit_code == 0, done.stderr
    now = folder.aliases()
    assert (now["champion"], now["previous_champion"]) == (before["previous_champion"], before["champion"])
    assert done.stdout.startswith(f"models:/{MODEL}/{now['champion']} serves again")
    status = folder.run("status").stdout
    assert f"models:/{MODEL}/{now['champion']} is champion" in status
    last = next(line for line in status.splitlines() if line.strip().startswith(str(day(4))))
    assert "promoted, rolled back" in last
    assert f" {MODEL}/{now['champion']} " in last, "not what was promoted and serves no more"
    (move,) = [line for line in status.splitlines() if "rollback by" in line]
    assert f" {MODEL}/{now['champion']} " in f"{move} "
    folder.run("rollback")
    assert folder.aliases() == before
    assert "rolled back" not in folder.run("status").stdout
