"""The hidden layers of a stage's net, pretrained on what it reads of the first training rows."""

from itertools import islice

import torch
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.data.store import Store
from pipeline.data.windows import local_windows, rewindowed
from pipeline.embedding.lookup import Lookup
from pipeline.embedding.sharding import Placement, RowSharded
from pipeline.models import rbm
from pipeline.models.deepfm import DeepFM
from pipeline.models.fnn import FNN
from pipeline.models.rbm import LayerFit
from pipeline.training.checkpoint import StageState
from pipeline.training.step import Diverged
from schemas.stage import RBMConfig

BATCH_ROWS = 512


@torch.no_grad()
def pretrain(
    state: StageState, placement: Placement, store: Store, num_fields: int, config: RBMConfig, seed: int
) -> list[LayerFit]:
    """Every rank reads the same rows and so comes to the same layers. A model without hidden layers stays as it is.

    Raises Diverged.
    """
    model = state.model
    if not isinstance(model, FNN | DeepFM):
        return []
    device = state.table.rows.device
    windows = rewindowed(local_windows(store, "train", num_fields, 0, 1), BATCH_ROWS)
    inputs: list[Tensor] = []
    for rows in islice(windows, -(-config.rows // BATCH_ROWS)):
        batch = Batch.of(rows, 0, len(rows))
        if isinstance(placement, RowSharded):
            prepared = placement.prepare(batch)
            lookup = Lookup(placement.pull(prepared, exactly=True), prepared.groups.index_N, prepared.batch)
        else:
            lookup = state.table.read(batch.to(device))
        inputs.append(model.inputs(lookup).float().cpu())
    mlp = model.mlp.cpu()
    try:
        return rbm.pretrain(mlp, inputs, epochs=config.epochs, learning_rate=config.learning_rate, seed=seed)
    except ValueError as error:
        raise Diverged(f"stage {state.progress.stage!r}, mlp.rbm.learning_rate: {error}") from error
    finally:
        mlp.to(device)
