"""FuxiCTR: BaseModel.fit with its own layers, loader and Adam.

The wheel holds the layers and not the models, which are copied from the repository's model zoo; the one below is
DeepFM of those layers. Without hidden layers it is FM.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.layers import FactorizationMachine, FeatureEmbedding, MLP_Block
from fuxictr.pytorch.models import BaseModel
from task import Task
from torch import Tensor

NEVER = 10**9


class DeepFM(BaseModel):
    def __init__(self, feature_map: FeatureMap, dimension: int, hidden: list[int], **settings: Any) -> None:
        super().__init__(feature_map, **settings)
        self.embedding = FeatureEmbedding(feature_map, dimension)
        self.fm = FactorizationMachine(feature_map)
        self.mlp = MLP_Block(dimension * feature_map.num_fields, hidden, "relu", output_dim=1) if hidden else None
        self.compile("adam", "binary_crossentropy", lr=1e-3)
        self.reset_parameters()

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        ids = self.get_inputs(inputs)
        e_BFK = self.embedding(ids)
        logit_B1 = self.fm(ids, e_BFK)
        if self.mlp is not None:
            logit_B1 += self.mlp(e_BFK.flatten(start_dim=1))
        return {"y_pred": self.output_activation(logit_B1)}


class Clocked:
    """A loader that notes when each batch has been trained on, which is when the next one is asked for."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.step_ends: list[float] = []

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for batch in self.loader:
            yield batch
            self.step_ends.append(time.perf_counter())


def describe(task: Task, folder: Path) -> FeatureMap:
    feature_map = FeatureMap("clicks", str(folder))
    for field in range(task.num_fields):
        feature_map.features[f"f{field}"] = {"type": "categorical", "source": "", "vocab_size": task.values_per_field}
    feature_map.labels = ["click"]
    feature_map.num_fields = feature_map.get_num_fields()
    feature_map.set_column_index()
    (folder / "clicks").mkdir()
    return feature_map


def main() -> None:
    torch.set_num_threads(1)
    task = Task.from_argument()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        feature_map = describe(task, folder)
        columns = {f"f{field}": column for field, column in enumerate(task.values_RF.T)}
        # All int32: what the loader stacks then stays int32, which is quicker than the float64 of float labels.
        np.savez(folder / "rows.npz", **columns, click=task.clicks_R)
        loader, _ = RankDataLoader(
            feature_map,
            stage="train",
            train_data=str(folder / "rows.npz"),
            batch_size=task.batch_size,
            shuffle=True,
            num_workers=0,
        )
        # fit must evaluate at some time, which never comes, and loads a checkpoint at its end, which is written first.
        model = DeepFM(
            feature_map,
            task.dimension,
            task.hidden,
            model_root=name,
            metrics=["AUC"],
            verbose=0,
            eval_steps=NEVER,
        )
        model.save_weights(model.checkpoint)
        clocked = Clocked(loader)
        with torch.autocast("cpu", torch.bfloat16, enabled=task.autocast):
            model.fit(clocked, epochs=1)
    task.answer(clocked.step_ends[-1] - clocked.step_ends[task.warm_up_steps - 1])


if __name__ == "__main__":
    main()
