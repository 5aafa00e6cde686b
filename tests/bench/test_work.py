import dataclasses

import pytest

from pipeline import models
from pipeline.bench.shape import Shape
from pipeline.bench.work import Work, bytes_moved, dense_flops
from schemas.stage import MLPConfig, ModelName, StageConfig

SHAPE = Shape(model="deepfm", num_fields=3, num_ids=30, batch_size=8, dimension=2, hidden=(5, 4))


def stage_of(model: ModelName) -> StageConfig:
    return StageConfig(name=model, model=model, mlp=MLPConfig(hidden=(5, 4)))


def test_bytes_of_the_tables_part_by_hand():
    # D = 3 floats. 10 rows looked up, 10 gradients; 4 distinct rows of 3 + 1 floats read and written; 4 bytes a float.
    assert bytes_moved(num_active=10, num_distinct=4, dimension=2) == 4 * (10 * 3 + 10 * 3 + 2 * 4 * (3 + 1))


@pytest.mark.parametrize(
    ("model", "weights"),
    [
        ("fm", 0),
        ("deepfm", 3 * 2 * 5 + 5 * 4 + 4 * 1),
        ("fnn", (1 + 3 * 3) * 5 + 5 * 4 + 4 * 1),
        ("dnn", (1 + 3 * 3) * 5 + 5 * 4 + 4 * 1),
    ],
)
def test_flops_of_a_row_by_hand(model, weights):
    assert dense_flops(models.build(stage_of(model), 3, 2, seed=0)) == 6 * weights


def test_the_work_of_two_ranks_is_of_both():
    model = models.build(stage_of("deepfm"), 3, 2, seed=0)
    of_two = Work.of(dataclasses.replace(SHAPE, num_ranks=2), model, num_distinct=7.5)
    assert of_two.dense_flops == 8 * 6 * (30 + 20 + 4)
    assert of_two.table_bytes == 2 * bytes_moved(4 * 3, 7.5, 2)


def test_table_bytes_by_hand():
    assert SHAPE.table_bytes == 30 * (1 + 2 + 1) * 4, "w, v and an accumulator for each id"
