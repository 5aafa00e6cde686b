import pytest

from pipeline.training.rank import batch_starts


@pytest.mark.parametrize(
    ("rows", "batch_size", "steps"),
    [(8, 4, 2), (9, 4, 2), (10, 4, 3), (3, 4, 1), (5, 1, 5), (1, 4, 0)],
    ids=["even", "one-row-left-out", "short-last-batch", "one-short-batch", "batches-of-one", "a-lone-row"],
)
def test_an_epoch_has_a_step_for_each_batch_of_more_than_one_row(rows, batch_size, steps):
    assert len(batch_starts(rows, batch_size)) == steps
