"""Two processes over gloo, as two ranks of a worker group would be, without Ray."""

import socket

import pytest
import torch
import torch.multiprocessing as mp
from training_states import NUM_IDS, NUM_RANKS, batches_of, rank_main

from pipeline.training import checkpoint, loop, stages


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_two_ranks_give_what_one_process_gives_on_the_union_batch(config, rows, tmp_path, port):
    mlp = config.stages[1].mlp.model_copy(update={"dropout": 0.0})  # dropout draws by rank
    stage = config.stages[1].model_copy(update={"mlp": mlp})
    config = config.model_copy(update={"stages": (config.stages[0], stage)})
    mp.spawn(rank_main, (port, config, rows, tmp_path), nprocs=NUM_RANKS)
    alone = stages.from_scratch(stage, config, NUM_IDS)
    list(loop.train(alone, alone.model, batches_of(rows, 16), stage, 10, 16))

    ranks = [stages.from_scratch(stage, config, NUM_IDS) for _ in range(NUM_RANKS)]
    for rank, state in enumerate(ranks):
        checkpoint.restore(state, tmp_path / str(rank))
    assert torch.equal(ranks[0].table.rows, ranks[1].table.rows), "ranks hold the same bits"
    for state in ranks:
        torch.testing.assert_close(state.table.rows, alone.table.rows, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(state.table.accumulators, alone.table.accumulators, rtol=1e-4, atol=1e-10)
        for one, other in zip(state.model.parameters(), alone.model.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
