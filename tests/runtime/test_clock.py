from pipeline.runtime.progress import Clock, Event


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
    timed, shown = clock(0.0, 7.0)
    with timed.unshown("train"):
        timed(Event("train fm", 1, 9))
        timed(Event("train fm", 9, 9))
        timed(Event("train fnn", 1, 9))  # which diverges, and never ends
    assert timed.seconds == {"train": 7.0}
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
