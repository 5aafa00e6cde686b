"""FuxiCTR from Parquet files to saved weights: its FeatureProcessor, build_dataset, loader and BaseModel.fit.

Its fit must validate, which is when it saves: the held-out day is its validation data.
"""

from pathlib import Path
from typing import Any

import torch
from fuxictr.preprocess import FeatureProcessor, build_dataset
from fuxictr.pytorch.dataloaders import RankDataLoader
from run_fuxictr import DeepFM
from whole_task import Stopwatch, WholeTask


def columns(task: WholeTask) -> list[dict[str, Any]]:
    """Each column as FuxiCTR has it described."""
    found: list[dict[str, Any]] = []
    for name in task.categorical:
        dtype = "str" if task.is_text(name) else "int"
        found.append(
            {"name": name, "active": True, "dtype": dtype, "type": "categorical", "min_categr_count": task.min_count}
        )
    for name in task.numeric:
        found.append(
            {"name": name, "active": True, "dtype": "float", "type": "numeric", "normalizer": "StandardScaler"}
        )
    return found


def linked(files: list[Path], folder: Path) -> str:
    """A flat folder of the files, which is what it reads."""
    folder.mkdir(parents=True)
    for file in files:
        (folder / f"{file.parent.name}-{file.name}").symlink_to(file)
    return str(folder)


def main() -> None:
    watch = Stopwatch()
    torch.set_num_threads(1)
    task, folder = WholeTask.from_arguments()
    processor = FeatureProcessor(
        columns(task), {"name": "click", "dtype": "float"}, dataset_id="clicks", data_root=str(folder)
    )
    train, valid, _ = build_dataset(
        processor,
        train_data=linked(task.training_files, folder / "train"),
        valid_data=linked(task.held_out_files, folder / "valid"),
        data_format="parquet",
    )
    watch.mark("preprocess")
    feature_map = processor.feature_map
    rows, held_out = RankDataLoader(
        feature_map,
        stage="train",
        train_data=train,
        valid_data=valid,
        batch_size=task.batch_size,
        shuffle=True,
        data_format="parquet",
    )
    model = DeepFM(
        feature_map,
        task.dimension,
        task.hidden,
        model_root=str(folder),
        metrics=["AUC", "logloss"],
        verbose=0,
    )
    with torch.autocast("cpu", torch.bfloat16, enabled=task.autocast):
        model.fit(rows, epochs=1, validation_data=held_out)
    watch.mark("fit")
    watch.answer(model.evaluate(held_out), Path(model.checkpoint))


if __name__ == "__main__":
    main()
