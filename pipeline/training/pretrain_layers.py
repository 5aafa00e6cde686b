"""The hidden layers of a stage's net, pretrained on what it reads of the first training rows."""

from itertools import islice

import torch
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.data.windows import local_windows, rewindowed
from pipeline.embedding.sharding import Placement
from pipeline.models import rbm
from pipeline.models.deepfm import DeepFM
from pipeline.models.fnn import FNN
from pipeline.models.mlp import MLP
from pipeline.models.rbm import LayerFit
from pipeline.training.checkpoint import StageState
from pipeline.training.losses import Diverged
from pipeline.training.rank import Rank
from schemas.stage import RBMConfig

BATCH_ROWS = 512


@torch.no_grad()
def pretrain(rank: Rank, state: StageState, placement: Placement, config: RBMConfig) -> list[LayerFit]:
    """Every rank reads the same rows and so comes to the same layers. A model without hidden layers stays as it is.

    Raises Diverged.
    """
    model = state.model
    if not isinstance(model, FNN | DeepFM):
        return []
    windows = rewindowed(local_windows(rank.store, "train", rank.num_fields, 0, 1), BATCH_ROWS)
    inputs: list[Tensor] = []
    for rows in islice(windows, -(-config.rows // BATCH_ROWS)):
        lookup = placement.lookup(Batch.of(rows, 0, len(rows)))
        inputs.append(model.inputs(lookup).float().cpu())
    mlp = model.mlp.cpu()
    assert isinstance(mlp, MLP), "members have no RBMs"
    try:
        return rbm.pretrain(
            mlp, inputs, epochs=config.epochs, learning_rate=config.learning_rate, seed=rank.config.seed
        )
    except ValueError as error:
        raise Diverged(f"stage {state.progress.stage!r}, mlp.rbm.learning_rate: {error}") from error
    finally:
        mlp.to(rank.device)
