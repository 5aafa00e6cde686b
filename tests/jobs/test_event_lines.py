"""What is told of a command's progress where no terminal is."""

import json
from dataclasses import dataclass

import pytest
from command import nightjar

from jobs.event_lines import EventLines, Form
from pipeline.runtime.progress import Event


@dataclass
class Clock:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_a_task_is_told_as_it_begins_and_ends_and_not_between(clock, capsys):
    lines = EventLines(now=clock)
    for done in range(3):
        clock.seconds += 2
        lines(Event("train fm", done, 2, f"{done * 100} rows/s"))
        lines.beat()
    assert told(capsys) == ["train fm ...", "train fm done in 4.0 s  200 rows/s"]


def test_what_is_said_once_and_happens_again_is_said_again(clock, capsys):
    lines = EventLines(now=clock)
    for seconds in (30, 30, 90):
        lines(Event(f"no CPU to read rows for {seconds} s", 1, 1, "127.0.0.1 has 0 of 2 CPUs free"))
    assert [line.partition(":")[0] for line in told(capsys)] == [
        "no CPU to read rows for 30 s",
        "no CPU to read rows for 30 s",
        "no CPU to read rows for 90 s",
    ]


def test_every_thirty_seconds_without_a_line_one_says_how_far_it_is(clock, capsys):
    lines = EventLines(now=clock)
    lines(Event("train", 0, 1))
    lines(Event("train fm", 0, 200))
    told(capsys)
    for _ in range(100):
        clock.seconds += 1
        lines.beat()
        lines(Event("train fm", int(clock.seconds), 200, "1,000 rows/s"))
    assert told(capsys) == [
        "train fm ... 14%, 1,000 rows/s, 30 s so far, about 3 min left",
        "train fm ... 30%, 1,000 rows/s, 60 s so far, about 2 min left",
        "train fm ... 44%, 1,000 rows/s, 2 min so far, about 2 min left",
    ]


def test_a_task_of_which_no_share_is_known_says_how_long_it_is_at_work(clock, capsys):
    lines = EventLines(now=clock)
    lines(Event("encode rows", 0, 1))
    clock.seconds = 31
    lines.beat()
    assert told(capsys) == ["encode rows ...", "encode rows ... 31 s so far"]


def test_the_time_that_is_left_goes_by_what_this_process_has_done(clock, capsys):
    lines = EventLines(now=clock)
    lines(Event("train fm", 900, 1000))  # from the checkpoint of another
    clock.seconds = 30
    lines(Event("train fm", 910, 1000))
    lines.beat()
    assert told(capsys)[1] == "train fm ... 91%, 30 s so far, about 4 min left"


def test_when_a_stage_has_ended_the_beat_is_of_what_it_is_a_part_of(clock, capsys):
    lines = EventLines(now=clock)
    lines(Event("train", 0, 1))
    lines(Event("train fm", 0, 1))
    lines(Event("train fm", 1, 1))
    clock.seconds = 30
    lines.beat()
    assert told(capsys)[-1] == "train ... 30 s so far"


def test_what_is_over_when_it_is_first_heard_of_is_said_in_one_line(clock, capsys):
    EventLines(now=clock)(Event("the night of 2026-11-16 is over already", 1, 1, "promoted"))
    assert told(capsys) == ["the night of 2026-11-16 is over already: promoted"]


def test_the_stages_of_the_next_night_are_told_anew(clock, capsys):
    lines = EventLines(now=clock)
    for done in (0, 1, 0, 1):
        clock.seconds += 1
        lines(Event("train fm", done, 1))
    assert told(capsys) == ["train fm ...", "train fm done in 1.0 s"] * 2


def test_nights_in_a_row_tell_beats_alone(clock, capsys):
    lines = EventLines(beats_alone=True, now=clock)
    lines(Event("train fm", 0, 10))
    clock.seconds = 30
    lines(Event("train fm", 5, 10))
    lines.beat()
    assert told(capsys) == ["train fm ... 50%, 30 s so far, about 30 s left"]


def test_as_json_an_event_is_one_object_a_line_without_secrets(clock, capsys):
    lines = EventLines(Form.JSON, now=clock)
    lines(Event("train fm", 0, 4))
    clock.seconds = 30
    lines(Event("train fm", 1, 4, "from s3://me:s3cr1t-k3y@clicks"))
    lines.beat()
    lines(Event("train fm", 4, 4, 'a "quote"\nand a line'))
    events = [json.loads(line) for line in told(capsys)]
    assert [event.pop("time")[-6:] for event in events] == ["+00:00"] * 3
    assert events == [
        {"event": "began", "task": "train fm", "done": 0, "total": 4, "seconds": 0.0},
        {
            "event": "goes on",
            "task": "train fm",
            "done": 1,
            "total": 4,
            "seconds": 30.0,
            "seconds_left": 90.0,
            "note": "from s3://***@clicks",
        },
        {
            "event": "ended",
            "task": "train fm",
            "done": 4,
            "total": 4,
            "seconds": 30.0,
            "note": 'a "quote"\nand a line',
        },
    ]


def test_the_heart_beats_by_itself_until_the_command_ends(capsys):
    with EventLines(beat_seconds=0.01) as lines:
        lines(Event("encode rows", 0, 1))
        while "so far" not in capsys.readouterr().err:
            pass


def test_a_form_of_progress_that_there_is_not_is_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTJAR_LOG", "xml")
    done = nightjar("train", "--config", "none.yaml", cwd=tmp_path)
    assert done.exit_code == 2
    assert "is not one of 'text', 'json'" in done.stderr
