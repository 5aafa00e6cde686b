import subprocess
import sys
import time
from contextlib import nullcontext

import pytest

from pipeline.runtime.progress import Clock, Event, Phase, process_age


def clock(*times: float) -> tuple[Clock, list[Event]]:
    """One that reads these times in turn, and what it passes on."""
    shown: list[Event] = []
    return Clock(shown.append, now=iter(times).__next__), shown


def test_a_task_takes_from_its_first_event_to_the_one_that_says_it_is_done():
    timed, shown = clock(10.0, 12.5)
    told = [Event("count values", 0, 2), Event("count values", 1, 2), Event("count values", 2, 2, "40 ids")]
    for event in told:
        timed(event)
    assert timed.seconds == {"count values": 2.5}
    assert shown == told


def test_what_is_part_of_another_task_is_shown_and_counted_with_that_one():
    timed, shown = clock(0.0, 1.0, 3.0, 4.0, 7.0)
    with timed.unshown("train"):
        timed(Event("train fm", 1, 9))
        timed(Event("train fm", 9, 9))
        timed(Event("train fnn", 1, 9))  # which diverges, and never ends
    assert timed.seconds == {"train": 7.0}
    fm, fnn = Phase("train fm", 1.0, 3.0, depth=1), Phase("train fnn", 4.0, 7.0, depth=1)
    assert timed.phases == (Phase("train", 0.0, 7.0), fm, fnn)
    assert [event.task for event in shown] == ["train fm", "train fm", "train fnn"]


def test_a_step_is_shown_with_its_notes_and_the_same_one_again_adds_to_it():
    timed, shown = clock(0.0, 1.0, 5.0, 7.0)
    for _ in range(2):
        with timed.step("decide") as note:
            note("kept")
    assert timed.seconds == {"decide": 3.0}
    assert shown == [Event("decide", 0, 1), Event("decide", 1, 1, "kept")] * 2


def test_what_is_told_once_takes_no_time():
    timed, _ = clock()
    timed(Event("this retrain is finished already", 1, 1))
    assert timed.seconds == {}


def test_phases_are_told_from_the_beginning_of_the_first_with_the_rows_that_they_went_over():
    timed, _ = clock(100.0, 104.0, 105.0, 107.0)
    timed(Event("count values", 0, 1))
    timed(Event("count values", 1, 1, "40 ids", rows=1_000))
    with timed.unshown("gate"):
        pass
    assert timed.phases == (Phase("count values", 0.0, 4.0, 1_000), Phase("gate", 5.0, 7.0))
    assert [phase.rows_per_second for phase in timed.phases] == [250.0, None]


def test_a_context_is_timed_while_it_is_entered_and_not_while_it_lasts():
    timed, _ = clock(0.0, 2.0)
    with timed.entering("open the run", nullcontext("run")) as run:
        assert run == "run"
        assert timed.seconds == {"open the run": 2.0}


def test_what_was_timed_elsewhere_is_part_of_what_is_at_work():
    timed, now = Clock(lambda event: None), time.time()
    with timed.unshown("fit"):
        timed.took("train fm", now + 1, now + 3, rows=10)
        timed.took("steps", now + 1, now + 2, depth=1)
    fit, *parts = timed.phases
    assert [(phase.name, phase.depth, phase.rows) for phase in parts] == [("train fm", 1, 10), ("steps", 2, 0)]
    assert [phase.began - fit.began for phase in parts] == pytest.approx([1, 1], abs=0.1)
    assert [phase.seconds for phase in parts] == pytest.approx([2, 1])


def test_the_clock_of_a_process_begins_when_that_was_started():
    age = process_age()
    timed = Clock.of_process(lambda event: None)
    [start] = timed.phases
    assert start.seconds == pytest.approx(age, abs=0.5)
    assert Clock.of(timed) is timed


def test_the_age_of_a_process_is_what_passed_since_it_was_started():
    code = "from pipeline.runtime.progress import process_age; print(process_age())"
    before = time.time()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 <= float(done.stdout) <= time.time() - before + 0.02, "told in hundredths"
