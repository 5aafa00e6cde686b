import time

import pytest
import ray

from pipeline.runtime.progress import Point
from pipeline.training.on_ray.progress import TELL_AFTER_SECONDS, Board, Note, waiting_told


def test_a_loss_is_told_as_an_attempt_of_those_there_may_be_and_a_move_as_none():
    board = Board(max_failures=3)
    board.begin(2)
    assert board.read(0, 0) == ([], [])
    board.lose(1)
    board.begin(2)
    board.begin(1)
    board.lose(2)
    board.begin(1)
    assert board.read(0, 0)[1] == [
        Note("a worker was lost, attempt 2 of 4", "2 ranks go on from the last checkpoint"),
        Note("the ranks move", "1 rank goes on from the last checkpoint, 2 before"),
        Note("a worker was lost, attempt 3 of 4", "1 rank goes on from the last checkpoint"),
    ]
    assert [note.title for note in board.read(0, 2)[1]] == ["a worker was lost, attempt 3 of 4"]


def test_each_point_is_read_once_by_who_says_how_many_it_has():
    board = Board(max_failures=0)
    points = [Point("fm", step, 3, {}) for step in (1, 2, 3)]
    for point in points[:2]:
        board.post(point)
    assert board.read(0, 0)[0] == points[:2]
    board.post(points[2])
    assert board.read(2, 0)[0] == points[2:]
    assert board.read(3, 0)[0] == []


@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("cluster")
def test_the_board_is_told_of_a_rank_that_waits_for_long_and_of_none_that_does_not():
    board = ray.remote(num_cpus=0)(Board).remote(max_failures=0)
    with waiting_told(board, rank=0):
        assert ray.get(board.seconds_without_rows.remote()) == 0.0
    with waiting_told(board, rank=0):
        time.sleep(TELL_AFTER_SECONDS + 0.2)
        assert ray.get(board.seconds_without_rows.remote()) > TELL_AFTER_SECONDS
    assert ray.get(board.seconds_without_rows.remote()) == 0.0
