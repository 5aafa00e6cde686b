import pytest
import torch

from pipeline.runtime.progress import RATE, Point
from pipeline.training.checkpoint import Progress
from pipeline.training.curves import Curves
from pipeline.training.loop import Step
from pipeline.training.losses import ClickLoss
from pipeline.training.step import Losses


def test_a_point_tells_the_rate_of_all_ranks_since_the_last_one_and_since_the_stage_began():
    points: list[Point] = []
    curves = Curves("fm", 2, points.append, ClickLoss())
    progress = Progress("fm")
    of_rank = Losses(10, torch.tensor(5.0), torch.tensor(10.0), torch.tensor(1.0))
    for seconds in (1.0, 4.0):
        progress.step += 1
        progress.rows_seen += 20
        progress.seconds += seconds
        curves.add(Step(of_rank, num_rows=20, learning_rate_factor=1.0, seconds=seconds, wait_seconds=0.0), progress)
    assert [point.metrics[RATE] for point in points] == [20.0, 5.0]
    assert [point.mean_rate for point in points] == pytest.approx([20.0, 8.0])
