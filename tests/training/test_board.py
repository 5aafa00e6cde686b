from pipeline.training.on_ray.progress import Board, Note


def test_a_loss_is_told_as_an_attempt_of_those_there_may_be_and_a_move_as_none():
    board = Board(max_failures=3)
    board.begin(2)
    assert board.read()[1] == []
    board.lose(1)
    board.begin(2)
    board.begin(1)
    board.lose(2)
    board.begin(1)
    assert board.read()[1] == [
        Note("a worker was lost, attempt 2 of 4", "2 ranks go on from the last checkpoint"),
        Note("the ranks move", "1 rank goes on from the last checkpoint, 2 before"),
        Note("a worker was lost, attempt 3 of 4", "1 rank goes on from the last checkpoint"),
    ]
