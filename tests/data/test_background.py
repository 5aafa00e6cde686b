import time
from collections.abc import Iterator
from itertools import chain, count, islice
from threading import Event, Thread
from threading import enumerate as threads

import pytest

from pipeline.data.background import Ahead

DEPTH = 3
PATIENCE_SECONDS = 30.0

pytestmark = pytest.mark.timeout(2 * PATIENCE_SECONDS)


@pytest.fixture
def others() -> set[Thread]:
    """That run before the test."""
    return set(threads())


def wait_until(happened) -> None:
    while not happened():
        time.sleep(0.001)


def noted(items, made: list[int]) -> Iterator[int]:
    for item in items:
        made.append(item)
        yield item


def test_items_keep_their_order():
    assert list(Ahead(range(100), DEPTH)) == list(range(100))
    assert list(Ahead([])) == []


def test_none_is_an_item_like_any_other():
    assert list(Ahead([None, 1, None])) == [None, 1, None]


def test_after_the_last_item_there_is_none_again_and_again():
    ahead = Ahead([1])
    assert [next(ahead), next(ahead, "none"), next(ahead, "none")] == [1, "none", "none"]


def test_an_exception_is_raised_in_the_place_of_its_item_and_ends_them():
    ahead = Ahead(1 // (2 - i) for i in range(10))
    assert [next(ahead), next(ahead)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(ahead)
    assert next(ahead, "none") == "none"


def test_it_starts_at_once_and_makes_no_more_than_it_may_hold():
    made: list[int] = []
    ahead = Ahead(noted(count(), made), DEPTH)
    wait_until(lambda: len(made) == DEPTH + 1)  # the last of them waits for a place
    assert next(ahead) == 0
    wait_until(lambda: len(made) == DEPTH + 2)
    ahead.close()


def test_close_ends_the_thread_of_a_producer_that_is_ahead_and_makes_no_more_items(others):
    made: list[int] = []
    ahead = Ahead(noted(count(), made), DEPTH)
    wait_until(lambda: len(made) == DEPTH + 1)
    ahead.close()
    assert set(threads()) <= others
    assert len(made) == DEPTH + 1


def test_close_ends_the_thread_where_nothing_was_taken_of_few_items(others):
    ahead = Ahead([1, 2])
    ahead.close()
    assert set(threads()) <= others


def test_close_lets_the_item_at_hand_be_made_and_no_further_one(others):
    made, is_at_hand = list[int](), Event()

    def slow() -> Iterator[int]:
        for item in count():
            is_at_hand.set()
            time.sleep(0.2)
            made.append(item)
            yield item

    ahead = Ahead(slow(), DEPTH)
    assert is_at_hand.wait(PATIENCE_SECONDS)
    ahead.close()
    assert made == [0]
    assert set(threads()) <= others


def test_a_closed_one_has_no_items_and_may_be_closed_again():
    ahead = Ahead(count(), DEPTH)
    assert next(ahead) == 0
    ahead.close()
    ahead.close()
    assert list(ahead) == []


def test_closing_after_an_exception_or_the_end_does_nothing(others):
    ended, failed = Ahead([1]), Ahead(1 // i for i in range(1))
    assert list(ended) == [1]
    with pytest.raises(ZeroDivisionError):
        next(failed)
    ended.close()
    failed.close()
    assert set(threads()) <= others


@pytest.mark.parametrize("taken", [0, 1, 5])
@pytest.mark.parametrize("ahead_by", [0, DEPTH + 1])
def test_finish_ends_the_thread_after_as_many_items_wherever_it_is(others, taken, ahead_by):
    made: list[int] = []
    ahead = Ahead(noted(count(), made), DEPTH)
    assert [next(ahead) for _ in range(taken)] == list(range(taken))
    wait_until(lambda: len(made) >= taken + ahead_by)
    ahead.finish()
    assert len(made) == taken + DEPTH + 1
    assert set(threads()) <= others
    assert list(ahead) == []


def test_finish_ends_with_the_items_where_they_are_fewer(others):
    ahead = Ahead([None, 1], DEPTH)
    assert next(ahead) is None
    ahead.finish()
    assert set(threads()) <= others


def test_the_producer_is_closed_with_its_thread():
    is_closed = Event()

    def producer() -> Iterator[int]:
        try:
            yield from count()
        finally:
            is_closed.set()

    ahead = Ahead(producer(), DEPTH)
    assert next(ahead) == 0
    ahead.close()
    assert is_closed.wait(PATIENCE_SECONDS)


def test_stretches_of_one_that_are_themselves_made_ahead_miss_no_item_and_repeat_none():
    whole = Ahead(range(20), DEPTH)
    stretches = [list(Ahead(map(str, islice(whole, length)), DEPTH)) for length in (7, 1, 12, 5)]
    assert [len(stretch) for stretch in stretches] == [7, 1, 12, 0]
    assert list(chain.from_iterable(stretches)) == [str(i) for i in range(20)]
