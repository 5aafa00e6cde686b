"""The same steps on a CUDA device. No ray and no mlflow: a bare GPU machine with torch can run these."""

import pytest
import torch
from training_states import NUM_IDS, batches_of, logits_of, train_alone

from pipeline.data.rows import Rows
from pipeline.training import initialize
from pipeline.training.checkpoint import StageState
from pipeline.training.losses import Diverged
from pipeline.training.rank import CPU
from schemas.config import TrainConfig
from schemas.stage import StageConfig

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

CUDA = torch.device("cuda")


def trained(config: TrainConfig, stage: StageConfig, rows: Rows, device: torch.device) -> StageState:
    state = initialize.from_scratch(stage, config, NUM_IDS, device=device)
    train_alone(state, batches_of(rows), stage, 10)
    state.table.settle()
    return state


@pytest.mark.parametrize(
    "embedding",
    [{}, {"name": "adam", "learning_rate": 0.01, "l2": 0.1, "weight_decay": 0.5}, {"clip": {"ratio": 0.1}}],
    ids=["adagrad", "adam-decay-l2", "clip"],
)
@pytest.mark.parametrize(("position", "members"), [(0, 1), (1, 1), (1, 3)], ids=["fm", "deepfm", "members"])
def test_a_gpu_takes_the_steps_of_a_cpu(config, rows, position, members, embedding):
    values = config.model_dump(mode="json")
    values["stages"][position]["members"] = members
    values["stages"][position]["mlp"]["dropout"] = 0.0
    values["stages"][position]["embedding"] |= embedding
    config = TrainConfig.model_validate(values)
    stage = config.stages[position]
    on_gpu, on_cpu = (trained(config, stage, rows, device) for device in (CUDA, CPU))
    torch.testing.assert_close(on_gpu.table.rows.cpu(), on_cpu.table.rows, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(on_gpu.table.accumulators.cpu(), on_cpu.table.accumulators, rtol=1e-3, atol=1e-9)


def test_the_same_seed_gives_the_same_bits(config, rows):
    one, other = (trained(config, config.stages[1], rows, CUDA) for _ in range(2))
    assert torch.equal(one.table.rows, other.table.rows)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_a_step_does_not_wait_for_the_device(config, rows):
    stage = config.stages[0]
    state = initialize.from_scratch(stage, config, NUM_IDS, device=CUDA)
    train_alone(state, batches_of(rows), stage, 10)  # whatever is set up at the first steps
    try:
        torch.cuda.set_sync_debug_mode("error")
        train_alone(state, batches_of(rows), stage, 20)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_loss_that_is_no_number_is_told_and_never_saved(config, rows):
    stage = config.stages[0]
    state = initialize.from_scratch(stage, config, NUM_IDS, device=CUDA)
    state.table.rows[:] = float("nan")
    with pytest.raises(Diverged, match="stage 'fm', step 0"):
        train_alone(state, batches_of(rows.slice(0, 16)), stage, 10)


def test_scores_are_those_of_a_cpu(config, rows):
    logits = []
    for device in (CUDA, CPU):
        state = initialize.from_scratch(config.stages[1], config, NUM_IDS, device=device)
        batches = (batch.to(device) for batch in batches_of(rows))
        logits.append(logits_of(state, batches).cpu())
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-4, atol=1e-5)
