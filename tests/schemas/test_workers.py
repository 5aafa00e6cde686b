"""How many workers a run may take: a plain number, or a range of them."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.checking import validate
from schemas.config import TrainConfig
from schemas.errors import Refusal

DATA = {"logs_uri": "logs", "features": {"label": "click", "fields": [{"name": "user", "kind": "categorical"}]}}


def config_of(num_workers: Any, *batch_sizes: int) -> TrainConfig:
    stages = [{"name": f"fm-{size}", "model": "fm", "batch_size": size} for size in batch_sizes]
    return TrainConfig.model_validate({"data": DATA, "stages": stages, "cluster": {"num_workers": num_workers}})


@pytest.mark.parametrize(
    ("num_workers", "numbers"),
    [(0, (1,)), (1, (1,)), (4, (4,)), ({"min": 1, "max": 4}, (1, 2, 4)), ({"min": 2, "max": 16}, (2, 4, 8, 16))],
)
def test_a_range_holds_the_numbers_that_divide_the_batches_of_every_stage(num_workers, numbers):
    assert config_of(num_workers, 32, 48).numbers_of_ranks == numbers


@pytest.mark.parametrize(
    ("num_workers", "why"),
    [
        (5, "batch_size 32 does not divide among 5 workers"),
        ({"min": 1, "max": 5}, "batch_size 32 does not divide among 5 workers"),
        ({"min": 3, "max": 4}, "batch_size 32 does not divide among 3 workers"),
        ({"min": 4, "max": 2}, "min 4 is above max 2"),
        ({"min": 0, "max": 2}, "greater than 0"),
        ({"min": 1}, "Field required"),
    ],
)
def test_a_range_that_ends_in_what_divides_no_batch_is_refused(num_workers, why):
    with pytest.raises(ValidationError, match=why):
        config_of(num_workers, 32)


@pytest.mark.parametrize(
    ("num_workers", "found", "where"),
    [
        ("two", "'two'", "config: cluster.num_workers"),
        ({"mn": 1, "max": 2}, "unknown key 'mn' (and 1 more)", "config: cluster.num_workers.mn"),
        ({"min": 1, "max": "all"}, "'all'", "config: cluster.num_workers.max"),
    ],
)
def test_what_is_neither_is_refused_by_the_keys_of_the_file(num_workers, found, where):
    with pytest.raises(Refusal) as refused:
        validate(
            TrainConfig,
            {"data": DATA, "stages": [{"name": "fm", "model": "fm"}], "cluster": {"num_workers": num_workers}},
            "config",
        )
    assert (refused.value.found, refused.value.where) == (found, where)
